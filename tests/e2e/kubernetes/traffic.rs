// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client reaches its Services, and goes on reaching them when the carrying node dies.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use anyhow::{Result, ensure};
use ferrolb_control_plane::ProxyMode;
use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::TOLERATED_TWO_ANSWERS;
use ferrolb_lab::{Place, quickstart};

use crate::patience::{SLOWLY, SOON, eventually, expect};
use crate::start::{alone, eventually_reported, eventually_served, serving};

fn clients_are_served_and_the_owners_death_is_survived(mode: ProxyMode) -> Result<()> {
    let _turn = alone();
    let installation = serving(3, mode)?;
    let (lab, client) = (installation.lab(), IpAddr::V4(Place::Client.ipv4()));

    let owner = eventually_reported(&installation, "local", "")?;
    let (pod, seen) = eventually_served(&installation, "local")?;
    assert_eq!((pod, seen), (owner, client), "Local: the carrying node's own pod sees the client");

    let address = installation.address_of("echo", true)?;
    let owner = lab.node(&eventually_reported(&installation, "echo", "")?)?.clone();
    let cached = UdpEcho::start(&lab.client, SocketAddr::new(address, quickstart::ECHO_UDP))?;
    let new = NewClients::start(&lab.newcomer, address)?;
    thread::sleep(SOON / 6);
    lab.cut(&owner)?;
    thread::sleep(SOON + SOON);
    let (cached, new) = (cached.finish()?, new.finish()?);
    eprintln!("{mode:?}: the owner's death cost clients {:?}", cached.outage);
    ensure!(cached.outage < SOON + cached.stall && cached.lost > 0, "{cached:?}\n{}", installation.logs());
    assert!(new.two_answered() < TOLERATED_TWO_ANSWERS, "two answered for {:?}", new.two_answered());
    assert_ne!(new.last_answerer(), Some(owner.place().mac()));
    let successor = eventually_reported(&installation, "echo", &owner.name)?;
    assert_eq!(new.last_answerer(), Some(lab.node(&successor)?.place().mac()), "what is reported is true");

    // Nobody asks the dead: the controller says what it knows of them.
    installation.cluster().report_node(owner.place(), false)?;
    let speaker =
        ["get", "speaker", &owner.name, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"];
    let cleared = eventually("the dead node's Speaker is not called ready", SLOWLY, || {
        expect(&installation.kubectl().run(&speaker)?, &"Unknown".to_owned())
    });
    cleared.map_err(|error| error.context(installation.logs()))
}

#[test]
fn clients_are_served_and_the_owners_death_is_survived_with_nftables() {
    within(|| clients_are_served_and_the_owners_death_is_survived(ProxyMode::NFTables));
}

#[test]
fn clients_are_served_and_the_owners_death_is_survived_with_iptables() {
    within(|| clients_are_served_and_the_owners_death_is_survived(ProxyMode::IPTables));
}
