// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One fault, measured: the same for everybody who claims to carry a virtual IP through it.

mod event;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::capture;
use crate::figures::milliseconds;
use crate::frame::Frame;
use crate::probe::{NewClients, NewClientsReport, TOLERATED_STALL, UdpEcho};
use crate::{Lab, Node, Place, Process};

pub use event::Event;

/// How long probers run before the fault, so that the client has its neighbour entry.
const BEFORE: Duration = Duration::from_millis(250);
/// How long to look at who answers before believing it.
const LOOK: Duration = Duration::from_millis(300);
/// How long until one station alone answers again.
const PATIENCE: Duration = Duration::from_secs(40);

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
    /// The same with an IPv6 virtual IP, if it carries one.
    fn target_v6(&self) -> Option<SocketAddr>;
    /// How often its owner says that it is alive.
    fn advert_interval(&self) -> Duration;
    /// Whether `frame` is such a sign of life, for `address`, by the node at `place`.
    fn is_advert(&self, frame: &Frame, place: Place, address: IpAddr) -> bool;
    /// How long a node needs after a fault until it is a full member again.
    fn recovery(&self) -> Duration;
    /// What runs on the node.
    ///
    /// # Errors
    /// Nothing.
    fn process(&self, node: &str) -> Result<&Process>;
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
        let event = self.event.to_string();
        let to = self.to.map_or_else(|| "nobody".to_owned(), Place::name);
        write!(
            f,
            "{event:12} {} -> {to}: outage {:5.1} ms, {:3} of {} probes lost; new clients dark {:5.1} ms, two answered {:5.1} ms; own stall {:4.1} ms",
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
    settled_owner_of(contender, contender.target().ip())
}

/// The same for another of its addresses.
///
/// # Errors
/// As there.
pub fn settled_owner_of(contender: &dyn Contender, address: IpAddr) -> Result<Place> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = watch(contender.lab(), address, LOOK)?;
        let presences = report.presences();
        let mut answerers = presences.keys();
        if let (Some(mac), None) = (answerers.next(), answerers.next())
            && report.longest_dark() < LOOK / 2
        {
            return Place::of_mac(*mac).with_context(|| format!("a stranger, {mac}, answers for {address}"));
        }
        if Instant::now() > deadline {
            let who: Vec<String> = presences.keys().map(ToString::to_string).collect();
            bail!(
                "{}: no single steady answerer for {address} within {PATIENCE:?}; answering: [{}]",
                contender.name(),
                who.join(", ")
            );
        }
    }
}

fn watch(lab: &Lab, address: IpAddr, span: Duration) -> Result<NewClientsReport> {
    let watching = NewClients::start(&lab.newcomer, address)?;
    thread::sleep(span);
    watching.finish()
}

/// Inflicts `event` on the owner at `phase` (0 to 1) of its advert interval, measures, mends it and waits until all is well.
///
/// # Errors
/// Nobody carries the address before or after, the lab fails, or the contender carries no address of the event's family.
pub fn run(contender: &mut dyn Contender, event: Event, phase: f64) -> Result<Trial> {
    let prepared = Prepared::new(contender, event, phase)?;
    let at = prepared.wait(contender)?;
    event.inflict(contender, &prepared.owner)?;
    let owner = prepared.owner.clone();
    let trial = prepared.finish(at)?;
    event.mend(contender, &owner)?;
    thread::sleep(contender.recovery());
    Ok(trial)
}

/// [`run`] for [`Event::Crash`], which needs nothing of the contender but its lab.
///
/// # Errors
/// As there.
pub fn crash(contender: &dyn Contender, phase: f64) -> Result<Trial> {
    let prepared = Prepared::new(contender, Event::Crash, phase)?;
    let at = prepared.wait(contender)?;
    let owner = prepared.owner.clone();
    contender.lab().cut(&owner)?;
    let trial = prepared.finish(at)?;
    contender.lab().plug(&owner)?;
    thread::sleep(contender.recovery());
    Ok(trial)
}

/// [`run`] for [`Event::HandOver`].
///
/// # Errors
/// As there.
pub fn hand_over(contender: &mut dyn Contender, phase: f64) -> Result<Trial> {
    run(contender, Event::HandOver, phase)
}

/// A trial whose probers run.
struct Prepared {
    event: Event,
    phase: f64,
    owner: Node,
    target: SocketAddr,
    cached: UdpEcho,
    new: NewClients,
}

impl Prepared {
    fn new(contender: &dyn Contender, event: Event, phase: f64) -> Result<Self> {
        let lab = contender.lab();
        let target = if event.is_ipv6() { contender.target_v6() } else { Some(contender.target()) };
        let target =
            target.with_context(|| format!("{} carries no address for {event}", contender.name()))?;
        let owner = lab.node_at(settled_owner_of(contender, target.ip())?)?.clone();
        // What an earlier trial left in the client's cache may still work and is not what this one is about.
        lab.client.ip(&format!("neigh flush dev eth0 to {}\n", target.ip()))?;
        let cached = UdpEcho::start(&lab.client, target)?;
        let new = NewClients::start(&lab.newcomer, target.ip())?;
        thread::sleep(BEFORE);
        Ok(Self { event, phase, owner, target, cached, new })
    }

    /// Sleeps until the phase of the interval after one of the owner's adverts.
    fn wait(&self, contender: &dyn Contender) -> Result<Instant> {
        let (place, address) = (self.owner.place(), self.target.ip());
        let advert = capture::wait_for(&contender.lab().client, Duration::from_secs(5), |frame| {
            contender.is_advert(frame, place, address)
        });
        let advert = advert.with_context(|| {
            format!("waiting for an advert of {} by {}", contender.name(), self.owner.name)
        })?;
        let at = advert.at + contender.advert_interval().mul_f64(self.phase.clamp(0.0, 1.0));
        thread::sleep(at.saturating_duration_since(Instant::now()));
        Ok(Instant::now())
    }

    fn finish(self, at: Instant) -> Result<Trial> {
        thread::sleep((at + self.event.observed_for()).saturating_duration_since(Instant::now()));
        let cached = self.cached.finish()?;
        let new = self.new.finish()?;
        Ok(Trial {
            event: self.event,
            phase: self.phase,
            from: self.owner.place(),
            to: new.last_answerer().and_then(Place::of_mac),
            outage: cached.outage,
            probes: cached.sent,
            lost: cached.lost,
            moved_after: new.moved_after(at, self.owner.place().mac()),
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
        let trial = run(contender, event, phase)?;
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
