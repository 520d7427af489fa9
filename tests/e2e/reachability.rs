// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Links that swallow frames without a sign: carrier stays.

use std::thread;

use anyhow::Result;
use ferrolb_lab::Direction;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::quickstart;
use crate::patience::SOON;

#[test]
fn a_carrier_that_is_neither_heard_nor_hears_is_replaced() {
    within(|| swallowed(Direction::Both));
}

#[test]
fn a_carrier_that_is_no_longer_heard_is_replaced() {
    within(|| swallowed(Direction::FromNode));
}

#[test]
fn a_carrier_that_no_longer_hears_is_replaced() {
    within(|| swallowed(Direction::ToNode));
}

fn swallowed(direction: Direction) -> Result<()> {
    let ferrolb = quickstart(3)?;
    let owner = ferrolb.lab().node_at(trial::settled_owner(&ferrolb)?)?.clone();
    ferrolb.lab().black_hole(&owner, direction)?;
    thread::sleep(SOON);
    let next = trial::settled_owner(&ferrolb)?;
    assert_ne!(next, owner.place(), "{}", ferrolb.installation.logs());
    ferrolb.lab().fill_hole(&owner)?;
    thread::sleep(SOON);
    trial::settled_owner(&ferrolb)?;
    Ok(())
}
