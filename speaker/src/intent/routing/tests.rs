// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What one node tells routers, from manifests: three nodes, one pool, two routers, and what each test adds.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::manifest::Manifest;
use ferrolb_config::reason::Reason;

use crate::datapath::{Mode, Role};
use crate::intent::{Carried, Follower, Intent};

const GROUND: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: a}}, status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2, labels: {rack: b}}}
---
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [192.0.2.0/24, '2001:db8::/64']}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: p1}, spec: {myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: p2}, spec: {myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.2}}
";

fn own(kind: &str, name: &str, spec: &str) -> String {
    format!("{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}")
}

fn advertisement(name: &str, spec: &str) -> String {
    own("BGPAdvertisement", name, spec)
}

/// A Service on an address, with endpoints on the nodes.
fn service(name: &str, address: &str, more: &str, endpoints: &[(&str, &str)]) -> String {
    let object = ferrolb_config::address::virtual_ip_name(address.parse().unwrap());
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    let of_family = |index: usize| match family {
        "IPv4" => format!("10.1.0.{}", index + 1),
        _ => format!("2001:db8:1::{}", index + 1),
    };
    let endpoints = endpoints.iter().enumerate().map(|(index, (node, conditions))| {
        format!("{{addresses: ['{}'], nodeName: {node}, conditions: {{{conditions}}}}}", of_family(index))
    });
    let endpoints: Vec<String> = endpoints.collect();
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, labels: {{app: {name}}}}}, \
         spec: {{type: LoadBalancer, ports: [{{port: 80}}], {more}}}}}\n---\n\
         {{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: '{object}'}}, \
         spec: {{address: '{address}', pool: lan, consumers: [{{kind: Service, namespace: default, name: {name}}}]}}}}\n---\n\
         {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, \
         metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}, addressType: {family}, \
         ports: [{{port: 8080}}], endpoints: [{}]}}",
        endpoints.join(", ")
    )
}

const LOCAL: &str = "externalTrafficPolicy: Local";
const WEB: &[(&str, &str)] = &[("n2", "ready: true")];

fn web(more: &str, endpoints: &[(&str, &str)]) -> String {
    service("web", "192.0.2.10", more, endpoints)
}

fn objects(documents: &[String]) -> Arc<Objects> {
    let text = format!("{GROUND}---\n{}", documents.join("\n---\n"));
    let manifest = Manifest::parse(Path::new("test.yaml"), &text);
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    manifest.documents.into_iter().for_each(|document| objects.insert(document.object));
    Arc::new(objects)
}

fn intent(node: &str, documents: &[String]) -> Arc<Intent> {
    let mut follower = Follower::new(node, Mode::KubeProxy);
    follower.follow(&objects(documents));
    Arc::clone(follower.intent())
}

/// The routes that `node` tells `peer`, as `prefix localPref communities`.
fn told(intent: &Intent, peer: &str) -> Vec<String> {
    let routes = intent.carried(|_, _| true).routes_to(peer, &intent.advertisements);
    let line = |(prefix, attributes): (ipnet::IpNet, Arc<super::RouteAttributes>)| {
        let mut words = vec![prefix.to_string()];
        words.extend(attributes.local_pref.map(|preference| preference.to_string()));
        words.extend(attributes.communities.iter().map(ToString::to_string));
        words.join(" ")
    };
    routes.into_iter().map(line).collect()
}

fn why(intent: &Intent, address: &str) -> Option<Reason> {
    let address: IpAddr = address.parse().unwrap();
    intent.routes.get(&address)?.here.as_ref().err().map(|obstacle| obstacle.reason)
}

#[test]
fn bgp_001_cluster_is_announced_by_every_node_while_some_endpoint_serves() {
    let documents = [advertisement("a", ""), web("", WEB)];
    for node in ["n1", "n2"] {
        assert_eq!(told(&intent(node, &documents), "p1"), ["192.0.2.10/32"], "{node}");
    }
}

#[test]
fn bgp_002_local_is_announced_by_nodes_with_an_endpoint_alone() {
    let documents = [advertisement("a", ""), web(LOCAL, WEB)];
    assert_eq!(told(&intent("n2", &documents), "p1"), ["192.0.2.10/32"]);
    let elsewhere = intent("n1", &documents);
    assert_eq!(told(&elsewhere, "p1"), [""; 0]);
    assert_eq!(why(&elsewhere, "192.0.2.10"), Some(Reason::NoLocalEndpoints));
}

#[test]
fn bgp_003_bgp_004_bgp_005_without_an_endpoint_that_answers_nothing_is_announced_and_serving_ones_answer() {
    let with = |endpoints: &[(&str, &str)], more: &str| {
        let intent = intent("n2", &[advertisement("a", ""), web(more, endpoints)]);
        (told(&intent, "p1").len(), why(&intent, "192.0.2.10"))
    };
    let none = (0, Some(Reason::NoEndpoints));
    for more in ["", LOCAL] {
        assert_eq!(with(&[], more), none);
        assert_eq!(with(&[("n2", "ready: false")], more), none);
        assert_eq!(with(&[("n2", "ready: false, serving: true, terminating: true")], more), (1, None));
        assert_eq!(with(&[("n2", "ready: true, serving: false")], more), (1, None));
        assert_eq!(with(&[("n2", "ready: false"), ("n2", "ready: true")], more), (1, None));
    }
}

#[test]
fn bgp_006_what_no_advertisement_covers_is_told_to_nobody() {
    let without = intent("n1", &[web("", WEB)]);
    assert!(told(&without, "p1").is_empty() && without.routes.is_empty());
    let other = advertisement("a", "addressPools: [other]");
    assert!(intent("n1", &[other, web("", WEB)]).routes.is_empty());
}

#[test]
fn bgp_007_bgp_022_two_services_on_one_address_and_two_addresses_in_one_aggregate_are_one_route() {
    let both =
        [advertisement("a", "aggregationLength: 24"), web("", WEB), service("db", "192.0.2.11", "", WEB)];
    assert_eq!(told(&intent("n1", &both), "p1"), ["192.0.2.0/24"]);
    assert_eq!(told(&intent("n1", &both[..2]), "p1"), ["192.0.2.0/24"], "until the last has gone");
    let both = intent("n1", &both);
    let to = |carried: Carried| carried.routes_to("p1", &both.advertisements);
    let of_closed = to(both.carried(|address, _| address.to_string() == "192.0.2.11"));
    assert_eq!(of_closed.len(), 1, "one open gate is enough for an aggregate");
    assert!(to(both.carried(|_, _| false)).is_empty());
}

#[test]
fn bgp_009_bgp_010_a_node_that_must_not_carry_addresses_withdraws_and_one_that_is_drained_leaves_in_order() {
    let node = |metadata: &str, rest: &str| {
        let node = format!("{{apiVersion: v1, kind: Node, metadata: {{name: n3, {metadata}}}, {rest}}}");
        let intent = intent("n3", &[node, advertisement("a", ""), web("", WEB)]);
        (told(&intent, "p1").len(), intent.leaving.is_some(), why(&intent, "192.0.2.10"))
    };
    let excluded = "labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}";
    assert_eq!(node(excluded, ""), (0, false, Some(Reason::NodeExcluded)));
    let unavailable = "status: {conditions: [{type: NetworkUnavailable, status: 'True'}]}";
    assert_eq!(node("", unavailable), (0, false, Some(Reason::NodeNetworkUnavailable)));
    assert_eq!(node("annotations: {ferrolb.io/drain: 'true'}", ""), (1, true, None));
    assert_eq!(node("", ""), (1, false, None));
}

#[test]
fn bgp_020_bgp_023_bgp_025_two_advertisements_are_two_routes_and_on_one_prefix_their_communities_unite() {
    let documents = [
        advertisement("host", "localPref: 100, communities: ['0:1234', backup, '0:1234']"),
        advertisement("more", "communities: ['large:123:456:7890']"),
        advertisement("wide", "localPref: 1000, aggregationLength: 24, aggregationLengthV6: 124"),
        own("Community", "names", "communities: [{name: backup, value: '0:2345'}]"),
        web("", WEB),
        service("six", "2001:db8::5", "", WEB),
    ];
    assert_eq!(
        told(&intent("n1", &documents), "p2"),
        [
            "192.0.2.0/24 1000",
            "192.0.2.10/32 100 0:1234 0:2345 large:123:456:7890",
            "2001:db8::/124 1000",
            "2001:db8::5/128 100 0:1234 0:2345 large:123:456:7890",
        ]
    );
}

#[test]
fn bgp_026_a_conflict_of_preferences_withholds_the_preference_and_nothing_else() {
    let documents = [
        advertisement("a", "localPref: 100, communities: ['1:1']"),
        advertisement("b", "localPref: 200"),
        advertisement("c", "localPref: 300, aggregationLength: 24"),
        web("", WEB),
    ];
    assert_eq!(told(&intent("n1", &documents), "p2"), ["192.0.2.0/24 300", "192.0.2.10/32 1:1"]);
}

#[test]
fn bgp_027_preferences_conflict_only_where_both_advertisements_meet_a_peer_on_a_node() {
    let on = |node: &str, peer: &str, one: &str, other: &str| {
        let documents = [
            advertisement("a", &format!("localPref: 100, {one}")),
            advertisement("b", &format!("localPref: 200, {other}")),
            web("", WEB),
        ];
        told(&intent(node, &documents), peer)
    };
    let (plain, first, second) = (["192.0.2.10/32"], ["192.0.2.10/32 100"], ["192.0.2.10/32 200"]);
    let rack = |racks: &str| {
        format!("nodeSelectors: [{{matchExpressions: [{{key: rack, operator: In, values: [{racks}]}}]}}]")
    };
    // Peers: any with any, any with some, a part of each, none in common.
    assert_eq!(on("n1", "p2", "peers: []", "peers: []"), plain);
    assert_eq!(on("n1", "p2", "peers: []", "peers: [p2]"), plain);
    assert_eq!(on("n1", "p3", "peers: []", "peers: [p2]"), first);
    for (peer, expected) in [("p1", plain), ("p3", first), ("p2", second)] {
        assert_eq!(on("n1", peer, "peers: [p1, p3]", "peers: [p1, p2]"), expected, "{peer}");
    }
    assert_eq!(on("n1", "p2", "peers: [p1]", "peers: [p2]"), second);
    // Nodes: one inside the other, none in common, none at all.
    assert_eq!(on("n1", "p2", &rack("a"), &rack("a, b")), plain);
    assert_eq!(on("n2", "p2", &rack("a"), &rack("a, b")), second);
    assert_eq!(on("n1", "p2", &rack("a"), &rack("b")), first);
    assert_eq!(on("n1", "p2", &rack("c"), "peers: []"), second);
    // Both must meet.
    let (one, other) = (format!("peers: [p1], {}", rack("a")), format!("peers: [p2], {}", rack("a")));
    assert_eq!(on("n1", "p1", &one, &other), first);
}

#[test]
fn bgp_040_bgp_041_an_advertisement_for_some_peers_is_for_these_alone() {
    let documents = [
        advertisement("a", "peers: [p1], communities: ['65531:65281']"),
        advertisement("b", "peers: [p2], communities: ['65532:65282']"),
        web("", WEB),
    ];
    let intent = intent("n1", &documents);
    assert_eq!(told(&intent, "p1"), ["192.0.2.10/32 65531:65281"]);
    assert_eq!(told(&intent, "p2"), ["192.0.2.10/32 65532:65282"]);
    assert_eq!(told(&intent, "p3"), [""; 0]);
}

#[test]
fn bgp_042_bgp_043_nodes_of_an_advertisement_announce_it_and_several_add_up() {
    let rack = |name: &str, rack: &str| {
        advertisement(name, &format!("nodeSelectors: [{{matchLabels: {{rack: {rack}}}}}]"))
    };
    let one = [rack("a", "a"), web("", WEB)];
    assert_eq!(told(&intent("n1", &one), "p1").len(), 1);
    assert_eq!(why(&intent("n2", &one), "192.0.2.10"), Some(Reason::NodeNotSelected));
    let two = [rack("a", "a"), rack("b", "b"), web("", WEB)];
    assert_eq!((told(&intent("n1", &two), "p1").len(), told(&intent("n2", &two), "p1").len()), (1, 1));
    let none = [rack("a", "c"), web("", WEB)];
    assert_eq!(told(&intent("n1", &none), "p1"), [""; 0]);
}

#[test]
fn bgp_048_bgp_050_bgp_051_services_are_selected_with_pools_and_every_advertisement_that_fits_counts() {
    let documents = [
        advertisement("wide", "aggregationLength: 24"),
        advertisement("all", "communities: ['1:1']"),
        advertisement(
            "some",
            "communities: ['2:2'], serviceSelectors: [{matchLabels: {app: web}}, {matchLabels: {app: no}}]",
        ),
        web("", WEB),
        service("db", "192.0.2.11", "", WEB),
    ];
    assert_eq!(
        told(&intent("n1", &documents), "p1"),
        ["192.0.2.0/24", "192.0.2.10/32 1:1 2:2", "192.0.2.11/32 1:1"]
    );
}

#[test]
fn bgp_028_bgp_032_bgp_044_an_edit_changes_what_is_told_and_nothing_else() {
    let mut follower = Follower::new("n1", Mode::KubeProxy);
    let db = service("db", "192.0.2.11", "", WEB);
    assert!(follower.follow(&objects(&[advertisement("a", "localPref: 200"), web("", WEB), db.clone()])));
    assert_eq!(told(follower.intent(), "p2"), ["192.0.2.10/32 200", "192.0.2.11/32 200"]);
    let before = Arc::clone(follower.intent());
    let edited = advertisement("a", "localPref: 300, communities: ['123:456']");
    assert!(follower.follow(&objects(&[edited.clone(), web("", WEB), db])));
    assert_eq!(told(follower.intent(), "p2"), ["192.0.2.10/32 300 123:456", "192.0.2.11/32 300 123:456"]);
    assert_eq!(follower.intent().routers, before.routers, "no session is touched");
    assert!(follower.follow(&objects(&[edited, web("", WEB)])));
    assert_eq!(told(follower.intent(), "p2"), ["192.0.2.10/32 300 123:456"]);
    assert!(follower.follow(&objects(&[web("", WEB)])));
    assert_eq!(told(follower.intent(), "p2"), [""; 0]);
}

#[test]
fn bgp_046_bgp_047_sessions_are_those_whose_selectors_match_the_node() {
    let rack = own(
        "BGPPeer",
        "p3",
        "myASN: 64999, peerASN: 1, peerAddress: 10.0.0.3, nodeSelectors: [{matchLabels: {rack: b}}]",
    );
    let first = intent("n1", std::slice::from_ref(&rack));
    assert_eq!(first.routers["p3"].as_ref().unwrap_err().reason, Reason::NodeNotSelected);
    let router = first.routers["p1"].as_ref().unwrap();
    assert_eq!(router.router_id, Some("10.0.0.11".parse().unwrap()), "the node's first IPv4 address");
    let second = intent("n2", &[rack]);
    assert_eq!(second.routers["p3"].as_ref().unwrap().settings.local_as.get(), 64_999);
    assert_eq!(second.routers.values().filter(|router| router.is_ok()).count(), 3);
}

#[test]
fn conf_038_conf_039_one_router_under_two_names_is_spoken_to_once() {
    let double = own("BGPPeer", "twin", "myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1");
    let intent = intent("n1", &[double]);
    assert!(intent.routers["p1"].is_ok());
    assert_eq!(intent.routers["twin"].as_ref().unwrap_err().reason, Reason::DuplicateObject);
}

#[test]
fn conf_032_a_password_is_read_from_its_secret_and_followed() {
    let peer =
        own("BGPPeer", "p3", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.3, passwordSecret: {name: router}");
    let secret = |password: &str| {
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: router}}, type: kubernetes.io/basic-auth, stringData: {{password: {password}}}}}"
        )
    };
    let mut follower = Follower::new("n1", Mode::KubeProxy);
    follower.follow(&objects(std::slice::from_ref(&peer)));
    let missing = follower.intent().routers["p3"].clone().unwrap_err();
    assert_eq!(missing.reason, Reason::PasswordNotUsable);
    assert!(missing.message.contains("there is no Secret router"), "{}", missing.message);
    for password in ["first", "second"] {
        assert!(follower.follow(&objects(&[peer.clone(), secret(password)])), "a new password is news");
        let router = follower.intent().routers["p3"].clone().unwrap();
        assert_eq!(router.password.as_ref().unwrap().octets(), password.as_bytes());
    }
}

#[test]
fn an_address_on_no_segment_is_carried_where_routers_hear_of_it_and_says_why_where_they_do_not() {
    let address: IpAddr = "192.0.2.10".parse().unwrap();
    let documents = [advertisement("a", ""), web(LOCAL, WEB)];
    let obstacle = |node: &str, documents: &[String]| {
        let intent = intent(node, documents);
        let vip = &intent.vips[&address];
        assert_eq!(vip.here.as_ref().unwrap_err().reason, Reason::NotAdvertised, "no L2Advertisement");
        (intent.obstacle(address, vip).map(|obstacle| obstacle.reason), intent.data_path().vips[&address])
    };
    assert_eq!(obstacle("n2", &documents), (None, Role::Candidate));
    assert_eq!(obstacle("n1", &documents), (Some(Reason::NoLocalEndpoints), Role::Elsewhere));
    assert_eq!(obstacle("n2", &documents[1..]), (Some(Reason::NotAdvertised), Role::Elsewhere));
}

#[test]
fn bgp_029_pools_are_selected_by_their_labels_too() {
    let labelled = "{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan, labels: {zone: a}}, spec: {addresses: [192.0.2.0/24]}}";
    let zone = |zone: &str| {
        advertisement("a", &format!("addressPoolSelectors: [{{matchLabels: {{zone: {zone}}}}}]"))
    };
    let count = |zone: String| told(&intent("n1", &[labelled.to_owned(), zone, web("", WEB)]), "p1").len();
    assert_eq!((count(zone("a")), count(zone("b"))), (1, 0));
}

#[test]
fn bgp_008_bgp_045_bgp_049_a_service_that_goes_or_is_no_longer_selected_is_withdrawn_and_no_other() {
    let front = |services: &str, nodes: &str| {
        let services = format!("serviceSelectors: [{{matchLabels: {{app: {services}}}}}]");
        advertisement("front", &format!("{services}, nodeSelectors: [{{matchLabels: {{rack: {nodes}}}}}]"))
    };
    let back = advertisement("back", "serviceSelectors: [{matchLabels: {app: db}}]");
    let db = service("db", "192.0.2.11", "", WEB);
    let mut follower = Follower::new("n1", Mode::KubeProxy);
    let mut after = |documents: &[String]| {
        follower.follow(&objects(documents));
        told(follower.intent(), "p1")
    };
    let both = ["192.0.2.10/32", "192.0.2.11/32"];
    assert_eq!(after(&[front("web", "a"), back.clone(), web("", WEB), db.clone()]), both);
    assert_eq!(after(&[front("web", "none"), back.clone(), web("", WEB), db.clone()]), both[1..]);
    assert_eq!(after(&[front("web", "a"), back.clone(), web("", WEB), db.clone()]), both);
    let relabelled = web("", WEB).replace("{app: web}", "{app: other}");
    assert_eq!(after(&[front("web", "a"), back.clone(), relabelled.clone(), db.clone()]), both[1..]);
    assert_eq!(after(&[front("other", "a"), back.clone(), relabelled, db.clone()]), both);
    assert_eq!(after(&[front("web", "a"), back, db]), both[1..], "it is deleted");
}

#[test]
fn bgp_079_the_order_of_the_objects_makes_no_difference() {
    let mut documents = vec![
        advertisement("a", "communities: ['1:1'], localPref: 5"),
        advertisement("b", "communities: ['2:2']"),
        advertisement("c", "aggregationLength: 24"),
        own("BGPPeer", "twin", "myASN: 1, peerASN: 2, peerAddress: 10.0.0.1"),
        web("", WEB),
        service("db", "192.0.2.11", "", WEB),
    ];
    let first = intent("n1", &documents);
    for turn in 0..documents.len() {
        documents.rotate_left(1);
        if turn % 2 == 0 {
            documents.reverse();
        }
        let again = intent("n1", &documents);
        assert_eq!((&again.routes, &again.routers), (&first.routes, &first.routers));
        assert_eq!(told(&again, "p1"), told(&first, "p1"));
    }
}
