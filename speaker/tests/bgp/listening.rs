// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A whole speaker that routers may connect to.

use anyhow::{Result, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Router, Wire};
use ferrolb_speaker::kernel::router_socket::everywhere;

use crate::whole::{ADDRESS, Manner, Whole, shows};

const PEER: &str = "
{apiVersion: v1, kind: Secret, metadata: {name: key}, type: kubernetes.io/basic-auth, stringData: {password: from-outside}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: router},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s, connectTime: 2s, passwordSecret: {name: key}}}
";

fn listens() -> Manner<'static> {
    Manner { bgp_listen: everywhere(179).into(), ..Manner::default() }
}

/// BIRD, which connects, and a speaker whose own connections do not reach it.
fn listening(password: &str) -> Result<(Wire, Box<dyn Router>, Whole)> {
    let wire = Wire::build()?;
    wire.ask(
        "nft",
        &["add table inet one_way; add chain inet one_way in { type filter hook input priority 0; }; \
           add rule inet one_way in tcp dport 179 drop"],
    )?;
    let node = Neighbour { passive: false, password: Some(password.to_owned()), ..Neighbour::default() };
    let router = Daemon::Bird.start(&wire, &node)?;
    let files = [("address.yaml", ADDRESS), ("peer.yaml", PEER)];
    let speaker = Whole::start_as(&wire.node, listens(), &files)?;
    Ok((wire, router, speaker))
}

#[test]
fn a_router_that_connects_is_let_in_where_the_speaker_listens() {
    rights::within(|| {
        let (_wire, router, speaker) = listening("from-outside")?;
        shows(&*router, true)?;
        speaker.tells("the session", |told| told.contains("Established"))?;
        Ok(())
    });
}

#[test]
fn a_router_with_another_password_is_told_of_as_such() {
    rights::within(|| {
        let (_wire, router, speaker) = listening("another")?;
        speaker
            .tells("the wrong password", |told| told.contains("signed with another password than ours"))?;
        ensure!(router.routes()?.is_empty(), "{}", router.story());
        Ok(())
    });
}

#[test]
fn a_port_that_somebody_else_has_is_a_reason_and_no_end() {
    rights::within(|| {
        let wire = Wire::build()?;
        let router = Daemon::Bird.start(&wire, &Neighbour::default())?;
        let _holder = wire.node.run(|| Ok(std::net::TcpListener::bind("0.0.0.0:179")?))?;
        let peer = PEER.replace(", passwordSecret: {name: key}", "");
        let files = [("address.yaml", ADDRESS), ("peer.yaml", peer.as_str())];
        let speaker = Whole::start_as(&wire.node, listens(), &files)?;
        shows(&*router, true)?;
        speaker.tells("the port", |told| told.contains("--bgp-listen") && told.contains("Established"))?;
        Ok(())
    });
}
