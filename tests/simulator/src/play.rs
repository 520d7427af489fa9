// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One random play: a seed makes a site of nodes on one or two segments, what befalls them, and in the end peace, in which
//! everything must come to rest.

use std::{fmt, net::Ipv4Addr, time::Duration};

use crate::{Fault, Setup, Signing, Violation, World};

/// Faults occur for so long, at least; the play goes on for a minute altogether.
const TROUBLE: Duration = Duration::from_secs(51);
/// Then everything is repaired, and whoever was asked to end ends.
const REPAIR: Duration = Duration::from_secs(3);
/// Then the world must come to rest.
const REST: Duration = Duration::from_secs(6);
/// One play in so many authenticates hellos as a cluster does.
const REAL_HMAC: u64 = 64;
/// In one play in so many a cable is loose.
const LOOSE_CABLE: u64 = 8;
/// In one play in so many processes are told of their groups in parts.
const IN_PARTS: u64 = 8;
/// Lines of the trace that are told.
const TOLD: usize = 150;

/// A play without a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Virtual time, once per segment.
    pub time: Duration,
    /// What was done to the world.
    pub faults: u32,
    /// How often a group was claimed.
    pub claims: usize,
}

/// A rule was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The play can be repeated with it.
    pub seed: u64,
    /// When it was broken.
    pub at: Duration,
    /// Which.
    pub violation: Violation,
    /// What happened before.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.trace.iter().skip(self.trace.len().saturating_sub(TOLD)) {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}, {:?}: {}", self.seed, self.at, self.violation)
    }
}

/// Plays a seed.
///
/// # Errors
/// The first rule that was broken.
pub fn play(seed: u64, verbose: bool) -> Result<Played, Box<Failure>> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(1));
    let setup = setup(seed, verbose);
    let segments = if random.u8(..16) == 0 { 2 } else { 1 };
    let worlds = (0..segments).map(|segment| {
        let groups = if segments == 1 { setup.groups } else { setup.groups / 2 + 1 };
        World::new(Setup { segment, groups, ..setup.clone() })
    });
    let in_parts = seed % IN_PARTS == 5;
    let mut site = Site { worlds: worlds.collect(), faults: 0, failed: 0, in_parts };
    match site.live(&setup, &mut random) {
        Ok(()) => Ok(site.played()),
        Err(violation) => Err(Box::new(site.failed(seed, violation))),
    }
}

fn setup(seed: u64, verbose: bool) -> Setup {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    Setup {
        seed,
        // More cost more: each hears all others.
        nodes: if random.u8(..8) == 0 { random.usize(6..=7) } else { 5 },
        // Every second one has two addresses: 51 to 60.
        groups: random.usize(34..=40),
        clients: random.usize(1..=2),
        gateway: random.bool().then_some(Ipv4Addr::new(192, 0, 2, 254)),
        question_every: Duration::from_millis(200),
        delay: Duration::from_micros(random.u64(50..2_000)),
        jitter: Duration::from_micros(random.u64(0..8_000)),
        signing: if seed.is_multiple_of(REAL_HMAC) { Signing::Hmac } else { Signing::Checksum },
        slower: if random.u8(..4) == 0 { random.usize(1..=2) } else { 0 },
        verbose,
        ..Setup::default()
    }
}

/// Machines on several segments: what befalls one of them is felt on all; otherwise the segments know nothing of each other.
struct Site {
    worlds: Vec<World>,
    faults: u32,
    /// Which of them was looked at last.
    failed: usize,
    /// Processes are told of their groups in parts.
    in_parts: bool,
}

impl Site {
    fn live(&mut self, setup: &Setup, random: &mut fastrand::Rng) -> Result<(), Violation> {
        for world in &mut self.worlds {
            world.network().duplication = if random.bool() { 0.05 } else { 0.0 };
        }
        if random.u8(..4) == 0 {
            self.inflict(&Fault::Squat { group: 0, begin: true }, random)?;
        }
        for node in 0..setup.nodes {
            self.inflict(&Fault::Start(node), random)?;
            // Now and then the first is alone for a while.
            let alone = node == 0 && random.u8(..4) == 0;
            self.run(if alone { random.u64(2_000..9_000) } else { random.u64(0..400) })?;
        }
        // Not drawn by lot: the seeds that are kept play on as before.
        if setup.seed % LOOSE_CABLE == 3 {
            self.loosen_a_cable(setup.nodes, random)?;
        }
        if self.in_parts {
            self.learn_slowly(setup, random)?;
        }
        while self.elapsed() < TROUBLE {
            match random.u8(..24) {
                0 => self.change_keys(setup.nodes, random)?,
                1 => self.die_among_recordings(setup.nodes, random)?,
                2 => self.restart_at_once(setup.nodes, random)?,
                3 => self.stand_still_shortly(setup.nodes, random)?,
                _ => self.suffer(setup, random)?,
            }
        }
        self.repair(setup, random)?;
        self.run_for(REPAIR)?;
        for node in 0..setup.nodes {
            self.inflict(&Fault::Start(node), random)?;
        }
        self.run_for(REST)?;
        self.each(|world| world.is_served())
    }

    /// A fault, and after a while perhaps what undoes it.
    fn suffer(&mut self, setup: &Setup, random: &mut fastrand::Rng) -> Result<(), Violation> {
        // Now and then calm enough for the strict rules to apply, now and then one blow after the other.
        let pause = if random.u8(..2) == 0 { random.u64(3_050..5_000) } else { random.u64(1..900) };
        self.run(pause)?;
        let ports = setup.nodes + setup.clients + usize::from(setup.gateway.is_some());
        let fault = Fault::any(setup.nodes, ports, setup.groups, random);
        self.inflict(&fault, random)?;
        for remedy in remedies(&fault, setup.nodes, random) {
            let pause = if random.u8(..4) == 0 { random.u64(3_000..6_000) } else { random.u64(10..2_500) };
            self.run(pause)?;
            self.inflict(&remedy, random)?;
        }
        Ok(())
    }

    /// A whole change of keys, node by node, step by step.
    fn change_keys(&mut self, nodes: usize, random: &mut fastrand::Rng) -> Result<(), Violation> {
        for _ in 0..3 {
            let mut order: Vec<usize> = (0..nodes).collect();
            random.shuffle(&mut order);
            for node in order {
                self.inflict(&Fault::Rekey(node), random)?;
                self.run(random.u64(0..60))?;
            }
        }
        Ok(())
    }

    /// A machine dies while an attacker repeats what he recorded of it.
    fn die_among_recordings(&mut self, nodes: usize, random: &mut fastrand::Rng) -> Result<(), Violation> {
        self.run(3_100)?;
        let node = random.usize(..nodes);
        self.inflict(&Fault::Crash(node), random)?;
        for _ in 0..60 {
            self.inflict(&Fault::Replay, random)?;
            self.inflict(&Fault::Replay, random)?;
            self.run(random.u64(1..20))?;
        }
        self.inflict(&Fault::Start(node), random)
    }

    /// A node is cut off three times within a minute; then another dies.
    fn loosen_a_cable(&mut self, nodes: usize, random: &mut fastrand::Rng) -> Result<(), Violation> {
        let node = random.usize(..nodes);
        for _ in 0..3 {
            self.each(|world| world.inflict(&Fault::Cable(node, false)))?;
            self.run(random.u64(1_000..2_000))?;
            self.each(|world| world.inflict(&Fault::Cable(node, true)))?;
            self.run(random.u64(1_100..3_000))?;
        }
        self.run(3_100)?;
        let other = (node + random.usize(1..nodes)) % nodes;
        self.inflict(&Fault::Crash(other), random)?;
        self.run(random.u64(500..3_500))?;
        self.inflict(&Fault::Start(other), random)
    }

    /// A process learns of its groups in three parts or more, with much time in between: meanwhile some of those that come last
    /// lose their owner, and nobody else may carry them.
    fn learn_slowly(&mut self, setup: &Setup, random: &mut fastrand::Rng) -> Result<(), Violation> {
        let node = random.usize(..setup.nodes);
        self.run(3_100)?;
        self.inflict(&Fault::Kill(node), random)?;
        self.run(random.u64(100..1_000))?;
        let size = setup.groups / (2 * self.worlds.len()) / 2 + 1;
        self.inflict(&Fault::StartInParts { node, size, pause: 5_500 }, random)?;
        self.run(3_900)?;
        let others = (0..setup.nodes).filter(|other| *other != node);
        let barred = |ready| {
            let of = move |other| (1..6).map(move |group| Fault::Ready { node: other, group, ready });
            others.clone().flat_map(of)
        };
        for fault in barred(false) {
            self.each(|world| world.inflict(&fault))?;
        }
        self.run(18_000)?;
        for fault in barred(true) {
            self.each(|world| world.inflict(&fault))?;
        }
        Ok(())
    }

    /// A speaker is started again before anybody misses it.
    fn restart_at_once(&mut self, nodes: usize, random: &mut fastrand::Rng) -> Result<(), Violation> {
        self.run(3_100)?;
        let node = random.usize(..nodes);
        self.inflict(&Fault::Kill(node), random)?;
        self.run(random.u64(1..80))?;
        self.inflict(&Fault::Start(node), random)?;
        self.run(random.u64(500..4_000))
    }

    /// For about as long as peers wait.
    fn stand_still_shortly(&mut self, nodes: usize, random: &mut fastrand::Rng) -> Result<(), Violation> {
        for _ in 0..4 {
            let node = random.usize(..nodes);
            self.inflict(&Fault::Freeze(node), random)?;
            self.run(random.u64(80..320))?;
            self.inflict(&Fault::Thaw(node), random)?;
            self.run(random.u64(300..900))?;
        }
        Ok(())
    }

    fn repair(&mut self, setup: &Setup, random: &mut fastrand::Rng) -> Result<(), Violation> {
        for world in &mut self.worlds {
            for node in 0..setup.nodes {
                world.inflict(&Fault::Cable(node, true))?;
            }
            for group in 0..setup.groups {
                (0..setup.nodes)
                    .try_for_each(|node| world.inflict(&Fault::Ready { node, group, ready: true }))?;
            }
            (0..setup.groups).try_for_each(|group| world.inflict(&Fault::Squat { group, begin: false }))?;
            world.inflict(&Fault::Heal)?;
        }
        (0..setup.nodes).try_for_each(|node| self.inflict(&Fault::Thaw(node), random))
    }

    /// Inflicts it on one segment, or on the machine and so on all.
    fn inflict(&mut self, fault: &Fault, random: &mut fastrand::Rng) -> Result<(), Violation> {
        self.faults = self.faults.saturating_add(1);
        if let (true, Fault::Start(node)) = (self.in_parts, fault) {
            let (size, pause) = (random.usize(3..=12), random.u64(0..150));
            let fault = Fault::StartInParts { node: *node, size, pause };
            return self.each(|world| world.inflict(&fault));
        }
        if fault.befalls_the_machine() {
            return self.each(|world| world.inflict(fault));
        }
        let choice = random.usize(..self.worlds.len());
        let recorded = self.worlds.iter_mut().rev().nth(choice).and_then(World::record);
        self.failed = choice;
        let Some(world) = self.worlds.get_mut(choice) else { return Ok(()) };
        // What was recorded on one segment is repeated on the other, too; not while it is fresh: who forwards hellos both ways
        // between two segments makes one of them.
        if let (Fault::Replay, Some((payload, source))) = (fault, recorded) {
            world.replay(payload, source);
        }
        world.inflict(fault)
    }

    fn run(&mut self, milliseconds: u64) -> Result<(), Violation> {
        self.run_for(Duration::from_millis(milliseconds))
    }

    /// The segments share nothing but their machines, so that one after the other is as good as both at once.
    fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        self.each(|world| world.run_for(time))
    }

    fn each(&mut self, act: impl Fn(&mut World) -> Result<(), Violation>) -> Result<(), Violation> {
        for (number, world) in self.worlds.iter_mut().enumerate() {
            self.failed = number;
            act(world)?;
        }
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.worlds.first().map(World::elapsed).unwrap_or_default()
    }

    fn played(&self) -> Played {
        Played {
            time: self.worlds.iter().map(World::elapsed).sum(),
            faults: self.faults,
            claims: self.worlds.iter().map(|world| world.book().claims()).sum(),
        }
    }

    fn failed(&self, seed: u64, violation: Violation) -> Failure {
        let failed = self.worlds.get(self.failed);
        let trace = failed.map(|world| world.trace().to_vec()).unwrap_or_default();
        Failure { seed, at: failed.map(World::elapsed).unwrap_or_default(), violation, trace }
    }
}

/// What undoes the fault, mostly.
fn remedies(fault: &Fault, nodes: usize, random: &mut fastrand::Rng) -> Vec<Fault> {
    if random.u8(..4) == 0 {
        return Vec::new();
    }
    match fault {
        Fault::Crash(node) | Fault::Kill(node) | Fault::Terminate(node) => vec![Fault::Start(*node)],
        Fault::Freeze(node) => vec![Fault::Thaw(*node)],
        Fault::Cable(node, _) => vec![Fault::Cable(*node, true)],
        Fault::Block { .. }
        | Fault::Split(_)
        | Fault::Deafen(_)
        | Fault::Mute(_)
        | Fault::Lose(_)
        | Fault::Muffle(_)
        | Fault::Lag(_) => vec![Fault::Heal],
        Fault::Ready { node, group, .. } => vec![Fault::Ready { node: *node, group: *group, ready: true }],
        Fault::Squat { group, .. } => vec![Fault::Squat { group: *group, begin: false }],
        Fault::Replay | Fault::Forge => vec![Fault::Replay, Fault::Forge],
        _ => vec![Fault::Start(random.usize(..nodes))],
    }
}
