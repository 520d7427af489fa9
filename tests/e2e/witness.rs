// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Filters that take away what clients need and let hellos pass: the node that carries an address cannot know, another one
//! tells.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use ferrolb_lab::Lab;
use ferrolb_lab::installation::{AddressStatus, Installation};
use ferrolb_lab::quickstart;
use ferrolb_lab::rights::within;

use crate::cluster::binary;
use crate::patience::{SLOWLY, eventually, expect};

const HTTP: u16 = 80;

#[test]
fn a_filter_before_a_carrier_is_noticed_by_another_node_and_so_is_its_end() {
    within(|| {
        let manifests = quickstart::MANIFESTS;
        let mut ferrolb = Installation::prepare(Lab::build(3)?, binary(), &manifests)?;
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
