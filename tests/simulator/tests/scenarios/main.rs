// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Each rule by itself, in a world made for it.

#![cfg(test)]

mod bound;
mod cold_start;
mod cut_off;
mod damping;
mod death;
mod foreign;
mod hand_over;
mod identity;
mod in_parts;
mod load;
mod many;
mod proof;
mod relay;
mod restart;
mod stall;

use std::{net::IpAddr, time::Duration};

use ferrolb_layer2::{Cause, Event, GroupState, Timing};
use ferrolb_simulator::{Fault, Happening, Setup, World};

const MS: Duration = Duration::from_millis(1);
const T: Duration = Timing::DEFAULT.hello;
const D: Duration = Timing::DEFAULT.dead;
/// What flight, scheduling and a rank that a late neighbour costs add to a deadline.
const MARGIN: Duration = Duration::from_millis(10);

/// A world whose nodes have started, and whose groups have owners.
fn settled(setup: Setup) -> World {
    let (nodes, groups) = (setup.nodes, setup.groups);
    let mut world = World::new(setup);
    for node in 0..nodes {
        inflict(&mut world, Fault::Start(node));
    }
    run(&mut world, MS * 2_500);
    (0..groups).for_each(|group| assert_eq!(world.answering(group).len(), 1, "group {group}"));
    world
}

fn run(world: &mut World, time: Duration) {
    if let Err(violation) = world.run_for(time) {
        panic!("{}\n{violation}", world.trace().join("\n"));
    }
}

fn inflict(world: &mut World, fault: Fault) {
    if let Err(violation) = world.inflict(&fault) {
        panic!("{}\n{violation}", world.trace().join("\n"));
    }
}

/// The only node that answers for the group.
fn owner(world: &World, group: usize) -> usize {
    match world.answering(group)[..] {
        [owner] => owner,
        ref others => panic!("{}\n{others:?} answer for group {group}", world.trace().join("\n")),
    }
}

/// What the engines said since then.
fn since(world: &World, start: Duration) -> Vec<Happening> {
    world.book().happenings().iter().filter(|h| h.at >= start).cloned().collect()
}

/// Claims since then: when, who, why, quiet or not.
fn claims(world: &World, start: Duration) -> Vec<(Duration, usize, Cause, bool)> {
    let claim = |h: Happening| match h.event {
        Event::Claimed { cause, quiet, .. } => Some((h.at, h.node, cause, quiet)),
        _ => None,
    };
    since(world, start).into_iter().filter_map(claim).collect()
}

/// When the address was announced since then, and by whom.
fn announced(world: &World, address: IpAddr, start: Duration) -> Vec<(Duration, usize)> {
    let all = world.book().announced().iter();
    all.filter(|(at, _, a)| *a == address && *at >= start).map(|(at, node, _)| (*at, *node)).collect()
}

/// What the node shows of the group.
fn state(world: &World, node: usize, group: usize) -> GroupState {
    let view = world.view(node).unwrap();
    view.groups.iter().find(|g| g.id == World::group(group)).unwrap().state
}

/// The address of group 0.
fn address() -> IpAddr {
    IpAddr::from([198, 51, 100, 10])
}
