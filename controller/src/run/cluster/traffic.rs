// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which write goes next, while others are under way: pure, with the clock passed in.
//!
//! A newer plan may come at any time. Writes that are under way stay so, and no write starts that one of them could make
//! wrong: neither before it has ended, nor before the view that was planned from shows it.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_config::condition::ADDRESSES_ASSIGNED;
use ferrolb_config::{ObjectRef, Objects};

use super::restraint::{Restraint, Setback};
use crate::apply::{Course, Haste, Reach, Step, UnderWay, Write};

/// How many writes may be under way at once.
const SLOTS: usize = 16;
/// How many of the writes of one plan may be to objects whose last write failed: they may take their time.
const SUSPECTS: usize = 4;
/// How often at most is written what may be gathered.
const GATHERED: Duration = Duration::from_secs(1);
/// How long a write that came back is waited for in the view.
const SHOWN: Duration = Duration::from_secs(5);

/// Names a write that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What came of a write, where that is of interest to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well.
    Done,
    /// Somebody else keeps changing back what is written; the object is left alone for so long.
    Contended(Duration),
    /// It will be tried again, at this time at the earliest.
    Again(Instant),
}

/// The writes that are to be made and those that are under way.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    course: Course,
    /// Counts the courses.
    generation: u64,
    /// What the course was planned from.
    view: Arc<Objects>,
    tickets: u64,
    flights: HashMap<Ticket, Flight>,
    /// Came back, and not yet seen in a view.
    landed: Vec<Landed>,
    under_way: UnderWay,
    restraint: Restraint,
    gathered: HashMap<ObjectRef, Instant>,
    /// When something that is held now may go.
    wake: Option<Instant>,
}

#[derive(Debug)]
struct Flight {
    generation: u64,
    position: usize,
    reach: Reach,
    trace: Trace,
    content: Option<u64>,
}

/// A write that came back.
#[derive(Debug)]
struct Landed {
    reach: Reach,
    trace: Trace,
    /// Whether it was carried out for certain.
    is_certain: bool,
    /// How long it is waited for in the view.
    until: Instant,
}

/// How to know a write again in a view.
#[derive(Debug)]
struct Trace {
    object: ObjectRef,
    /// The form that the write was based on.
    version: Option<String>,
    deletes: Option<Option<String>>,
}

impl Traffic {
    /// Takes the steps of a newer plan, made from `view`, in the place of those that were not begun.
    pub(super) fn follow(&mut self, steps: Vec<Step>, view: Arc<Objects>, now: Instant) {
        let under_way = &mut self.under_way;
        self.landed.retain(|landed| {
            let stays = !landed.trace.shows_in(&view) && landed.until > now;
            if !stays {
                landed.settle(under_way);
            }
            stays
        });
        self.restraint.forget(now);
        self.gathered.retain(|_, last| now.duration_since(*last) < GATHERED);
        let mut wake = self.landed.iter().map(|landed| landed.until).min();
        let mut suspects = 0;
        let mut objects = HashSet::new();
        let is_held = |step: &Step| {
            let object = step.write.object();
            let mut until = self.restraint.holds(&object, step.write.version(), now);
            if step.haste == Haste::Gathered {
                until = until.max(self.gathered.get(&object).map(|last| *last + GATHERED));
            }
            if let Some(until) = until {
                wake = Some(wake.map_or(until, |wake| wake.min(until)));
                return true;
            }
            if !self.under_way.is_empty() && self.under_way.blocks(&Reach::of(&step.write, &view)) {
                return true;
            }
            if self.restraint.suspects(&object) {
                suspects += 1;
                if suspects > SUSPECTS {
                    return true;
                }
            }
            // A second write to one object would be based on a form that the first one replaces.
            !objects.insert(object)
        };
        self.course = Course::without(steps, is_held);
        self.generation += 1;
        self.view = view;
        self.wake = wake;
    }

    /// The next write, to be made at once and then to be [`done`](Self::done).
    pub(super) fn take(&mut self, now: Instant) -> Option<(Ticket, Write)> {
        let slots = if self.restraint.is_trying() { 1 } else { SLOTS };
        if self.flights.len() >= slots || self.restraint.pause(now).is_some() {
            return None;
        }
        let (position, write) = self.course.take()?;
        let reach = Reach::of(&write, &self.view);
        self.under_way.begin(&reach);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let flight = Flight {
            generation: self.generation,
            position,
            reach,
            trace: Trace::of(&write),
            content: content(&write),
        };
        self.flights.insert(ticket, flight);
        Some((ticket, write))
    }

    /// Takes back what became of a write.
    pub(super) fn done(&mut self, ticket: Ticket, result: Result<(), Setback>, now: Instant) -> Verdict {
        let Some(Flight { generation, position, reach, trace, content }) = self.flights.remove(&ticket)
        else {
            return Verdict::Done;
        };
        if generation == self.generation {
            self.course.done(position, result.is_ok());
        } else {
            // The newer plan may show the write already and still have held what comes after it: no news would end that.
            self.wake = Some(now);
        }
        match result {
            Ok(()) => {
                if trace.object.kind == "AddressPool" {
                    self.gathered.insert(trace.object.clone(), now);
                }
                let contended = self.restraint.succeeded(&trace.object, content, now);
                // It was carried out on the form that those in doubt were based on, or on a later one: they will not be.
                let under_way = &mut self.under_way;
                self.landed.retain(|landed| {
                    let stays = landed.is_certain || landed.trace.object != trace.object;
                    if !stays {
                        landed.settle(under_way);
                    }
                    stays
                });
                self.landed.push(Landed { reach, trace, is_certain: true, until: now + SHOWN });
                contended.map_or(Verdict::Done, Verdict::Contended)
            }
            Err(setback) => {
                let until = self.restraint.failed(&trace.object, trace.version.as_deref(), setback, now);
                if setback == Setback::NoAnswer {
                    self.under_way.doubt(&reach);
                    self.landed.push(Landed { reach, trace, is_certain: false, until: now + SHOWN });
                } else {
                    self.under_way.end(&reach);
                }
                // What waited for it may go meanwhile.
                self.wake = Some(now);
                Verdict::Again(until)
            }
        }
    }

    /// The view that the writes handed out now were decided upon.
    pub(super) fn view(&self) -> &Objects {
        &self.view
    }

    /// When to plan again although nothing changed: something that was held may go.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// When [`Self::take`] may give something although nothing was done: a pause ends.
    pub(super) fn resumes(&self, now: Instant) -> Option<Instant> {
        self.restraint.pause(now).filter(|_| self.course.is_ready())
    }

    /// Whether writes wait for those that are under way.
    pub(super) fn is_saturated(&self) -> bool {
        self.course.is_ready()
    }
}

impl Landed {
    /// It need not be waited for any longer.
    fn settle(&self, under_way: &mut UnderWay) {
        if self.is_certain {
            under_way.end(&self.reach);
        } else {
            under_way.clear(&self.reach);
        }
    }
}

impl Trace {
    fn of(write: &Write) -> Self {
        let deletes = match write {
            Write::DeleteVirtualIP(object) => Some(object.metadata.uid.clone()),
            _ => None,
        };
        Self { object: write.object(), version: write.version().map(str::to_owned), deletes }
    }

    /// Whether `view` is not older than the write. Nothing can have come between the form that it was based on and what
    /// it made of it, so any other form will do.
    fn shows_in(&self, view: &Objects) -> bool {
        let Some(held) = view.metadata(&self.object) else {
            return self.version.is_some();
        };
        match &self.deletes {
            Some(uid) => held.uid != *uid || held.deletion_timestamp.is_some(),
            None => held.resource_version != self.version,
        }
    }
}

/// Stands for what is written to an object that others write too; times and generations aside.
fn content(write: &Write) -> Option<u64> {
    let Write::PutServiceStatus(object) = write else { return None };
    let status = object.status.as_ref()?;
    let mut hasher = DefaultHasher::new();
    let ingress = status.load_balancer.as_ref().and_then(|load_balancer| load_balancer.ingress.as_deref());
    for entry in ingress.unwrap_or_default() {
        entry.ip.hash(&mut hasher);
    }
    let conditions = status.conditions.iter().flatten();
    for condition in conditions.filter(|condition| condition.type_ == ADDRESSES_ASSIGNED) {
        (&condition.status, &condition.reason, &condition.message).hash(&mut hasher);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod simulation;
