// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two nodes that cannot hear each other, and one between them that hears both: it passes on what they would have heard.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::Node;
use ferrolb_lab::installation::Contestant;
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender, TOLERATED_TWO_ANSWERS};

use crate::cluster::quickstart;
use crate::matrix::{BUSY, roles, term};
use crate::patience::SOON;

/// Two that answer side by side for longer were not told of each other in time.
const BOUND: Duration = TOLERATED_TWO_ANSWERS.saturating_add(BUSY);

#[test]
fn while_two_nodes_cannot_hear_each_other_never_do_both_answer_and_nothing_moves_more_than_twice() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, others) = roles(&ferrolb)?;
        let deaf = others.first().context("three nodes")?;
        parted(&ferrolb, &owner, deaf, || Ok(()))
    });
}

#[test]
fn the_owner_between_two_nodes_that_cannot_hear_each_other_is_emptied_and_one_of_them_alone_answers() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, others) = roles(&ferrolb)?;
        let [one, other] = others.as_slice() else { anyhow::bail!("three nodes") };
        parted(&ferrolb, one, other, || drain(&ferrolb, &owner))?;
        assert_ne!(trial::settled_owner(&ferrolb)?, owner.place());
        Ok(())
    });
}

#[test]
fn an_owner_is_emptied_that_a_candidate_cannot_hear_and_one_alone_answers() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (owner, others) = roles(&ferrolb)?;
        let deaf = others.first().context("three nodes")?;
        parted(&ferrolb, &owner, deaf, || drain(&ferrolb, &owner))?;
        assert_ne!(trial::settled_owner(&ferrolb)?, owner.place());
        Ok(())
    });
}

/// Keeps the two from hearing each other, lets something happen meanwhile, and lets them hear each other again.
fn parted(
    ferrolb: &Contestant,
    one: &Node,
    other: &Node,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (lab, before) = (ferrolb.lab(), term(ferrolb)?);
    let new = NewClients::start(&lab.newcomer, ferrolb.target().ip())?;
    lab.part(one.place(), other.place())?;
    thread::sleep(SOON);
    meanwhile()?;
    thread::sleep(SOON * 2);
    let during = term(ferrolb)? - before;
    trial::settled_owner(ferrolb)?;
    lab.heal()?;
    thread::sleep(SOON);
    let settled = trial::settled_owner(ferrolb)?;
    let (new, logs) = (new.finish()?, ferrolb.installation.logs());
    println!("{during} moves; two answered for {:?}", new.two_answered());
    assert!(new.two_answered() < BOUND, "two answered for {:?}\n{logs}", new.two_answered());
    assert!(during <= 2, "{during} moves\n{logs}");
    assert!(term(ferrolb)? - before <= 3, "healing moves it once at most\n{logs}");
    assert_eq!(new.last_answerer(), Some(settled.mac()), "{logs}");
    Ok(())
}

fn drain(ferrolb: &Contestant, node: &Node) -> Result<()> {
    let output = ferrolb.installation.command("drain").arg(&node.name).output()?;
    ensure!(output.status.success(), "draining {}: {}", node.name, String::from_utf8_lossy(&output.stderr));
    Ok(())
}
