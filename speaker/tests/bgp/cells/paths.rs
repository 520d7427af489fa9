// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which addresses a session runs between, and who connects.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ferrolb_bfd::State;
use ferrolb_bgp::peer::Direction;
use ferrolb_lab::router::{Daemon, NODE_V4, NODE_V6, Neighbour, Over};

use ferrolb_speaker::bgp::View;

use super::{FOUR, SIX, seen};
use crate::stage::{Stage, plain};

pub fn ipv6_carries_the_session(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour { over: Over::V6, ..Neighbour::default() })?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain()), (SIX, plain())]))?;
    let table =
        stage.router_shows("both routes", |table| table.contains_key(FOUR) && table.contains_key(SIX))?;
    ensure!(seen(&table, SIX)?.next_hop.contains(NODE_V6), "{table:?}");
    ensure!(seen(&table, FOUR)?.next_hop == NODE_V4, "the interface's own address: {table:?}");
    Ok(())
}

pub fn ipv4_routes_take_an_ipv6_next_hop(daemon: Daemon) -> Result<()> {
    let node = Neighbour { over: Over::V6, extended_next_hop: true, ..Neighbour::default() };
    let stage = Stage::build(daemon, &node)?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
    let table = stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    ensure!(seen(&table, FOUR)?.next_hop.contains(NODE_V6), "RFC 8950: {table:?}");
    ensure!(stage.is_up()?.peer.negotiated.is_some_and(|agreed| agreed.extended_next_hop));
    Ok(())
}

pub fn link_local_addresses_are_enough(daemon: Daemon) -> Result<()> {
    let node = Neighbour { over: Over::LinkLocal, extended_next_hop: true, ..Neighbour::default() };
    let stage = Stage::build(daemon, &node)?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain()), (SIX, plain())]))?;
    let table =
        stage.router_shows("both routes", |table| table.contains_key(FOUR) && table.contains_key(SIX))?;
    let agreed = stage.is_up()?.peer.negotiated.is_some_and(|agreed| agreed.extended_next_hop);
    let next_hop = &seen(&table, FOUR)?.next_hop;
    ensure!(next_hop.contains(':') == agreed, "an IPv6 next hop where it was agreed on: {table:?}");
    Ok(())
}

pub fn a_dead_path_ends_the_session_long_before_the_hold_time(daemon: Daemon) -> Result<()> {
    for over in [Over::V4, Over::V6] {
        let stage = Stage::build(daemon, &Neighbour { over, bfd: true, hold: 240, ..Neighbour::default() })?;
        stage.speaker.wish(BTreeMap::from([(FOUR, plain()), (SIX, plain())]))?;
        stage.router_shows("the route", |table| table.contains_key(SIX))?;
        stage.path_is("up", |path| path.state == State::Up)?;
        // FRR may begin anew once while BFD comes up.
        let up = stage.is_up()?;
        stage.wire.ask(
            "nft",
            &["add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
               add rule inet cut in udp dport 3784 drop"],
        )?;
        let ended =
            |view: &View| view.peer.counts.sessions > up.peer.counts.sessions || !view.is_established();
        // The hold time is four minutes and TCP is well. Whoever noticed first said so; the other heard it.
        stage.speaker.sees("end", ended)?;
        stage.path_is("down", |path| path.state != State::Up && path.last_down.is_some())?;
    }
    Ok(())
}

pub fn a_router_may_connect_to_us(daemon: Daemon) -> Result<()> {
    let password = Some("from-outside".to_owned());
    let stage = Stage::build(daemon, &Neighbour { passive: false, password, ..Neighbour::default() })?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
    stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    let view = stage.is_up()?;
    ensure!(view.peer.direction == Some(Direction::Incoming), "{view:#?}");
    Ok(())
}
