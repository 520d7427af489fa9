// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The loop of the layer-2 thread.
//!
//! Each round reads the hellos of all segments first, so that silence is judged with everything heard that has
//! arrived; then it serves the deadlines, then a bounded number of frames. Nothing in it waits for anything but the
//! sockets, the next deadline and the bell.
//!
//! Under a flood of frames it spends at most half of its time on them: a thread that sleeps now and then is woken for
//! a hello at once, one that never does has to queue for the processor like any other.
//!
//! Among hundreds of nodes hellos come one by one all the time, and waking up costs more than reading one: then they are
//! left to gather for a moment (`crowd.rs`), while frames still end the wait at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrolb_layer2::{Event, GroupId, Input, KeyRing, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::crowd::Crowd;
use super::following::{Following, LOOK_EVERY, Side};
use super::observed::{Observed, SegmentEvent};
use super::placement::{Placement, SegmentPlan};
use super::segment::{Identity, Neighbours, SegmentDriver};
use crate::bound::{Binder, CONFIRM_EVERY};
use crate::kernel::links::LinkIndex;
use crate::kernel::priority::{self, Shortcoming};
use crate::kernel::{Batch, Bell, Place, wait};

/// The state is published at most so often when something happened …
const PUBLISH_AFTER: Duration = Duration::from_millis(100);
/// … and gets at most one part in so many of the thread's time, …
const SHARE: u32 = 10;
/// … and so often in any case, because counters and peers change without an event.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// Sockets that could not be opened are tried again after this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Longer than any Ethernet frame without jumbo size.
const BUFFER_BYTES: usize = 2048;

/// A wish from the rest of the speaker.
#[derive(Debug)]
pub(super) enum Command {
    /// Sign and check hellos with these keys from now on.
    Keys(Box<KeyRing>),
    /// These are the nodes of the cluster.
    Neighbours(Box<Neighbours>),
    /// Move a group, to this node or to the best one.
    HandOver { group: GroupId, to: Option<NodeId> },
    /// Give everything to others; answered when that is done, or nobody can take the rest.
    Drain(oneshot::Sender<()>),
    /// Give up what is left and end the thread.
    Leave,
}

/// The thread's ends of its channels.
pub(super) struct Channels {
    pub(super) bell: Arc<Bell>,
    pub(super) placement: watch::Receiver<Arc<Placement>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) observed: watch::Sender<Arc<Observed>>,
    pub(super) events: mpsc::Sender<SegmentEvent>,
    /// Who puts owned addresses on interfaces; `None`: nobody does.
    pub(super) binder: Option<Binder>,
}

/// Everything that the thread owns.
pub(super) struct Driver {
    identity: Identity,
    channels: Channels,
    segments: BTreeMap<LinkIndex, SegmentDriver>,
    /// Interfaces whose sockets could not be opened, and why.
    problems: BTreeMap<LinkIndex, (String, String)>,
    reopen_at: Option<Instant>,
    neighbours: Neighbours,
    /// How densely hellos come.
    crowd: Crowd,
    woken: Woken,
    /// During a flood: frames are left waiting until then.
    frames_at: Option<Instant>,
    publish_at: Instant,
    /// When the state was last published, and how long that took.
    published: Instant,
    publishing: Duration,
    /// What was last said to be owned and to belong on interfaces, and when that is said again.
    held: BTreeSet<Place>,
    confirm_at: Instant,
    /// Groups on more than one segment.
    spanning: BTreeSet<GroupId>,
    following: Following,
    follow_at: Instant,
    events_dropped: u64,
    shortcomings: Vec<Shortcoming>,
    draining: Option<Vec<oneshot::Sender<()>>>,
}

/// What there may be to do beside hellos, which are always looked for: nobody is judged silent whose hello came just now.
#[derive(Clone, Copy, Debug)]
struct Woken {
    frames: bool,
    bell: bool,
}

impl Woken {
    const BY_ALL: Self = Self { frames: true, bell: true };
}

/// Whether the thread goes on.
enum Flow {
    On,
    End,
}

impl Driver {
    pub(super) fn new(identity: Identity, channels: Channels) -> Self {
        Self {
            identity,
            channels,
            segments: BTreeMap::new(),
            problems: BTreeMap::new(),
            reopen_at: None,
            neighbours: Neighbours::new(),
            crowd: Crowd::new(Instant::now()),
            woken: Woken::BY_ALL,
            frames_at: None,
            publish_at: Instant::now(),
            published: Instant::now(),
            publishing: Duration::ZERO,
            held: BTreeSet::new(),
            confirm_at: Instant::now(),
            spanning: BTreeSet::new(),
            following: Following::default(),
            follow_at: Instant::now(),
            events_dropped: 0,
            shortcomings: Vec::new(),
            draining: None,
        }
    }

    /// Runs until told to leave, or until the other ends of the channels are gone.
    pub(super) fn run(mut self) {
        let measures = [priority::raise_this_thread(), priority::check_cpu_limit()];
        self.shortcomings = measures.into_iter().filter_map(Result::err).collect();
        for shortcoming in &self.shortcomings {
            warn!("{shortcoming}");
        }
        self.channels.placement.mark_changed();
        let (mut batch, mut buffer) = (Batch::new(), [0; BUFFER_BYTES]);
        loop {
            self.round(&mut batch, &mut buffer);
            self.follow_leaders();
            if let Flow::End = self.take_wishes() {
                break;
            }
            self.tell();
            self.confirm_held();
            let now = Instant::now();
            let pause = self.crowd.pause(now);
            let until =
                pause.map_or_else(|| self.next_deadline(), |pause| now.checked_add(pause).unwrap_or(now));
            self.woken = self.wait(pause.is_none(), until).unwrap_or_else(|error| {
                error!(%error, "cannot wait for the network");
                std::thread::sleep(Duration::from_millis(10));
                Woken::BY_ALL
            });
        }
    }

    /// Waits for the bell, for frames unless they are left waiting, and, if so wished, for hellos.
    fn wait(&self, for_hellos: bool, until: Instant) -> io::Result<Woken> {
        let for_frames = self.frames_at.is_none();
        let frames = self.segments.values().filter(|_| for_frames).flat_map(SegmentDriver::frame_fds);
        let hellos = self.segments.values().filter(|_| for_hellos).flat_map(SegmentDriver::hello_fds);
        let many =
            if for_frames { self.segments.values().map(|one| one.frame_fds().count()).sum() } else { 0 };
        let fds = std::iter::once(self.channels.bell.as_fd()).chain(frames).chain(hellos);
        let mut ready = wait(fds, Some(until))?.into_iter();
        let bell = ready.next().unwrap_or(true);
        Ok(Woken { frames: ready.take(many).any(|ready| ready), bell })
    }

    fn round(&mut self, batch: &mut Batch, buffer: &mut [u8]) {
        let mut heard = 0_u32;
        for segment in self.segments.values_mut() {
            heard = heard.saturating_add(segment.read_hellos(batch, buffer));
        }
        self.crowd.heard(heard, Instant::now());
        for segment in self.segments.values_mut() {
            segment.run_timers();
            segment.take_part();
        }
        let begin = Instant::now();
        if self.frames_at.is_some_and(|at| at > begin) || (self.frames_at.is_none() && !self.woken.frames) {
            return;
        }
        let mut more = false;
        for segment in self.segments.values_mut() {
            more |= segment.read_frames(buffer);
        }
        self.frames_at = more.then(|| after(begin.elapsed()));
    }

    fn next_deadline(&self) -> Instant {
        let engines = self.segments.values().filter_map(SegmentDriver::deadline);
        let confirm = (!self.held.is_empty()).then_some(self.confirm_at);
        let follow = (!self.spanning.is_empty()).then_some(self.follow_at);
        let own = [self.reopen_at, self.frames_at, confirm, follow].into_iter().flatten();
        engines.chain(own).fold(self.publish_at, Instant::min)
    }

    /// Hands over what another node leads on another segment.
    fn follow_leaders(&mut self) {
        let now = Instant::now();
        if self.spanning.is_empty() || self.follow_at > now {
            return;
        }
        self.follow_at = after(LOOK_EVERY);
        let spans = |group: GroupId| self.spanning.contains(&group);
        let sides: Vec<Side> = self.segments.values().flat_map(|segment| segment.sides(spans)).collect();
        for stray in self.following.strays(self.identity.node, &sides, now) {
            if let Some(segment) = self.segments.get_mut(&stray.segment) {
                segment.handle(Input::HandOver { group: stray.group, to: Some(stray.to) });
            }
        }
    }

    /// Says what is owned and belongs on interfaces: changes at once, and otherwise often enough to be believed.
    fn confirm_held(&mut self) {
        let Some(binder) = &self.channels.binder else { return };
        let held: BTreeSet<Place> = self.segments.values().flat_map(SegmentDriver::held).collect();
        let now = Instant::now();
        if held == self.held && (held.is_empty() || self.confirm_at > now) {
            return;
        }
        let certain = self.segments.values().all(SegmentDriver::is_certain);
        binder.hold(held.clone(), certain);
        self.held = held;
        self.confirm_at = after(CONFIRM_EVERY);
    }

    fn take_wishes(&mut self) -> Flow {
        if self.woken.bell {
            self.channels.bell.silence();
        }
        match self.channels.placement.has_changed() {
            Ok(true) => self.follow_placement(),
            Ok(false) => {}
            Err(_) => return self.leave(),
        }
        if self.reopen_at.is_some_and(|at| at <= Instant::now()) {
            self.follow_placement();
        }
        loop {
            match self.channels.commands.try_recv() {
                Ok(Command::Keys(keys)) => {
                    for segment in self.segments.values_mut() {
                        segment.handle(Input::Keys(keys.clone()));
                    }
                    self.identity.keys = *keys;
                }
                Ok(Command::Neighbours(nodes)) => {
                    for segment in self.segments.values_mut() {
                        segment.expect(&nodes);
                    }
                    self.neighbours = *nodes;
                }
                Ok(Command::HandOver { group, to }) => {
                    for segment in self.segments.values_mut() {
                        segment.handle(Input::HandOver { group, to });
                    }
                }
                Ok(Command::Drain(done)) => {
                    for segment in self.segments.values_mut() {
                        segment.handle(Input::Drain);
                    }
                    self.draining.get_or_insert_default().push(done);
                }
                Ok(Command::Leave) | Err(mpsc::error::TryRecvError::Disconnected) => return self.leave(),
                Err(mpsc::error::TryRecvError::Empty) => return Flow::On,
            }
        }
    }

    /// Last words on every segment.
    fn leave(&mut self) -> Flow {
        for segment in self.segments.values_mut() {
            segment.handle(Input::Leave);
        }
        self.confirm_held();
        self.tell();
        self.publish();
        Flow::End
    }

    fn follow_placement(&mut self) {
        let placement = Arc::clone(&self.channels.placement.borrow_and_update());
        self.reopen_at = None;
        self.problems.clear();
        let mut last_words = Vec::new();
        self.segments.retain(|index, segment| {
            // A renamed interface is a new segment: the name is what people know it by.
            let stays = placement.segments.get(index).is_some_and(|plan| plan.name == segment.name());
            if !stays {
                segment.handle(Input::Leave);
                last_words.push((segment.name().to_owned(), segment.take_events()));
                info!(segment = segment.name(), "the segment carries nothing any more");
            }
            stays
        });
        for (name, events) in last_words {
            self.tell_events(&name, events);
        }
        for (index, plan) in &placement.segments {
            match self.segments.get_mut(index) {
                Some(segment) => {
                    segment.follow(plan);
                    segment.expect(&self.neighbours);
                }
                None => self.open(*index, plan),
            }
        }
        self.spanning.clone_from(&placement.spanning);
        self.publish_soon();
    }

    fn open(&mut self, index: LinkIndex, plan: &Arc<SegmentPlan>) {
        match SegmentDriver::open(&self.identity, self.channels.binder.as_ref(), index, plan) {
            Ok(mut segment) => {
                info!(segment = plan.name, groups = plan.groups.len(), "the segment carries addresses");
                segment.expect(&self.neighbours);
                if self.draining.is_some() {
                    segment.handle(Input::Drain);
                }
                self.segments.insert(index, segment);
            }
            Err(error) => {
                warn!(segment = plan.name, %error, "cannot open the sockets of a segment");
                self.problems.insert(index, (plan.name.clone(), error.to_string()));
                self.reopen_at = Some(after(REOPEN_AFTER));
            }
        }
    }

    /// Passes on what has happened, and the state when it is time.
    fn tell(&mut self) {
        let happened = |segment: &mut SegmentDriver| {
            let events = segment.take_events();
            (!events.is_empty()).then(|| (segment.name().to_owned(), events))
        };
        let happened: Vec<(String, Vec<(Instant, Event)>)> =
            self.segments.values_mut().filter_map(happened).collect();
        for (name, events) in happened {
            self.tell_events(&name, events);
            self.publish_soon();
        }
        if self.segments.values().all(SegmentDriver::is_drained) {
            for done in self.draining.iter_mut().flat_map(std::mem::take) {
                // Who asked may have stopped waiting.
                let _told = done.send(());
            }
        }
        if self.publish_at <= Instant::now() {
            self.publish();
        }
    }

    fn tell_events(&mut self, segment: &str, events: Vec<(Instant, Event)>) {
        for (at, event) in events {
            let event = SegmentEvent { segment: segment.to_owned(), event, at };
            if self.channels.events.try_send(event).is_err() {
                self.events_dropped = self.events_dropped.saturating_add(1);
            }
        }
    }

    fn publish_soon(&mut self) {
        let rested = self.published + self.publishing * SHARE;
        self.publish_at = self.publish_at.min(after(PUBLISH_AFTER).max(rested));
    }

    fn publish(&mut self) {
        let begin = Instant::now();
        self.publish_at = after(PUBLISH_EVERY);
        let reports =
            self.segments.values_mut().map(|segment| (segment.name().to_owned(), segment.report())).collect();
        self.channels.observed.send_replace(Arc::new(Observed {
            segments: reports,
            problems: self.problems.values().cloned().collect(),
            shortcomings: self.shortcomings.clone(),
            events_dropped: self.events_dropped,
        }));
        (self.published, self.publishing) = (begin, begin.elapsed());
    }
}

fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or(now)
}
