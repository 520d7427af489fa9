// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What sessions are told, from peers and routes as users write them.

use std::path::Path;
use std::time::Duration;

use ferrolb_bgp::State;
use ferrolb_config::Objects;
use ferrolb_config::manifest::Manifest;

use super::*;
use crate::datapath::Mode;
use crate::intent::{Follower, Intent};

fn intent(spec: &str) -> Arc<Intent> {
    let text = format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: n1}}}}\n---\n\
         {{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: p}}, spec: {{{spec}}}}}"
    );
    let manifest = Manifest::parse(Path::new("test.yaml"), &text);
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    manifest.documents.into_iter().for_each(|document| objects.insert(document.object));
    let mut follower = Follower::new("n1", Mode::KubeProxy);
    follower.follow(&Arc::new(objects));
    Arc::clone(follower.intent())
}

fn settings_of(spec: &str, peer: &str) -> PeerSettings {
    let intent = intent(spec);
    let router = intent.routers["p"].as_ref().unwrap();
    let teller = Teller { node: "n1", beginning: Beginning::Fresh };
    settings("p", router, peer.parse().unwrap(), teller).unwrap()
}

const EXTERNAL: &str = "myASN: 4200000000, peerASN: 64513, peerAddress: 10.0.0.1";

#[test]
fn a_session_is_what_its_peer_says_and_the_defaults_of_the_guide() {
    let session = settings_of(EXTERNAL, "10.0.0.1:179");
    let machine = &session.machine;
    assert_eq!((machine.local_as.get(), machine.hold_time.as_secs()), (4_200_000_000, 90));
    assert_eq!(
        (machine.retry, machine.keepalive, machine.role),
        (Duration::from_secs(30), None, Role::Active)
    );
    assert!(matches!(machine.peer_as, PeerAs::Exactly(asn) if asn.get() == 64_513));
    assert_eq!((machine.capabilities.families(), machine.restart), (Families::IPV4, None));
    assert!(!machine.capabilities.extended_next_hop && session.transport.password.is_none());
    let mut peer = ferrolb_bgp::Peer::new(machine.clone(), 1);
    peer.handle(std::time::Instant::now(), ferrolb_bgp::peer::Input::Ready);
    assert_eq!(peer.state(), State::Connect, "the machine takes it");
}

#[test]
fn timers_families_restarts_and_dynamic_numbers_reach_the_machine() {
    let more = "holdTime: 57s, keepaliveTime: 13s, connectTime: 5s, routerID: 10.10.10.1, enableGracefulRestart: true";
    let machine = settings_of(&format!("{EXTERNAL}, {more}"), "10.0.0.1:179").machine;
    assert_eq!((machine.hold_time.as_secs(), machine.keepalive), (57, Some(Duration::from_secs(13))));
    assert_eq!(
        (machine.retry, machine.router_id.get().to_string()),
        (Duration::from_secs(5), "10.10.10.1".into())
    );
    assert!(machine.restart.is_some());
    let off = settings_of(&format!("{EXTERNAL}, holdTime: 0s"), "10.0.0.1:179").machine;
    assert_eq!(off.hold_time, HoldTime::DISABLED);
    let spec = "myASN: 64512, dynamicASN: internal, localASN: 64520, interface: eth0";
    let session = settings_of(spec, "[fe80::1%3]:179");
    assert_eq!((session.machine.local_as.get(), session.machine.peer_as), (64_520, PeerAs::Internal));
    assert_eq!(session.machine.capabilities.families(), Families::BOTH);
    assert!(session.machine.capabilities.extended_next_hop, "IPv4 routes by an IPv6 neighbour");
    assert_eq!(session.transport.interface.as_deref(), Some("eth0"));
}

#[test]
fn a_router_is_as_far_away_as_its_peer_lets_it_be() {
    let reach = |more: &str| settings_of(&format!("{EXTERNAL}, {more}"), "10.0.0.1:179").transport.reach;
    assert_eq!(reach(""), Reach::Link);
    assert_eq!(reach("ebgpMultiHop: true"), Reach::Hops(NonZeroU8::MAX));
    assert_eq!(reach("ttlSecurity: 2"), Reach::Proven(NonZeroU8::new(2).unwrap()));
    let internal = "myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1";
    assert_eq!(settings_of(internal, "10.0.0.1:179").transport.reach, Reach::Anywhere);
}

#[test]
fn nodes_without_an_ipv4_address_have_different_identifiers_and_always_the_same() {
    let id = |node: &str| {
        let intent = intent(EXTERNAL);
        router_id(intent.routers["p"].as_ref().unwrap(), node)
    };
    assert_eq!(id("n1"), id("n1"));
    assert_ne!(id("n1"), id("n2"));
}

#[test]
fn routes_that_are_alike_stay_one_and_a_node_that_leaves_says_so_on_all() {
    let attributes = |communities: &[Community], local_pref| {
        Arc::new(RouteAttributes { local_pref, communities: communities.iter().copied().collect() })
    };
    let both = attributes(&[Community::Standard(65_000, 1), Community::Large(1, 2, 3)], Some(50));
    let prefix = |text: &str| text.parse::<IpNet>().unwrap();
    let routes = BTreeMap::from([
        (prefix("192.0.2.1/32"), Arc::clone(&both)),
        (prefix("192.0.2.2/32"), both),
        (prefix("2001:db8::/64"), attributes(&[], None)),
    ]);
    let wish_of = |leaving| wish(&routes, leaving).routes;
    let staying = wish_of(false);
    let first = &staying[&prefix("192.0.2.1/32")];
    assert!(Arc::ptr_eq(first, &staying[&prefix("192.0.2.2/32")]));
    assert_eq!((first.local_pref, first.communities.len(), first.large_communities.len()), (Some(50), 1, 1));
    assert_eq!(*staying[&prefix("2001:db8::/64")], Announcement::default());
    let leaving = wish_of(true);
    assert!(leaving.values().all(|said| said.communities.contains(&Standard::GRACEFUL_SHUTDOWN)));
    assert_eq!(leaving[&prefix("192.0.2.1/32")].communities.len(), 2);
}

#[test]
fn a_profile_is_watched_with_its_times() {
    let profile = BfdProfile {
        receive: Duration::from_millis(50),
        transmit: Duration::from_millis(60),
        multiplier: 4,
        passive: true,
        minimum_ttl: 254,
    };
    let path = ferrolb_bfd::Path::SingleHop { peer: "10.0.0.1".parse().unwrap(), interface: None };
    let watched = watching(&profile, path);
    let timing = Timing::new(Interval::from_millis(60), Interval::from_millis(50), 4).unwrap();
    assert_eq!((watched.timing, watched.role), (timing, BfdRole::Passive));
}
