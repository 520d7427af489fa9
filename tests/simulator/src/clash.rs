// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A play of its own for what befalls no ordinary world: a machine that was cloned with its identity.

use std::time::Duration;

use crate::{Failure, Fault, Played, Setup, Signing, Violation, World};

/// The original and its clone.
const TWINS: [usize; 2] = [0, 3];
/// Longer than a node that starts waits for others.
const ALONE: Duration = Duration::from_secs(14);
const CALM: Duration = Duration::from_secs(5);

/// Three nodes and a clone of the first: it grows up apart from them and meets them; then one of the two dies, and comes back.
///
/// # Errors
/// The first rule that was broken.
pub fn clash(seed: u64) -> Result<Played, Box<Failure>> {
    let setup =
        Setup { seed, nodes: 4, groups: 9, twin: true, signing: Signing::Checksum, ..Setup::default() };
    let mut world = World::new(setup);
    match live(&mut world, &mut fastrand::Rng::with_seed(seed)) {
        Ok(()) => Ok(Played { time: world.elapsed(), faults: 8, claims: world.book().claims() }),
        Err(violation) => {
            let (at, trace) = (world.elapsed(), world.trace().to_vec());
            Err(Box::new(Failure { seed, at, violation, trace }))
        }
    }
}

fn live(world: &mut World, random: &mut fastrand::Rng) -> Result<(), Violation> {
    for node in 0..3 {
        world.inflict(&Fault::Start(node))?;
        world.run_for(Duration::from_millis(random.u64(0..300)))?;
    }
    world.run_for(CALM)?;
    // A client on its side proves to it that it is heard.
    let clone_and_client = vec![3, 4];
    if random.bool() {
        world.inflict(&Fault::Split(clone_and_client))?;
    }
    world.inflict(&Fault::Start(3))?;
    world.run_for(ALONE)?;
    world.inflict(&Fault::Heal)?;
    world.run_for(CALM)?;
    world.is_single()?;
    let dies = *random.choice(TWINS.iter()).unwrap_or(&0);
    world.inflict(&Fault::Crash(dies))?;
    world.run_for(CALM)?;
    world.is_served()?;
    world.inflict(&Fault::Start(dies))?;
    world.run_for(CALM)?;
    world.is_single()?;
    world.is_served()
}
