// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A play of its own for sharing out what one node took while it was alone: each node hands over its part of the plan that all
//! make of the same claims, a group at a time, and somebody answers for every group at every moment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ferrolb_layer2::{
    Event, GroupId, GroupState, NodeId, Phase, SegmentView,
    balance::{Standing, transfers},
};

use crate::{Failure, Fault, Played, Setup, Signing, Violation, World};

const NODES: usize = 4;
const GROUPS: usize = 24;
/// Of 24 groups four nodes hold six each; a quarter more is the bound.
const SHARE: usize = 8;
/// Longer than a node that starts waits for others.
const ALONE: Duration = Duration::from_secs(14);
const CALM: Duration = Duration::from_secs(4);
/// A node hands over one group in this time.
const PACE: Duration = Duration::from_millis(500);
/// How often it is looked whether somebody answers.
const LOOK: Duration = Duration::from_millis(2);

/// One node, then four; first nobody asks for anything to move, then all rebalance.
///
/// # Errors
/// The first rule that was broken.
pub fn rebalance(seed: u64) -> Result<Played, Box<Failure>> {
    let signing = Signing::Checksum;
    let mut world = World::new(Setup { seed, nodes: NODES, groups: GROUPS, signing, ..Setup::default() });
    match live(&mut world, &mut fastrand::Rng::with_seed(seed)) {
        Ok(()) => Ok(Played { time: world.elapsed(), faults: 20, claims: world.book().claims() }),
        Err(violation) => {
            let (at, trace) = (world.elapsed(), world.trace().to_vec());
            Err(Box::new(Failure { seed, at, violation, trace }))
        }
    }
}

fn live(world: &mut World, random: &mut fastrand::Rng) -> Result<(), Violation> {
    world.inflict(&Fault::Start(0))?;
    world.run_for(ALONE)?;
    for node in 1..NODES {
        world.inflict(&Fault::Start(node))?;
        world.run_for(Duration::from_millis(random.u64(0..400)))?;
    }
    world.run_for(CALM)?;
    if let Some(group) = (0..GROUPS).find(|group| world.answering(*group) != [0]) {
        return Err(Violation(format!("S7: group {group} moved, though nobody asked for that")));
    }
    let before = moves(world);
    // Enough for all that has to move, and as much again.
    for _ in 0..2 * GROUPS {
        for (node, group, to) in due(world) {
            world.inflict(&Fault::HandOver { node, group, to: Some(to) })?;
        }
        let end = world.elapsed() + PACE;
        while world.elapsed() < end {
            world.run_for(LOOK)?;
            if let Some(group) = (0..GROUPS).find(|group| world.answering(*group).is_empty()) {
                return Err(Violation(format!("S8: nobody answers for group {group} while it moves")));
            }
        }
    }
    world.is_served()?;
    let moved = moves(world) - before;
    if moved != GROUPS - SHARE {
        return Err(Violation(format!("rule 8: {moved} groups moved, {} had to", GROUPS - SHARE)));
    }
    let held = |node| (0..GROUPS).filter(|group| world.answering(*group) == [node]).count();
    match (0..NODES).find(|node| held(*node) > SHARE) {
        Some(node) => Err(Violation(format!("S14: node {node} is left with {} groups", held(node)))),
        None => Ok(()),
    }
}

fn moves(world: &World) -> usize {
    let claimed = |event: &Event| matches!(event, Event::Claimed { .. });
    world.book().happenings().iter().filter(|happening| claimed(&happening.event)).count()
}

/// What each node hands over now: from whom, what, to whom.
fn due(world: &World) -> Vec<(usize, usize, usize)> {
    let number = |id: NodeId| (0..NODES).find(|node| world.id(*node) == id);
    let group = |id: GroupId| (0..GROUPS).find(|group| World::group(*group) == id);
    let first = |node: usize| {
        let (view, me) = (world.view(node)?, world.id(node));
        let mine = transfers(&standings(&view, me)?, view.groups.len())
            .into_iter()
            .find(|transfer| transfer.from == me)?;
        Some((node, group(mine.group)?, number(mine.to)?))
    };
    (0..NODES).filter_map(first).collect()
}

/// What a node sees, unless something moves or is not known to it.
fn standings(view: &SegmentView, me: NodeId) -> Option<Vec<Standing<GroupId, NodeId>>> {
    let moves = view.groups.iter().any(|group| matches!(group.state, GroupState::Offering(_)));
    let complete = view.peers.iter().all(|peer| peer.complete);
    if view.phase != Phase::Active || !view.proven || moves || !complete {
        return None;
    }
    let nodes = view.peers.iter().filter(|peer| !peer.draining && !peer.suspect).map(|peer| peer.node);
    let able: BTreeMap<NodeId, u32> = nodes.chain([me]).map(|node| (node, 0)).collect();
    let able = Arc::new(able);
    let standing = |group: GroupId, owner: NodeId| Standing { group, owner, able: Arc::clone(&able) };
    Some(view.groups.iter().filter_map(|group| Some(standing(group.id, group.owner?))).collect())
}
