// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What routers understand of what we say.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ferrolb_bgp::{Community, Kind, LargeCommunity};
use ferrolb_lab::router::{Daemon, NODE_V4, NODE_V6, Neighbour};
use ferrolb_speaker::bgp::Announcement;

use super::{FOUR, SIX, seen};
use crate::stage::{Stage, plain};

pub fn ebgp_carries_routes(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour::default())?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
    let table = stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    ensure!(seen(&table, FOUR)?.as_path == [65_001], "the path is ours alone: {table:?}");
    ensure!(seen(&table, FOUR)?.next_hop == NODE_V4, "{table:?}");
    let view = stage.is_up()?;
    ensure!(view.peer.negotiated.is_some_and(|agreed| agreed.peer_as.get() == 65_002));
    Ok(())
}

pub fn ibgp_carries_routes_with_their_preference(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour { node_as: 65_002, ..Neighbour::default() })?;
    let preferred = Announcement { local_pref: Some(321), ..plain() };
    stage.speaker.wish(BTreeMap::from([(FOUR, preferred)]))?;
    let table = stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    ensure!(
        seen(&table, FOUR)?.as_path.is_empty(),
        "within one autonomous system the path is empty: {table:?}"
    );
    ensure!(seen(&table, FOUR)?.local_pref == Some(321), "{table:?}");
    Ok(())
}

pub fn both_families_go_over_one_session(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour::default())?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain()), (SIX, plain())]))?;
    let both =
        stage.router_shows("both routes", |table| table.contains_key(FOUR) && table.contains_key(SIX))?;
    ensure!(seen(&both, SIX)?.next_hop.contains(NODE_V6), "the interface's own address: {both:?}");
    Ok(())
}

pub fn large_communities_arrive(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour::default())?;
    let said = Announcement {
        communities: [Community::new(65_001, 7)].into(),
        large_communities: [LargeCommunity { global: 65_001, data1: 1, data2: 4_000_000_000 }].into(),
        ..plain()
    };
    stage.speaker.wish(BTreeMap::from([(FOUR, said)]))?;
    let table = stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    ensure!(seen(&table, FOUR)?.large_communities == ["65001:1:4000000000".to_owned()].into(), "{table:?}");
    ensure!(seen(&table, FOUR)?.communities == ["65001:7".to_owned()].into(), "{table:?}");
    Ok(())
}

pub fn routes_come_change_and_go(daemon: Daemon) -> Result<()> {
    const OTHER: &str = "198.51.100.2/32";
    let stage = Stage::build(daemon, &Neighbour::default())?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain()), (OTHER, plain())]))?;
    stage.router_shows("two routes", |table| table.contains_key(FOUR) && table.contains_key(OTHER))?;
    let tagged = Announcement { communities: [Community::new(65_001, 9)].into(), ..plain() };
    stage.speaker.wish(BTreeMap::from([(FOUR, tagged), (OTHER, plain())]))?;
    stage.router_shows("the change of one", |table| {
        let tags = |prefix: &str| table.get(prefix).map(|route| route.communities.len());
        tags(FOUR) == Some(1) && tags(OTHER) == Some(0)
    })?;
    stage.speaker.wish(BTreeMap::from([(OTHER, plain())]))?;
    stage.router_shows("one route less", |table| !table.contains_key(FOUR) && table.contains_key(OTHER))?;
    let view = stage.is_up()?;
    ensure!(view.peer.counts.sessions == 1, "all that over one session: {view:#?}");
    Ok(())
}

pub fn a_router_that_asks_gets_everything_again(daemon: Daemon) -> Result<()> {
    let stage = Stage::build(daemon, &Neighbour::default())?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
    stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    let before = stage.is_up()?;
    stage.router.ask_again()?;
    let asked = |view: &ferrolb_speaker::bgp::View| {
        view.peer.counts.received(Kind::RouteRefresh) > before.peer.counts.received(Kind::RouteRefresh)
            && view.routes.messages > before.routes.messages
            && view.is_up_to_date()
    };
    stage.speaker.sees("repetition", asked)?;
    stage.router_shows("the route still", |table| table.contains_key(FOUR))?;
    Ok(())
}
