// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is heard late, because this process stood still.

use super::*;

#[test]
fn what_became_free_meanwhile_is_claimed_once_all_that_was_said_meanwhile_is_read() {
    let mut hall = Hall::new();
    // Whoever is emptied ranks behind us.
    let draining = Flags { draining: true, ..Flags::default() };
    hall.hello(2, draining, &[claim(3)], &[]);
    hall.hello(3, draining, &[], &[]);
    hall.intend(true);
    hall.behind = true;
    let freed = hall.hello(2, draining, &[], &[Delta::Resign(claim(3))]);
    assert_eq!(claimed(&freed), None, "somebody may have taken it already");
    hall.hello(3, draining, &[claim(4)], &[]);
    assert_eq!(claimed(&hall.pass(Duration::ZERO)), None, "as was read then");
    let freed = hall.hello(3, draining, &[], &[Delta::Resign(claim(4))]);
    assert_eq!(claimed(&freed), None);
    hall.behind = false;
    assert_eq!(claimed(&hall.pass(Duration::ZERO)), Some((Term(5), Cause::Resigned(node(3)))));
}
