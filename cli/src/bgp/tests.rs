// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The answers about one router that is reached by one node, refuses another, and lacks its Secret on a third.

use std::sync::Arc;

use ferrolb_config::Objects;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::report::{SessionsReport, sessions};
use super::table::Width;
use super::{json, neighbor, nobody_speaks_to, table};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn objects() -> Objects {
    let mut objects = Objects::default();
    let established = json!({
        "peer": "rack", "router": "192.0.2.9:179", "state": "Established", "since": "2026-11-21T11:55:00Z",
        "agreed": {
            "localAddress": "192.0.2.1:40000", "peerAddress": "192.0.2.9:179", "localASN": 65001, "peerASN": 65002,
            "peerRouterID": "192.0.2.9", "holdSeconds": 9, "families": ["IPv4 unicast"],
            "capabilitiesSent": ["IPv4 unicast", "route refresh"], "capabilitiesReceived": ["IPv4 unicast"],
        },
        "unsendable": "the session does not carry IPv6 unicast; for example 2001:db8::1/128",
        "bfd": {"state": "Up", "since": "2026-11-21T11:55:01Z", "counters": {"ups": 2, "downs": 1}},
        "lastEnd": {"at": "2026-11-21T11:54:00Z", "message": "the peer has restarted"},
        "counters": {"routesAnnounced": 3, "failures": 0},
    });
    let connecting = json!({
        "peer": "rack", "router": "192.0.2.9:179", "state": "Connecting", "since": "2026-11-21T11:59:00Z",
        "reason": "RouterNotReached", "message": "cannot connect: refused",
    });
    let blocked = json!({
        "peer": "rack", "state": "Blocked", "since": "2026-11-21T11:00:00Z",
        "reason": "PasswordNotUsable", "message": "there is no Secret rack",
    });
    for (node, session, heartbeat) in [
        ("n1", established, "2026-11-21T11:59:58Z"),
        ("n2", connecting, "2026-11-21T11:59:58Z"),
        ("n3", blocked, "2026-11-21T11:00:00Z"),
    ] {
        let speaker = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "Speaker", "metadata": {"name": node}, "spec": {},
            "status": {"version": "0.1.0", "heartbeat": heartbeat, "bgp": [session]},
        });
        objects.speakers.insert(node.to_owned(), Arc::new(serde_json::from_value(speaker).unwrap()));
    }
    objects
}

fn report() -> SessionsReport {
    sessions(&objects(), now(), |_| true)
}

fn written(write: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn peers_show_state_age_and_why_there_is_no_session() {
    let shown = written(|out| table::write(&report(), Width::Normal, out).unwrap());
    insta::assert_snapshot!(shown, @r"
    NODE         PEER  ROUTER         AS     STATE        FOR   ROUTES  BFD  WHY
    n1           rack  192.0.2.9:179  65002  Established  5m    3       Up   routes left out: the session does not carry IPv6 unicast; for example 2001:db8::1/128
    n2           rack  192.0.2.9:179  -      Connecting   60s   -       -    RouterNotReached: cannot connect: refused
    n3 (silent)  rack  -              -      Blocked      1h0m  -       -    PasswordNotUsable: there is no Secret rack
    ");
    let wide = written(|out| table::write(&report(), Width::Wide, out).unwrap());
    assert!(wide.contains("192.0.2.1:40000  9s    IPv4 unicast  6m ago: the peer has restarted"), "{wide}");
}

#[test]
fn a_neighbor_is_shown_with_everything_that_is_known() {
    let shown = written(|out| neighbor::write(&report(), out).unwrap());
    insta::assert_snapshot!(shown, @r"
    BGPPeer rack on the node n1
      router           192.0.2.9:179
      state            Established for 5m
      our end          192.0.2.1:40000, AS 65001
      its end          192.0.2.9:179, AS 65002, router id 192.0.2.9
      hold time        9 s
      families         IPv4 unicast
      we can           IPv4 unicast, route refresh
      it can           IPv4 unicast
      routes left out  the session does not carry IPv6 unicast; for example 2001:db8::1/128
      BFD              Up for 4m
      BFD counters     downs 1, ups 2
      last end         6m ago: the peer has restarted
      counters         routesAnnounced 3

    BGPPeer rack on the node n2
      router           192.0.2.9:179
      state            Connecting for 60s
      reason           RouterNotReached
      why              cannot connect: refused

    BGPPeer rack on the node n3, whose speaker is silent: this may be past
      state            Blocked for 1h0m
      reason           PasswordNotUsable
      why              there is no Secret rack
    ");
}

#[test]
fn scripts_find_node_and_session_side_by_side() {
    let text = written(|out| json(&report(), out).unwrap());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["sessions"][0]["node"], "n1");
    assert_eq!(value["sessions"][0]["agreed"]["peerASN"], 65002);
    assert_eq!(value["sessions"][2]["silent"], true);
}

#[test]
fn a_peer_that_nobody_speaks_to_is_told_from_one_that_does_not_exist() {
    let mut objects = objects();
    let peer = json!({"apiVersion": "ferrolb.io/v1beta1", "kind": "BGPPeer", "metadata": {"name": "spine"},
        "spec": {"myASN": 65001, "peerASN": 65002, "peerAddress": "192.0.2.8"}});
    objects.bgp_peers.insert("spine".to_owned(), Arc::new(serde_json::from_value(peer).unwrap()));
    let words = nobody_speaks_to(&objects, "spine", None);
    assert!(words.starts_with("no speaker says anything of BGPPeer spine"), "{words}");
    let words = nobody_speaks_to(&objects, "leaf", Some("n1"));
    assert!(words.contains("there is no BGPPeer leaf") && words.ends_with("there are: spine"), "{words}");
}
