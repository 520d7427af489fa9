// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FloatingIPs, by the examples of `deploy/examples`: speakers alone, which read from their folder who has which address.

mod checks;
mod examples;
pub(crate) mod stage;

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use nix::sys::signal::Signal;

use crate::cluster::binary;
use crate::patience::{SLOWLY, SOON, eventually, expect};
use stage::{INGRESS, INGRESS_V6, Stage};

/// How long the kernel of a dead speaker may answer: its lifetime of 3 s, the kernel's clock, and a busy machine.
const DEAD_MAN: Duration = Duration::from_millis(3_500 + 1_000);

#[test]
fn a_bound_address_is_on_its_owner_alone_and_moves_with_a_crash() {
    within(|| {
        let stage = Stage::ingress()?;
        let lab = &stage.lab();
        let owner = stage.carrier(INGRESS)?;
        expect(&stage.carrier(INGRESS_V6)?, &owner)?;
        expect(&stage.bearers(INGRESS)?, &vec![owner.name()])?;
        let probe = UdpEcho::start(&lab.client, stage.echo())?;
        thread::sleep(Duration::from_millis(300));

        lab.cut(lab.node_at(owner)?)?;
        thread::sleep(SOON);
        let report = probe.finish()?;
        let next = stage.carrier(INGRESS)?;
        assert_ne!(next, owner);
        assert!(report.outage < SOON, "{report:?}\n{}", stage.logs());
        assert!(report.answered_by.contains_key(&next), "{report:?}\n{}", stage.logs());
        expect(&stage.carrier(INGRESS_V6)?, &next)?;
        expect(&stage.bearers(INGRESS)?, &vec![next.name()])?;

        lab.plug(lab.node_at(owner)?)?;
        thread::sleep(SOON);
        expect(&stage.carrier(INGRESS)?, &next)?;
        Ok(())
    });
}

#[test]
fn the_kernel_of_a_killed_speaker_gives_its_address_up() {
    within(|| {
        let mut stage = Stage::ingress()?;
        let owner = stage.carrier(INGRESS)?;
        let cached = UdpEcho::start(&stage.lab().client, stage.echo())?;
        let new = NewClients::start(&stage.lab().newcomer, INGRESS.parse()?)?;
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        stage.installation.speaker(&owner.name())?.kill()?;
        thread::sleep(DEAD_MAN + SOON);
        let (cached, new) = (cached.finish()?, new.finish()?);
        let logs = stage.logs();
        println!(
            "two answered for {:?}; a client that knew the old node was without an answer for {:?}",
            new.two_answered(),
            cached.outage
        );
        assert!(new.two_answered() <= DEAD_MAN, "two answered for {:?}\n{logs}", new.two_answered());
        let last =
            new.answers.iter().filter(|answer| answer.mac == owner.mac()).map(|answer| answer.at).max();
        assert!(last.is_some_and(|last| last <= killed + DEAD_MAN), "the old kernel answers on\n{logs}");
        let next = stage.carrier(INGRESS)?;
        assert_ne!(next, owner);
        assert!(cached.answered_by.contains_key(&next), "clients move: {cached:?}\n{logs}");
        expect(&stage.bearers(INGRESS)?, &vec![next.name()])
    });
}

#[test]
fn a_frozen_speaker_wakes_without_its_addresses() {
    within(|| {
        let mut stage = Stage::ingress()?;
        let owner = stage.carrier(INGRESS)?;
        stage.installation.speaker(&owner.name())?.signal(Signal::SIGSTOP)?;
        thread::sleep(DEAD_MAN);
        let new = NewClients::start(&stage.lab().newcomer, INGRESS.parse()?)?;
        stage.installation.speaker(&owner.name())?.signal(Signal::SIGCONT)?;
        thread::sleep(SOON);
        let answers = new.finish()?;
        let stale = answers.answers.iter().filter(|answer| answer.mac == owner.mac()).count();
        assert_eq!(stale, 0, "answers of the woken node\n{}", stage.logs());
        let next = stage.carrier(INGRESS)?;
        assert_ne!(next, owner);
        expect(&stage.bearers(INGRESS)?, &vec![next.name()])
    });
}

#[test]
fn a_speaker_that_ends_hands_over_and_leaves_no_address() {
    within(|| {
        let mut stage = Stage::ingress()?;
        let owner = stage.carrier(INGRESS)?;
        let probe = UdpEcho::start(&stage.lab().client, stage.echo())?;
        thread::sleep(Duration::from_millis(300));
        stage.installation.stop_speaker(&owner.name())?;
        thread::sleep(SOON / 3);
        let report = probe.finish()?;
        println!("planned: {} of {} probes lost, own stall {:?}", report.lost, report.sent, report.stall);
        assert!(report.lost == 0 || report.stall > Duration::from_millis(20), "{report:?}\n{}", stage.logs());
        let next = stage.carrier(INGRESS)?;
        assert_ne!(next, owner);
        expect(&stage.bearers(INGRESS)?, &vec![next.name()])
    });
}

#[test]
fn cleanup_takes_our_addresses_off_and_leaves_those_of_others() {
    within(|| {
        let mut stage = Stage::ingress()?;
        let owner = stage.carrier(INGRESS)?;
        let namespace = stage.lab().node_at(owner)?.namespace.clone();
        namespace.ip("addr add 192.0.2.77/32 dev eth0 valid_lft 600 preferred_lft 0\n")?;
        stage.installation.speaker(&owner.name())?.kill()?;
        let mut cleanup = Command::new(binary());
        cleanup.arg("cleanup");
        let said = stage.lab().output(&namespace, cleanup)?;
        assert!(said.contains(INGRESS) && said.contains(INGRESS_V6), "{said}");
        let shown = stage.shown(&owner.name())?;
        assert!(!shown.contains(INGRESS) && shown.contains("192.0.2.77"), "{shown}");
        Ok(())
    });
}

#[test]
fn an_address_that_somebody_configured_is_neither_taken_over_nor_removed() {
    within(|| {
        let stage = Stage::ingress()?;
        let owner = stage.carrier(INGRESS)?;
        // On all others: whoever takes it finds it taken, and leaves it to the next.
        for node in stage.lab().nodes.iter().filter(|node| node.place() != owner) {
            node.namespace.ip(&format!("addr add {INGRESS}/32 dev lo\n"))?;
        }
        stage.lab().cut(stage.lab().node_at(owner)?)?;
        let said = eventually("both say why", SLOWLY, || {
            let said = stage.installation.status_text()?;
            expect(&(said.matches("NotBindable").count() >= 2), &true)?;
            Ok(said)
        });
        assert!(said.is_ok(), "{said:?}\n{}", stage.logs());
        for node in stage.lab().nodes.iter().filter(|node| node.place() != owner) {
            let on_lo = stage.on(&node.name, "lo")?;
            assert!(on_lo.contains(INGRESS), "{on_lo}");
        }
        Ok(())
    });
}

#[test]
fn two_addresses_of_one_group_are_never_apart() {
    within(|| {
        let stage = Stage::ingress()?;
        let mut seen = BTreeMap::new();
        for _ in 0..2 {
            let owner = stage.carrier(INGRESS)?;
            expect(&stage.carrier(INGRESS_V6)?, &owner)?;
            *seen.entry(owner).or_insert(0) += 1;
            stage.lab().cut(stage.lab().node_at(owner)?)?;
            thread::sleep(SOON);
        }
        assert_eq!(seen.len(), 2, "{seen:?}");
        let last = stage.carrier(INGRESS)?;
        expect(&stage.carrier(INGRESS_V6)?, &last)
    });
}
