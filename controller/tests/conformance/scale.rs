// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ten thousand Services. The budget of 50 ms a plan is for an optimized build (see the example `plan_ten_thousand`);
//! the bounds here are loose and catch what grows with the square.

use std::time::{Duration, Instant};

use ferrolb_config::Snapshot;
use ferrolb_controller::plan;

use crate::world::{Edit, World};

const BOUND: Duration = Duration::from_secs(20);

fn planned_in_time(world: &World) {
    let snapshot = Snapshot::build(&world.objects);
    let start = Instant::now();
    let plan = plan(&snapshot, world.now);
    let took = start.elapsed();
    assert_eq!(plan.services.len(), 10_000);
    assert!(took < BOUND, "the plan took {took:?}");
}

#[test]
fn ten_thousand_services_are_planned_in_time() {
    let mut world = World::with_pools(&[("p", &["10.0.0.0/16"]), ("q", &["fd00::/64"])]);
    for number in 0..10_000 {
        world.service(&format!("team-{}/s{number}", number % 50));
    }
    planned_in_time(&world);
    world.unchecked = true;
    world.pass(usize::MAX);
    planned_in_time(&world);
}

#[test]
fn ten_thousand_services_on_one_key_and_one_port_are_planned_in_time() {
    let mut world = World::with_pools(&[("p", &["10.0.0.0/16"])]);
    for number in 0..10_000 {
        world.service(&format!("s{number}")).share("everybody");
    }
    planned_in_time(&world);
}

#[test]
fn ten_thousand_services_that_wait_for_a_full_pool_are_planned_in_time() {
    let mut world = World::with_pools(&[("p", &["10.0.0.0/20"])]);
    for number in 0..10_000 {
        world.service(&format!("s{number}"));
    }
    planned_in_time(&world);
}
