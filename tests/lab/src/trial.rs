// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One fault, measured: the same for everybody who claims to carry a virtual IP through it.

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::capture;
use crate::figures::milliseconds;
use crate::frame::Frame;
use crate::probe::{NewClients, NewClientsReport, TOLERATED_STALL, UdpEcho};
use crate::{Lab, Node, Place};

/// How long probers run before the fault, so that the client has its neighbour entry.
const BEFORE: Duration = Duration::from_millis(250);
/// How long they run after it. An outage that has not ended by then counts as long as it was seen.
const AFTER: Duration = Duration::from_millis(1000);
/// How long to look at who answers before believing it.
const LOOK: Duration = Duration::from_millis(300);
/// How long until one station alone answers again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two stations answering new clients for longer than this is a fault of its own.
pub const TOLERATED_TWO_ANSWERS: Duration = Duration::from_millis(150);

/// Somebody who carries a virtual IP over the nodes of a lab.
pub trait Contender: Sync {
    /// What it is called in tables.
    fn name(&self) -> &'static str;
    /// The lab that it runs in.
    fn lab(&self) -> &Lab;
    /// The virtual IP with the port where UDP is echoed.
    fn target(&self) -> SocketAddr;
    /// How often its owner says that it is alive.
    fn advert_interval(&self) -> Duration;
    /// Whether `frame` is such a sign of life by the node at `place`.
    fn is_advert(&self, frame: &Frame, place: Place) -> bool;
    /// How long a node needs after a fault until it is a full member again.
    fn recovery(&self) -> Duration;
    /// Asks the node to leave in order (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It does not end.
    fn leave(&mut self, node: &str) -> Result<()>;
    /// Starts it again.
    ///
    /// # Errors
    /// It does not start.
    fn rejoin(&mut self, node: &str) -> Result<()>;
}

/// What happened to the node that carried the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Its cable was pulled: to the others it is dead.
    Crash,
    /// It was asked to leave (SIGTERM).
    HandOver,
}

/// What clients noticed.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What happened.
    pub event: Event,
    /// The fault's place within the advert interval, 0 to 1.
    pub phase: f64,
    /// Who carried the address before.
    pub from: Place,
    /// Who carried it afterwards.
    pub to: Option<Place>,
    /// The longest time a client that knew the address was without an answer (a probe each millisecond).
    pub outage: Duration,
    /// Probes sent.
    pub probes: usize,
    /// Probes lost.
    pub lost: usize,
    /// Until another node answered new clients.
    pub moved_after: Option<Duration>,
    /// The longest time new clients were without an answer (a question each 10 ms).
    pub new_clients_dark: Duration,
    /// The longest span in which two stations answered new clients.
    pub two_answered: Duration,
    /// The worst stall of the probers themselves.
    pub stall: Duration,
}

impl Trial {
    /// Whether the probers were awake enough for this run to count.
    pub fn counts(&self) -> bool {
        self.stall <= TOLERATED_STALL
    }

    /// Whether two stations answered for longer than is tolerable.
    pub fn two_answerers(&self) -> bool {
        self.two_answered > TOLERATED_TWO_ANSWERS
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match self.event {
            Event::Crash => "crash",
            Event::HandOver => "hand-over",
        };
        let to = self.to.map_or_else(|| "nobody".to_owned(), Place::name);
        write!(
            f,
            "{event:9} {} -> {to}: outage {:5.1} ms, {:3} of {} probes lost; new clients dark {:5.1} ms, two answered {:5.1} ms; own stall {:4.1} ms",
            self.from.name(),
            milliseconds(self.outage),
            self.lost,
            self.probes,
            milliseconds(self.new_clients_dark),
            milliseconds(self.two_answered),
            milliseconds(self.stall),
        )?;
        if self.counts() { Ok(()) } else { write!(f, " (not counted)") }
    }
}

/// Waits until exactly one node answers new clients, steadily, and returns it.
///
/// # Errors
/// Nobody, several or a stranger after 20 s.
pub fn settled_owner(contender: &dyn Contender) -> Result<Place> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = watch(contender, LOOK)?;
        let presences = report.presences();
        let mut answerers = presences.keys();
        if let (Some(mac), None) = (answerers.next(), answerers.next())
            && report.longest_dark() < LOOK / 2
        {
            return Place::of_mac(*mac)
                .with_context(|| format!("a stranger, {mac}, answers for {}", contender.target().ip()));
        }
        if Instant::now() > deadline {
            let who: Vec<String> = presences.keys().map(ToString::to_string).collect();
            bail!(
                "{}: no single steady answerer for {} within {PATIENCE:?}; answering: [{}]",
                contender.name(),
                contender.target().ip(),
                who.join(", ")
            );
        }
    }
}

fn watch(contender: &dyn Contender, span: Duration) -> Result<NewClientsReport> {
    let watching = NewClients::start(&contender.lab().newcomer, contender.target().ip())?;
    thread::sleep(span);
    watching.finish()
}

/// Pulls the owner's cable at `phase` (0 to 1) of its advert interval, measures, puts the cable back and waits until all is well.
///
/// # Errors
/// Nobody carries the address before or after, or the lab fails.
pub fn crash(contender: &dyn Contender, phase: f64) -> Result<Trial> {
    let owner = contender.lab().node_at(settled_owner(contender)?)?.clone();
    let trial = measure(contender, Event::Crash, &owner, phase, || contender.lab().cut(&owner))?;
    contender.lab().plug(&owner)?;
    thread::sleep(contender.recovery());
    Ok(trial)
}

/// Asks the owner to leave at `phase` (0 to 1) of its advert interval, measures, starts it again and waits until all is well.
///
/// # Errors
/// Nobody carries the address before or after, or the lab fails.
pub fn hand_over(contender: &mut dyn Contender, phase: f64) -> Result<Trial> {
    let owner = contender.lab().node_at(settled_owner(contender)?)?.clone();
    let probers = Probers::start(contender)?;
    let at = fault_time(contender, &owner, phase)?;
    contender.leave(&owner.name)?;
    let trial = probers.finish(Event::HandOver, &owner, phase, at)?;
    contender.rejoin(&owner.name)?;
    thread::sleep(contender.recovery());
    Ok(trial)
}

fn measure(
    contender: &dyn Contender,
    event: Event,
    owner: &Node,
    phase: f64,
    inflict: impl FnOnce() -> Result<()>,
) -> Result<Trial> {
    let probers = Probers::start(contender)?;
    let at = fault_time(contender, owner, phase)?;
    inflict()?;
    probers.finish(event, owner, phase, at)
}

/// Sleeps until `phase` of the interval after one of the owner's adverts.
fn fault_time(contender: &dyn Contender, owner: &Node, phase: f64) -> Result<Instant> {
    let place = owner.place();
    let advert = capture::wait_for(&contender.lab().client, Duration::from_secs(5), |frame| {
        contender.is_advert(frame, place)
    })
    .with_context(|| format!("waiting for an advert of {} by {}", contender.name(), owner.name))?;
    let at = advert.at + contender.advert_interval().mul_f64(phase.clamp(0.0, 1.0));
    thread::sleep(at.saturating_duration_since(Instant::now()));
    Ok(Instant::now())
}

struct Probers {
    cached: UdpEcho,
    new: NewClients,
}

impl Probers {
    fn start(contender: &dyn Contender) -> Result<Self> {
        let lab = contender.lab();
        let cached = UdpEcho::start(&lab.client, contender.target())?;
        let new = NewClients::start(&lab.newcomer, contender.target().ip())?;
        thread::sleep(BEFORE);
        Ok(Self { cached, new })
    }

    fn finish(self, event: Event, owner: &Node, phase: f64, at: Instant) -> Result<Trial> {
        thread::sleep((at + AFTER).saturating_duration_since(Instant::now()));
        let cached = self.cached.finish()?;
        let new = self.new.finish()?;
        Ok(Trial {
            event,
            phase,
            from: owner.place(),
            to: new.last_answerer().and_then(Place::of_mac),
            outage: cached.outage,
            probes: cached.sent,
            lost: cached.lost,
            moved_after: new.moved_after(at, owner.place().mac()),
            new_clients_dark: new.longest_dark(),
            two_answered: new.two_answered(),
            stall: cached.stall.max(new.stall),
        })
    }
}

/// How often a trial is repeated because the probers stalled.
const REPEATS: usize = 3;

/// Repeats the trial until one counts, at most four times; `show` sees each. Returns all of them: if none counts, this machine is too busy.
///
/// # Errors
/// A trial fails.
pub fn until_it_counts(
    contender: &mut dyn Contender,
    event: Event,
    phase: f64,
    mut show: impl FnMut(&Trial) -> Result<()>,
) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    while trials.len() <= REPEATS && !trials.iter().any(Trial::counts) {
        let trial = match event {
            Event::Crash => crash(contender, phase)?,
            Event::HandOver => hand_over(contender, phase)?,
        };
        show(&trial)?;
        trials.push(trial);
    }
    Ok(trials)
}

/// Places for `count` faults spread evenly over an interval: the middle of each stratum, in an order that a drift of the machine cannot
/// line up with (steps by the golden ratio).
pub fn phases(count: usize) -> Vec<f64> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut order: Vec<(f64, usize)> =
        (0..count).map(|index| ((index as f64 * GOLDEN).fract(), index)).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut phases = vec![0.0; count];
    for (stratum, (_, index)) in order.into_iter().enumerate() {
        if let Some(phase) = phases.get_mut(index) {
            *phase = (stratum as f64 + 0.5) / count as f64;
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_fill_every_stratum_of_the_interval_once() {
        let mut phases = phases(40);
        assert!(phases[0] != phases[1]);
        phases.sort_by(f64::total_cmp);
        for (stratum, phase) in phases.iter().enumerate() {
            assert!((phase * 40.0 - (stratum as f64 + 0.5)).abs() < 1e-9, "{stratum}: {phase}");
        }
    }
}
