// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a peer is told, in which order, and what it is not told.

mod model;
mod property;

use std::{net::Ipv6Addr, sync::Arc};

use super::*;
use crate::{
    attributes::NextHop,
    community::{Community, LargeCommunity},
    testing::{external, modern, old, open},
};
use model::Peer;

fn v4(med: u32) -> Arc<Attributes> {
    Arc::new(Attributes { med: Some(med), ..Attributes::new(NextHop::V4([10, 77, 0, 1].into())) })
}

fn v6(med: u32) -> Arc<Attributes> {
    let next_hop = NextHop::V6 { global: Ipv6Addr::from(0xfd77), link_local: None };
    Arc::new(Attributes { med: Some(med), ..Attributes::new(next_hop) })
}

fn routes<'a>(list: impl IntoIterator<Item = (&'a str, &'a Arc<Attributes>)>) -> Arc<Routes> {
    let routes =
        list.into_iter().map(|(prefix, attributes)| (prefix.parse().unwrap(), Arc::clone(attributes)));
    Arc::new(routes.collect())
}

/// A peer of that session that has read everything.
fn told(session: Negotiated, desired: &Arc<Routes>) -> (RibOut, Peer) {
    let (mut rib, mut peer) = (RibOut::new(session.clone()), Peer::new(session));
    rib.set_desired(Arc::clone(desired));
    peer.read_all(&mut rib);
    (rib, peer)
}

#[test]
fn nothing_is_said_before_it_is_known_what_to_say() {
    let (mut rib, mut out) = (RibOut::new(external()), Vec::new());
    rib.refresh(Family::Ipv4Unicast);
    assert!(!rib.next_message(&mut out) && out.is_empty());
}

#[test]
fn end_of_rib_follows_all_routes_of_a_family_once_even_if_there_are_none() {
    let (mut rib, mut peer) =
        told(external(), &routes([("192.0.2.1/32", &v4(1)), ("2001:db8::1/128", &v6(1))]));
    assert_eq!(peer.log(), ["+192.0.2.1/32", "end 4", "+2001:db8::1/128", "end 6"]);
    rib.set_desired(routes([]));
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["-192.0.2.1/32", "-2001:db8::1/128"]);

    let (_, mut peer) = told(external(), &routes([]));
    assert_eq!(peer.log(), ["end 4", "end 6"]);
    let (_, mut peer) = told(old(), &routes([]));
    assert_eq!(peer.log(), ["end 4"]);
}

#[test]
fn withdrawals_go_first() {
    let one = v4(1);
    let (mut rib, mut peer) = told(external(), &routes([("192.0.2.1/32", &one), ("192.0.2.2/32", &one)]));
    peer.log();
    rib.set_desired(routes([("192.0.2.0/32", &one), ("192.0.2.2/32", &v4(2))]));
    assert_eq!(rib.waiting(), 3);
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["-192.0.2.1/32", "+192.0.2.0/32", "+192.0.2.2/32"]);
    assert_eq!(rib.waiting(), 0);
}

#[test]
fn withdrawal_cancels_an_announcement_that_was_not_sent() {
    let (mut rib, mut peer) = told(external(), &routes([]));
    peer.log();
    rib.set_desired(routes([("192.0.2.1/32", &v4(1))]));
    rib.set_desired(routes([]));
    peer.read_all(&mut rib);
    assert!(peer.log().is_empty());
}

#[test]
fn the_last_wish_counts_and_equal_attributes_are_no_change() {
    let (mut rib, mut peer) = told(external(), &routes([("192.0.2.1/32", &v4(1))]));
    peer.log();
    rib.set_desired(routes([("192.0.2.1/32", &v4(2))]));
    rib.set_desired(routes([("192.0.2.1/32", &v4(1))]));
    peer.read_all(&mut rib);
    assert!(peer.log().is_empty());
}

#[test]
fn bgp_030_routes_with_equal_attributes_share_a_message() {
    let many: Vec<(String, Arc<Attributes>)> =
        (0..500).map(|n| (format!("192.0.{}.{}/32", n / 250, n % 250), v4(n % 2))).collect();
    let desired = routes(many.iter().map(|(prefix, attributes)| (prefix.as_str(), attributes)));
    let (_, peer) = told(external(), &desired);
    assert_eq!(peer.messages, 2 + 2, "two groups, two times End-of-RIB");
    assert_eq!(peer.held().len(), 500);
}

#[test]
fn a_refresh_repeats_the_family_between_its_marks() {
    let desired = routes([("192.0.2.1/32", &v4(1)), ("2001:db8::1/128", &v6(1))]);
    let (mut rib, mut peer) = told(external(), &desired);
    peer.log();
    rib.refresh(Family::Ipv6Unicast);
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["begin 6", "+2001:db8::1/128", "done 6"]);

    let plain = Negotiated { enhanced_route_refresh: false, ..external() };
    let (mut rib, mut peer) = told(plain, &desired);
    peer.log();
    rib.refresh(Family::Ipv4Unicast);
    rib.refresh(Family::Ipv6Unicast);
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["+192.0.2.1/32", "+2001:db8::1/128"]);
}

#[test]
fn a_peer_that_asks_all_the_time_gets_one_table_after_the_other() {
    for enhanced_route_refresh in [true, false] {
        let session = Negotiated { enhanced_route_refresh, ..external() };
        let (mut rib, mut peer) = (RibOut::new(session.clone()), Peer::new(session));
        rib.set_desired(routes([("192.0.2.1/32", &v4(1)), ("192.0.2.2/32", &v4(2))]));
        for _ in 0..10 {
            rib.refresh(Family::Ipv4Unicast);
        }
        peer.read_one(&mut rib);
        rib.refresh(Family::Ipv4Unicast);
        peer.read_all(&mut rib);
        let again: &[&str] = if enhanced_route_refresh {
            &["begin 4", "+192.0.2.1/32", "+192.0.2.2/32", "done 4"]
        } else {
            &["+192.0.2.1/32", "+192.0.2.2/32"]
        };
        let first = ["+192.0.2.1/32", "+192.0.2.2/32", "end 4"];
        assert_eq!(peer.log(), [&first, again, &["end 6"]].concat());
    }
}

#[test]
fn what_goes_during_a_refresh_is_withdrawn() {
    let (one, two) = (v4(1), v4(2));
    let (mut rib, mut peer) = told(external(), &routes([("192.0.2.1/32", &one), ("192.0.2.2/32", &two)]));
    peer.log();
    rib.refresh(Family::Ipv4Unicast);
    peer.read_one(&mut rib);
    rib.set_desired(routes([("192.0.2.2/32", &two)]));
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["begin 4", "-192.0.2.1/32", "+192.0.2.2/32", "done 4"]);
}

#[test]
fn bgp_075_routes_that_the_session_cannot_carry_have_a_reason_and_the_rest_goes_out() {
    let too_many = Arc::new(Attributes {
        communities: (0..2_000).map(Community).collect(),
        large_communities: [LargeCommunity { global: 1, data1: 2, data2: 3 }].into(),
        ..Attributes::clone(&v4(1))
    });
    let desired = routes([
        ("192.0.2.1/32", &v4(1)),
        ("192.0.2.2/32", &v6(1)),
        ("192.0.2.3/32", &too_many),
        ("192.0.2.9/31", &v4(1)),
        ("2001:db8::1/128", &v6(1)),
        ("2001:db8::2/128", &v4(1)),
    ]);
    let told_to = |session| {
        let (rib, mut peer) = told(session, &desired);
        let reasons: Vec<_> =
            rib.unsendable().iter().map(|(p, reason)| (p.to_string(), reason.clone())).collect();
        (peer.log(), reasons)
    };
    let too_long = Unsendable::TooLong { needed: 8_108, max: 4_096 };
    let name = str::to_owned;

    let (log, reasons) = told_to(external());
    assert_eq!(log, ["+192.0.2.1/32", "+192.0.2.2/32", "end 4", "+2001:db8::1/128", "end 6"]);
    let expected = [
        (name("192.0.2.3/32"), too_long.clone()),
        (name("192.0.2.9/31"), Unsendable::HostBits),
        (name("2001:db8::2/128"), Unsendable::NextHop),
    ];
    assert_eq!(reasons, expected);

    let (log, reasons) = told_to(old());
    assert_eq!(log, ["+192.0.2.1/32", "end 4"]);
    let expected = [
        (name("192.0.2.2/32"), Unsendable::ExtendedNextHop),
        (name("192.0.2.3/32"), too_long),
        (name("192.0.2.9/31"), Unsendable::HostBits),
        (name("2001:db8::1/128"), Unsendable::Family(Family::Ipv6Unicast)),
        (name("2001:db8::2/128"), Unsendable::Family(Family::Ipv6Unicast)),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_route_that_becomes_unsendable_is_withdrawn() {
    let (mut rib, mut peer) = told(external(), &routes([("2001:db8::1/128", &v6(1))]));
    peer.log();
    rib.set_desired(routes([("2001:db8::1/128", &v4(1))]));
    peer.read_all(&mut rib);
    assert_eq!(peer.log(), ["-2001:db8::1/128"]);
    assert_eq!(rib.unsendable().len(), 1);
}

#[test]
fn the_longest_attributes_that_are_not_refused_fit_a_message() {
    for session in [external(), Negotiated::new(&open(65_001, modern()), &open(65_001, modern())), old()] {
        for count in 990..1_024 {
            let many =
                Attributes { communities: (0..count).map(Community).collect(), ..Attributes::clone(&v4(1)) };
            let (rib, peer) = told(session.clone(), &routes([("192.0.2.1/32", &Arc::new(many))]));
            assert_eq!(peer.held().len() + rib.unsendable().len(), 1, "{count}");
        }
    }
}
