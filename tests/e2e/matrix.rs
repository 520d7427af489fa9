// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What can break on a segment, as far as other files do not show it: a node's death and the switch's are in `crash`, a
//! speaker's in `killed`, one-way links in `reachability`, the API server's in `kubernetes/outage`. Jumps of the wall clock
//! cannot be staged in a namespace; the engine never sees that clock, and what the driver makes of the kernel's time stamps
//! is tested beside it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::installation::Contestant;
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender, TOLERATED_TWO_ANSWERS};
use ferrolb_lab::{Node, Place};
use nix::sys::signal::Signal;

use crate::cluster::quickstart;
use crate::patience::SOON;

/// What scheduling on a busy machine may add to a span.
pub(crate) const BUSY: Duration = Duration::from_millis(350);

#[test]
fn two_nodes_that_cannot_hear_each_other_settle_on_one_owner_in_at_most_two_moves() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, others) = roles(&ferrolb)?;
        let before = term(&ferrolb)?;
        let deaf = others.first().context("three nodes")?;
        ferrolb.lab().part(owner.place(), deaf.place())?;
        thread::sleep(SOON);
        trial::settled_owner(&ferrolb)?;
        thread::sleep(SOON);
        trial::settled_owner(&ferrolb)?;
        let moves = term(&ferrolb)? - before;
        assert!(moves <= 2, "{moves} moves\n{}", ferrolb.installation.logs());
        ferrolb.lab().heal()?;
        thread::sleep(SOON);
        trial::settled_owner(&ferrolb)?;
        assert!(term(&ferrolb)? - before <= 3, "{}", ferrolb.installation.logs());
        Ok(())
    });
}

#[test]
fn each_side_of_a_split_segment_has_an_owner_and_the_healed_one_has_one_again() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, _) = roles(&ferrolb)?;
        let lab = ferrolb.lab();
        let vip = ferrolb.target().ip();
        lab.partition(&[owner.place(), Place::Client])?;
        let split = Instant::now();
        let here = NewClients::start_at(&lab.client, Place::Client, vip)?;
        let there = NewClients::start(&lab.newcomer, vip)?;
        thread::sleep(SOON);
        let here = here.finish()?;
        lab.heal()?;
        thread::sleep(SOON);
        let there = there.finish()?;
        let logs = ferrolb.installation.logs();
        assert_eq!(here.presences().keys().copied().collect::<Vec<_>>(), [owner.place().mac()], "{logs}");
        let moved = there.moved_after(split, owner.place().mac());
        assert!(moved.is_some_and(|moved| moved < SOON), "the other side is served after {moved:?}\n{logs}");
        println!("two answered for {:?} after the split was healed", there.two_answered());
        assert!(there.two_answered() < TOLERATED_TWO_ANSWERS + BUSY, "{:?}\n{logs}", there.two_answered());
        let after = trial::settled_owner(&ferrolb)?;
        thread::sleep(SOON / 3);
        assert_eq!(trial::settled_owner(&ferrolb)?, after, "and it stays so");
        Ok(())
    });
}

#[test]
fn an_owner_that_was_alone_for_a_while_gives_way_when_it_is_back_without_answering_beside_its_successor() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, _) = roles(&ferrolb)?;
        let lab = ferrolb.lab();
        let new = NewClients::start(&lab.newcomer, ferrolb.target().ip())?;
        lab.partition(&[owner.place()])?;
        thread::sleep(SOON + SOON / 2);
        lab.heal()?;
        let healed = Instant::now();
        thread::sleep(SOON);
        let new = new.finish()?;
        let logs = ferrolb.installation.logs();
        println!("two answered for {:?}", new.two_answered());
        assert!(new.two_answered() < TOLERATED_TWO_ANSWERS + BUSY, "{:?}\n{logs}", new.two_answered());
        let settled = healed + TOLERATED_TWO_ANSWERS + BUSY;
        let late =
            new.answers.iter().filter(|answer| answer.at > settled && answer.mac == owner.place().mac());
        assert_eq!(late.count(), 0, "the old owner goes on answering\n{logs}");
        assert_ne!(trial::settled_owner(&ferrolb)?, owner.place());
        Ok(())
    });
}

#[test]
fn an_interface_that_flaps_costs_one_move_and_takes_nothing_back() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, _) = roles(&ferrolb)?;
        let before = term(&ferrolb)?;
        for _ in 0..4 {
            ferrolb.lab().cut(&owner)?;
            thread::sleep(SOON / 5);
            ferrolb.lab().plug(&owner)?;
            thread::sleep(SOON / 10);
        }
        thread::sleep(SOON);
        let after = trial::settled_owner(&ferrolb)?;
        let logs = ferrolb.installation.logs();
        assert_ne!(after, owner.place(), "{logs}");
        assert_eq!(term(&ferrolb)? - before, 1, "moves\n{logs}");
        Ok(())
    });
}

#[test]
fn a_node_that_dies_while_a_successor_is_frozen_is_replaced_and_the_thawed_one_takes_nothing() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let (owner, others) = roles(&ferrolb)?;
        let frozen = others.first().context("three nodes")?;
        ferrolb.installation.speaker(&frozen.name)?.signal(Signal::SIGSTOP)?;
        let new = NewClients::start(&ferrolb.lab().newcomer, ferrolb.target().ip())?;
        thread::sleep(SOON / 3);
        let cut = Instant::now();
        ferrolb.lab().cut(&owner)?;
        thread::sleep(SOON);
        ferrolb.installation.speaker(&frozen.name)?.signal(Signal::SIGCONT)?;
        thread::sleep(SOON);
        let new = new.finish()?;
        let logs = ferrolb.installation.logs();
        let moved = new.moved_after(cut, owner.place().mac());
        assert!(moved.is_some_and(|moved| moved < SOON), "replaced after {moved:?}\n{logs}");
        assert!(!new.presences().contains_key(&frozen.place().mac()), "the thawed one answers\n{logs}");
        assert!(new.two_answered() < TOLERATED_TWO_ANSWERS, "{:?}\n{logs}", new.two_answered());
        Ok(())
    });
}

/// The node that carries the address, and the others.
pub(crate) fn roles(ferrolb: &Contestant) -> Result<(Node, Vec<Node>)> {
    let owner = ferrolb.lab().node_at(trial::settled_owner(ferrolb)?)?.clone();
    let others = ferrolb.lab().nodes.iter().filter(|node| node.name != owner.name).cloned().collect();
    Ok((owner, others))
}

/// The term of the newest claim that is told.
pub(crate) fn term(ferrolb: &Contestant) -> Result<u64> {
    let terms = ferrolb.installation.status()?.terms(ferrolb.target().ip())?;
    terms.into_iter().max().context("somebody carries it")
}
