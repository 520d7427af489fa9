// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Other users of the machine.

use anyhow::ensure;
use ferrolb_lab::rights;
use ferrolb_speaker::datapath::{Condition, Source};

use crate::rig::{Rig, SOON, VIP4, VIP6, eventually, service};

#[test]
fn a_firewall_reload_that_flushes_everything_is_healed() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Masqueraded, &[1, 2]))?;
        for _ in 0..3 {
            rig.nft(&["flush", "ruleset"])?;
            eventually("the table", SOON, || Ok(rig.nft(&["list", "ruleset"])?.contains("tcp/80")))?;
            rig.ask(VIP4, 80)?;
            rig.ask(VIP6, 80)?;
        }
        Ok(())
    });
}

#[test]
fn a_table_of_another_layout_is_replaced() {
    rights::within(|| {
        let rig = Rig::build()?;
        rig.nft(&["add", "table", "inet", "ferrolb"])?;
        rig.nft(&["add", "map", "inet", "ferrolb", "ports4", "{ type ipv4_addr : verdict; }"])?;
        rig.nft(&["add", "chain", "inet", "ferrolb", "forward"])?;
        let _running = rig.start(&service(Source::Kept, &[1]))?;
        rig.ask(VIP4, 80)?;
        Ok(())
    });
}

#[test]
fn rules_that_somebody_deleted_are_restored() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Kept, &[1]))?;
        for damage in [
            ["flush", "map", "inet", "ferrolb", "ports4"],
            ["flush", "chain", "inet", "ferrolb", "prerouting"],
        ] {
            rig.nft(&damage)?;
            eventually("the rules", SOON, || Ok(rig.ask(VIP4, 80).is_ok()))?;
        }
        Ok(())
    });
}

#[test]
fn forwarding_that_is_off_is_told_with_the_setting() {
    rights::within(|| {
        let rig = Rig::build()?;
        let node = &rig.node().namespace;
        rig.shell(node, "sysctl", &["-w", "net.ipv4.ip_forward=0"])?;
        let running = rig.start(&service(Source::Masqueraded, &[1]))?;
        let off = Condition::ForwardingOff { sysctl: "net.ipv4.ip_forward" };
        running.wait("the condition", |observed| observed.conditions.contains(&off))?;
        ensure!(off.to_string().contains("sysctl -w net.ipv4.ip_forward=1"));
        rig.shell(node, "sysctl", &["-w", "net.ipv4.ip_forward=1"])?;
        running.set(&service(Source::Masqueraded, &[2]))?;
        running.wait("its end", |observed| observed.conditions.is_empty())
    });
}

#[test]
fn a_foreign_chain_that_drops_what_we_forward_is_told_with_the_rule_to_add() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&service(Source::Masqueraded, &[1]))?;
        ensure!(running.observed().conditions.is_empty(), "{:?}", running.observed());
        rig.nft(&["add", "table", "ip", "wall"])?;
        let chain = "{ type filter hook forward priority 0; policy drop; }";
        rig.nft(&["add", "chain", "ip", "wall", "dam", chain])?;
        ensure!(rig.ask(VIP4, 80).is_err(), "the wall holds");
        let is_told = |condition: &Condition| matches!(condition, Condition::ForwardPolicyDrop { .. });
        running.wait("the condition", |observed| observed.conditions.iter().any(is_told))?;
        let text = running.observed().conditions.iter().map(ToString::to_string).collect::<String>();
        let (_, command) = text.split_once("add: nft ").expect("the text ends with a command");
        rig.nft(&command.split(' ').collect::<Vec<_>>())?;
        // Replies need their way too, which every firewall gives them.
        rig.ask(VIP4, 80)?;
        running.wait("its end", |observed| observed.conditions.is_empty())
    });
}
