// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A play of its own for a node that stands still for less than the others bear, and has everything that they said meanwhile before
//! it when it goes on. What the first of these hellos gives free, another node may have taken long ago, as a later one tells.

use std::time::Duration;

use crate::{Failure, Fault, Played, Setup, Signing, Violation, World};

const NODES: usize = 4;
const ROUNDS: u32 = 6;
const CALM: Duration = Duration::from_secs(4);
/// Who is started anew after this long replaces its old process at once: that one's next hello is overdue.
const GONE: Duration = Duration::from_millis(100);
/// Others have claimed by then, and whoever stood still for so long need not listen before it acts.
const STALL: Duration = Duration::from_millis(180);

/// Again and again a speaker is started anew, and what its old process held falls to whoever hears of that, while one node that
/// was just heard stands still.
///
/// # Errors
/// The first rule that was broken.
pub fn catch_up(seed: u64) -> Result<Played, Box<Failure>> {
    let setup = Setup { seed, nodes: NODES, groups: 24, signing: Signing::Checksum, ..Setup::default() };
    let mut world = World::new(setup);
    match live(&mut world, &mut fastrand::Rng::with_seed(seed)) {
        Ok(()) => Ok(Played { time: world.elapsed(), faults: 4 * ROUNDS, claims: world.book().claims() }),
        Err(violation) => {
            let (at, trace) = (world.elapsed(), world.trace().to_vec());
            Err(Box::new(Failure { seed, at, violation, trace }))
        }
    }
}

fn live(world: &mut World, random: &mut fastrand::Rng) -> Result<(), Violation> {
    for node in 0..NODES {
        world.inflict(&Fault::Start(node))?;
    }
    world.run_for(CALM)?;
    for _ in 0..ROUNDS {
        let restarted = random.usize(..NODES);
        let still = (restarted + random.usize(1..NODES)) % NODES;
        world.inflict(&Fault::Kill(restarted))?;
        world.run_for(GONE)?;
        world.inflict(&Fault::Start(restarted))?;
        // Within an interval each of the others is heard, and so echoed in the new process' first hello.
        world.run_for(Duration::from_micros(random.u64(0..75_000)))?;
        world.inflict(&Fault::Freeze(still))?;
        world.run_for(STALL)?;
        world.inflict(&Fault::Thaw(still))?;
        world.run_for(CALM)?;
        world.is_served()?;
    }
    Ok(())
}
