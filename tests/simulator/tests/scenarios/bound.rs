// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

/// An address lives so long, and is renewed each second.
const LEASE: Duration = Duration::from_secs(3);

/// How long two answered for a group after this befell the owner of one.
fn doubled(seed: u64, fault: impl FnOnce(usize) -> Fault) -> Duration {
    let mut world = settled(Setup { seed, nodes: 3, groups: 2, bound: true, ..Setup::default() });
    let (victim, start) = (owner(&world, 0), world.elapsed());
    inflict(&mut world, fault(victim));
    run(&mut world, MS * 5_000);
    let quiet = claims(&world, start).iter().filter(|(.., quiet)| *quiet).count();
    assert_eq!(quiet, 0, "the old kernel serves its clients for seconds only: all are told to move");
    assert_ne!(owner(&world, 0), victim);
    world.book().longest_doubled()
}

#[test]
fn s20_the_kernel_of_a_dead_or_frozen_owner_answers_beside_the_new_one_for_three_seconds_and_no_longer() {
    for seed in 120..126 {
        for fault in [Fault::Kill, Fault::Freeze] {
            let lasted = doubled(seed, fault);
            assert!(lasted > LEASE - Duration::from_secs(1) - D - MS * 20, "{lasted:?}");
            assert!(lasted <= LEASE, "{lasted:?}");
        }
    }
}

#[test]
fn s20_after_a_crash_and_a_move_nobody_answers_beside_the_owner() {
    for seed in 126..132 {
        assert!(doubled(seed, Fault::Crash) < MS * 50);
        assert!(doubled(seed, |node| Fault::HandOver { node, group: 0, to: None }) < MS * 50);
        assert!(doubled(seed, Fault::Terminate) < MS * 50);
    }
}
