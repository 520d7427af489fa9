// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Random worlds with random faults. A seed that fails prints what happened.
//!
//! `FERROLB_SEED=n cargo test -p ferrolb-simulator --test seeds` repeats one seed with every event on standard error;
//! `FERROLB_SEEDS=n` plays as many seeds instead of the usual number.

#![cfg(test)]

use std::{net::Ipv4Addr, time::Duration};

use ferrolb_simulator::{Fault, Setup, Violation, World};

const SEEDS: u64 = 320;
/// Faults occur for so long; then everything is repaired, and the world must come to rest.
const TROUBLE: Duration = Duration::from_secs(25);
const REST: Duration = Duration::from_secs(6);

#[test]
fn every_rule_holds_in_random_worlds_first_half() {
    run_seeds(0..seeds() / 2);
}

#[test]
fn every_rule_holds_in_random_worlds_second_half() {
    run_seeds(seeds() / 2..seeds());
}

fn seeds() -> u64 {
    std::env::var("FERROLB_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

fn run_seeds(seeds: std::ops::Range<u64>) {
    let only = std::env::var("FERROLB_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    for seed in seeds.filter(|seed| only.is_none_or(|only| only == *seed)) {
        let mut world = World::new(setup(seed, only.is_some()));
        if let Err(violation) = play(&mut world, seed) {
            let trace = world.trace();
            let tail = trace[trace.len().saturating_sub(120)..].join("\n");
            panic!("{tail}\nseed {seed}, {:?}: {violation}", world.elapsed());
        }
    }
}

fn setup(seed: u64, verbose: bool) -> Setup {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    Setup {
        seed,
        nodes: random.usize(2..=5),
        groups: random.usize(1..=6),
        clients: random.usize(1..=2),
        gateway: random.bool().then_some(Ipv4Addr::new(192, 0, 2, 254)),
        delay: Duration::from_micros(random.u64(50..2_000)),
        jitter: Duration::from_micros(random.u64(0..8_000)),
        verbose,
        ..Setup::default()
    }
}

fn play(world: &mut World, seed: u64) -> Result<(), Violation> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9));
    let Setup { nodes, groups, clients, gateway, .. } = setup(seed, false);
    let ports = nodes + clients + usize::from(gateway.is_some());
    world.network().duplication = if random.bool() { 0.05 } else { 0.0 };
    for node in 0..nodes {
        world.inflict(&Fault::Start(node))?;
        world.run_for(Duration::from_millis(random.u64(0..400)))?;
    }
    while world.elapsed() < TROUBLE {
        // Now and then calm enough for the strict rules to apply, now and then one blow after the other.
        let pause = if random.u8(..3) == 0 { random.u64(2_000..6_000) } else { random.u64(1..900) };
        world.run_for(Duration::from_millis(pause))?;
        let fault = Fault::any(nodes, ports, groups, &mut random);
        world.inflict(&fault)?;
        for remedy in remedies(&fault, nodes, &mut random) {
            world.run_for(Duration::from_millis(random.u64(10..2_500)))?;
            world.inflict(&remedy)?;
        }
    }
    for node in 0..nodes {
        world.inflict(&Fault::Cable(node, true))?;
        world.inflict(&Fault::Thaw(node))?;
        for group in 0..groups {
            world.inflict(&Fault::Ready { node, group, ready: true })?;
        }
    }
    world.inflict(&Fault::Heal)?;
    // Who was asked to end has ended.
    world.run_for(Duration::from_secs(3))?;
    for node in 0..nodes {
        world.inflict(&Fault::Start(node))?;
    }
    world.run_for(REST)?;
    for group in 0..groups {
        assert_eq!(world.answering(group).len(), 1, "seed {seed}: group {group}");
    }
    Ok(())
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
        Fault::Block { .. } | Fault::Split(_) | Fault::Lose(_) => vec![Fault::Heal],
        Fault::Ready { node, group, .. } => vec![Fault::Ready { node: *node, group: *group, ready: true }],
        Fault::Replay | Fault::Forge => vec![Fault::Replay, Fault::Forge],
        _ => vec![Fault::Start(random.usize(..nodes))],
    }
}
