// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A play of its own for groups that are bound: processes die and stand still, and their kernels go on answering for a while.

use std::time::Duration;

use crate::{Failure, Fault, Played, Setup, Signing, Violation, World};

const NODES: usize = 4;
const GROUPS: usize = 8;
const CALM: Duration = Duration::from_secs(5);
/// Something befalls a node so often.
const FAULTS: u32 = 7;

/// Four nodes, one of which at a time is ill.
///
/// # Errors
/// The first rule that was broken.
pub fn bound(seed: u64) -> Result<Played, Box<Failure>> {
    let (bound, signing) = (true, Signing::Checksum);
    let mut world =
        World::new(Setup { seed, nodes: NODES, groups: GROUPS, bound, signing, ..Setup::default() });
    match live(&mut world, &mut fastrand::Rng::with_seed(seed)) {
        Ok(()) => Ok(Played { time: world.elapsed(), faults: FAULTS * 2, claims: world.book().claims() }),
        Err(violation) => {
            let (at, trace) = (world.elapsed(), world.trace().to_vec());
            Err(Box::new(Failure { seed, at, violation, trace }))
        }
    }
}

fn live(world: &mut World, random: &mut fastrand::Rng) -> Result<(), Violation> {
    for node in 0..NODES {
        world.inflict(&Fault::Start(node))?;
        world.run_for(Duration::from_millis(random.u64(0..400)))?;
    }
    for _ in 0..FAULTS {
        world.run_for(CALM)?;
        let (node, group) = (random.usize(..NODES), random.usize(..GROUPS));
        let (fault, remedy) = match random.u8(..6) {
            0 | 1 => (Fault::Kill(node), Fault::Start(node)),
            2 | 3 => (Fault::Freeze(node), Fault::Thaw(node)),
            4 => (Fault::Crash(node), Fault::Start(node)),
            _ => (Fault::HandOver { node, group, to: None }, Fault::Start(node)),
        };
        world.inflict(&fault)?;
        world.run_for(Duration::from_millis(random.u64(100..6_000)))?;
        world.inflict(&remedy)?;
    }
    world.run_for(CALM)?;
    world.is_served()
}
