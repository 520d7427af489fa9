// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A play of its own for a segment of more nodes than one can bear to hear at the usual pace: ten join in a burst and leave
//! in another, and nobody may take any of the others for dead meanwhile.

use std::time::Duration;

use ferrolb_layer2::{Event, PeerDownCause};

use crate::{Failure, Fault, Played, Setup, Signing, Violation, World};

/// The nodes that are there from the beginning, and all.
const FEW: usize = 6;
const ALL: usize = 16;
/// Hellos a second: seven nodes may speak every 75 ms, sixteen every 160 ms.
const BORNE: u32 = 100;
/// Times are taken on step by step, with one hello each.
const CALM: Duration = Duration::from_secs(6);

/// A few nodes, then many, of which one dies and comes back, then a few.
///
/// # Errors
/// The first rule that was broken.
pub fn crowd(seed: u64) -> Result<Played, Box<Failure>> {
    let setup = Setup {
        seed,
        nodes: ALL,
        groups: 9,
        hellos_borne: Some(BORNE),
        signing: Signing::Checksum,
        ..Setup::default()
    };
    let mut world = World::new(setup);
    match live(&mut world, &mut fastrand::Rng::with_seed(seed)) {
        Ok(()) => Ok(Played { time: world.elapsed(), faults: 28, claims: world.book().claims() }),
        Err(violation) => {
            let (at, trace) = (world.elapsed(), world.trace().to_vec());
            Err(Box::new(Failure { seed, at, violation, trace }))
        }
    }
}

fn live(world: &mut World, random: &mut fastrand::Rng) -> Result<(), Violation> {
    for node in 0..ALL {
        world.inflict(&Fault::Start(node))?;
        world.run_for(Duration::from_millis(random.u64(0..20)))?;
        if node + 1 == FEW {
            world.run_for(CALM)?;
            world.keeps_pace()?;
        }
    }
    world.run_for(CALM)?;
    world.keeps_pace()?;
    world.is_served()?;
    nobody_was_missed(world, Duration::ZERO, None)?;
    let dies = random.usize(..FEW);
    let death = world.elapsed();
    world.inflict(&Fault::Crash(dies))?;
    world.run_for(CALM)?;
    world.is_served()?;
    world.inflict(&Fault::Start(dies))?;
    world.run_for(CALM)?;
    for node in FEW..ALL {
        world.inflict(&Fault::Terminate(node))?;
        world.run_for(Duration::from_millis(random.u64(0..20)))?;
    }
    world.run_for(CALM)?;
    nobody_was_missed(world, death, Some(dies))?;
    world.keeps_pace()?;
    world.is_served()
}

/// S5: since then nobody was taken for dead but the one who was.
fn nobody_was_missed(world: &World, since: Duration, dead: Option<usize>) -> Result<(), Violation> {
    let dead = dead.map(|dead| world.id(dead));
    let missed = world.book().happenings().iter().find(|happening| {
        let silent = match happening.event {
            Event::PeerDown(node, PeerDownCause::Silence | PeerDownCause::Deaf) => Some(node),
            _ => None,
        };
        happening.at >= since && silent.is_some() && silent != dead
    });
    match missed {
        Some(missed) => {
            let text = format!("{:?} at {:?}, though nobody died", missed.event, missed.at);
            Err(Violation(format!("S5: node {}: {text}", missed.node)))
        }
        None => Ok(()),
    }
}
