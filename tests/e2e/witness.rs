// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Filters that take away what clients need and let hellos pass: the node that carries an address cannot know, another one
//! tells.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::Lab;
use ferrolb_lab::installation::{AddressStatus, Installation};
use ferrolb_lab::quickstart::MANIFESTS;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::{binary, quickstart};
use crate::floating::stage::{INGRESS, Stage};
use crate::patience::{SLOWLY, eventually, expect};

const HTTP: u16 = 80;

#[test]
fn a_filter_before_a_carrier_is_noticed_by_another_node_and_so_is_its_end() {
    within(|| {
        let mut ferrolb = Installation::prepare(Lab::build(3)?, binary(), &MANIFESTS)?;
        for node in &ferrolb.lab().nodes {
            ferrolb.lab().inspect_arp(node)?;
        }
        ferrolb.start()?;
        let IpAddr::V4(web) = ferrolb.address_of("default/web", true)? else { bail!("an IPv4 address") };

        let silent = sees(&ferrolb, web, "NoResponder")?;
        let seen = silent.reachable.as_ref().context("it was just there")?;
        let owner = &silent.carriers.first().context("somebody carries it")?.node;
        assert!(seen.message.starts_with(&format!("on 198.51.100.0/24: {owner} carries {web}")), "{seen:?}");
        assert!(seen.message.contains("port security"), "{seen:?}");

        // IPv6 is not filtered, and neighbour discovery has its own witness.
        let IpAddr::V6(dual) = ferrolb.address_of("default/dual", false)? else { bail!("an IPv6 address") };
        sees_of(&ferrolb, dual.into(), "Reachable")?;

        for node in &ferrolb.lab().nodes {
            ferrolb.lab().filter_port(node, web, HTTP)?;
        }
        let filtered = sees(&ferrolb, web, "PortFiltered")?;
        let seen = filtered.reachable.context("it was just there")?;
        assert!(seen.message.contains("TCP port 80"), "{seen:?}");
        let moved = filtered.carriers.first().is_none_or(|carrier| carrier.node != *owner);
        assert!(!moved, "a verdict moves nothing: {:?}", filtered.carriers);

        for node in &ferrolb.lab().nodes {
            ferrolb.lab().fill_hole(node)?;
        }
        sees(&ferrolb, web, "Reachable")?;
        Ok(())
    });
}

/// A network manager that takes an address for one of its own keeps it when the kernel would have dropped it.
#[test]
fn an_address_that_stays_on_the_interface_of_a_killed_speaker_is_a_stale_binding_of_that_node() {
    within(|| {
        let mut stage = Stage::ingress()?;
        let owner = stage.lab().node_at(stage.carrier(INGRESS)?)?.clone();
        stage.installation.speaker(&owner.name)?.kill()?;
        let forever = "valid_lft forever preferred_lft forever";
        owner.namespace.ip(&format!("address replace {INGRESS}/32 dev eth0 {forever}\n"))?;

        let found = sees_of(&stage.installation, INGRESS.parse()?, "StaleBinding")?;
        let seen = found.reachable.context("it was just there")?;
        let remedy = format!("take the address off the interfaces of {}", owner.name);
        assert!(seen.message.contains(&remedy), "{seen:?}");
        // The third node may tell of it before the one that took over has told that it did.
        eventually("a neighbour carries it", SLOWLY, || {
            let found = sees_of(&stage.installation, INGRESS.parse()?, "StaleBinding")?;
            let carrier = found.carriers.first().context("somebody carries it")?;
            ensure!(carrier.node != owner.name, "{} does, says the status", carrier.node);
            Ok(())
        })?;

        owner.namespace.ip(&format!("address del {INGRESS}/32 dev eth0\n"))?;
        sees_of(&stage.installation, INGRESS.parse()?, "Reachable")?;
        Ok(())
    });
}

/// The only other node cannot see it: it asks the wire, and its own kernel is not there.
#[test]
fn the_owner_itself_notices_that_the_other_of_two_nodes_answers_too() {
    within(|| {
        let ferrolb = quickstart(2)?;
        let vip = ferrolb.target().ip();
        let other = ferrolb.lab().node_at(trial::settled_owner(&ferrolb)?)?.clone();
        // With arp_ignore=0 a kernel answers for the addresses of all its interfaces.
        other.namespace.ip(&format!("address add {vip}/32 dev lo\n"))?;
        // The wire knows an owner earlier than its status.
        eventually("the status names the owner", SLOWLY, || {
            ensure!(!ferrolb.installation.status()?.terms(vip)?.is_empty(), "nobody");
            Ok(())
        })?;
        let moved = ferrolb.installation.command("move").arg(vip.to_string()).output()?;
        let told = String::from_utf8_lossy(&moved.stdout);
        assert!(moved.status.success(), "{told}\n{}", ferrolb.installation.logs());

        let seen = sees_of(&ferrolb.installation, vip, "StaleBinding")?.reachable;
        let message = seen.context("it was just there")?.message;
        assert!(message.starts_with("on 198.51.100.0/24, asked by the owner: "), "{message}");
        assert!(message.contains(&format!("answered by {} (", other.name)), "{message}");

        other.namespace.ip(&format!("address del {vip}/32 dev lo\n"))?;
        sees_of(&ferrolb.installation, vip, "Reachable")?;
        Ok(())
    });
}

fn sees(ferrolb: &Installation, address: Ipv4Addr, reason: &str) -> Result<AddressStatus> {
    sees_of(ferrolb, address.into(), reason)
}

/// Waits until another node says this of the address.
fn sees_of(ferrolb: &Installation, address: IpAddr, reason: &str) -> Result<AddressStatus> {
    let look = || {
        let status = ferrolb.status()?;
        let found = status.addresses.into_iter().find(|found| found.address == address);
        let found = found.context("the address is in use")?;
        let seen = found.reachable.as_ref().context("no witness yet")?;
        expect(&seen.reason.as_str(), &reason)?;
        expect(&seen.reached, &(reason == "Reachable"))?;
        Ok(found)
    };
    eventually(&format!("{address} is {reason}\n{}", ferrolb.logs()), SLOWLY * 2, look)
}
