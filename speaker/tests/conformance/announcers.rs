// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who may carry an address: endpoints, policies, nodes that are out.

use std::collections::BTreeMap;

use ferrolb_config::reason::Reason;

use crate::cluster::{Cluster, FAILOVER, FROM_NOTHING, MS};
use crate::manifests::{LOCAL, conditioned, endpoints, grouped, ipv6_endpoints, node, served, service, vip};

const VIP: &str = "192.0.2.100";
const EXCLUDED: &str = "labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}";

/// A cluster that has found who carries [`VIP`], for a Service with endpoints on these nodes.
fn web(nodes: u8, spec: &str, on: &[&str]) -> Cluster {
    let mut cluster = Cluster::of(nodes);
    cluster.apply(&served("web", spec, VIP, on));
    cluster.settle();
    cluster
}

/// Services on many addresses, each with endpoints on these nodes, and who carries them.
fn owners(nodes: u8, on: &[&str]) -> BTreeMap<String, String> {
    let mut cluster = Cluster::of(nodes);
    let addresses: Vec<String> = (1..=30).map(|host| format!("192.0.2.{host}")).collect();
    for (number, address) in addresses.iter().enumerate() {
        cluster.apply(&served(&format!("web{number}"), "", address, on));
    }
    cluster.settle();
    addresses.into_iter().map(|address| (address.clone(), cluster.owner(&address))).collect()
}

#[test]
fn l2_001_one_node_answers_for_each_address_and_both_have_a_share() {
    let owners = owners(2, &["n1"]);
    let of = |node: &str| owners.values().filter(|owner| *owner == node).count();
    assert_eq!(of("n1") + of("n2"), owners.len());
    assert!(of("n1") >= 8 && of("n2") >= 8, "{owners:?}");
}

#[test]
fn l2_002_under_policy_local_a_node_with_an_endpoint_answers_and_the_address_follows_the_endpoints() {
    let mut cluster = web(3, LOCAL, &["n1", "n2"]);
    assert_ne!(cluster.owner(VIP), "n3");
    cluster.apply(&[endpoints("web", &["n3"])]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), "n3");
}

#[test]
fn l2_003_nobody_answers_without_endpoints_and_somebody_does_again_with_one() {
    for policy in ["", LOCAL] {
        let mut cluster = web(3, policy, &["n1", "n2"]);
        cluster
            .apply(&[conditioned("web", &[("n1", "ready: false"), ("n2", "ready: false, serving: false")])]);
        assert_eq!(cluster.answering(VIP), [""; 0], "{policy}");
        cluster.apply(&[endpoints("web", &["n2"])]);
        cluster.pass(FROM_NOTHING);
        assert_eq!(cluster.answering(VIP).len(), 1, "{policy}");
    }
}

#[test]
fn l2_004_while_the_last_endpoint_terminates_and_serves_its_node_answers() {
    let mut cluster = web(3, LOCAL, &["n1"]);
    let terminating = ("n1", "ready: false, serving: true, terminating: true");
    cluster.apply(&[conditioned("web", &[terminating])]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), "n1");
    cluster.apply(&[conditioned("web", &[terminating, ("n2", "ready: true")])]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), "n2", "one that is ready is preferred");
}

#[test]
fn l2_005_an_endpoint_is_ready_where_nothing_says_otherwise_and_where_it_does_not_serve() {
    for conditions in ["", "ready: true, serving: false"] {
        let mut cluster = web(2, LOCAL, &["n1"]);
        cluster.apply(&[conditioned("web", &[("n2", conditions)])]);
        cluster.pass(FAILOVER);
        assert_eq!(cluster.owner(VIP), "n2", "{conditions}");
    }
}

#[test]
fn l2_006_how_many_endpoints_a_node_has_does_not_matter() {
    assert_eq!(owners(3, &["n1", "n2"]), owners(3, &["n1", "n2", "n2", "n2"]));
}

#[test]
fn l2_007_a_node_whose_endpoints_can_not_serve_is_out_under_policy_local() {
    let mut cluster = web(2, LOCAL, &["n1", "n2"]);
    let owner = cluster.owner(VIP);
    let heir = if owner == "n1" { "n2" } else { "n1" };
    let out = (owner.as_str(), "ready: false");
    cluster.apply(&[conditioned("web", &[out, out, (heir, "ready: true")])]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), heir);
    let intent = cluster.intent(&owner, VIP).unwrap();
    assert_eq!(intent.here.as_ref().map_err(|obstacle| obstacle.reason), Err(Reason::NoLocalEndpoints));
}

#[test]
fn l2_008_who_carries_an_unowned_address_follows_from_the_candidates_and_the_address_alone() {
    let first = owners(3, &["n1"]);
    // Other Services, other endpoints, other order of everything.
    let mut cluster = Cluster::of(3);
    for address in first.keys().rev() {
        let name = format!("other-{}", address.replace('.', "-"));
        let [service, endpoints, vip] = served(&name, "", address, &["n3"]);
        cluster.apply(&[vip, endpoints, service]);
    }
    cluster.settle();
    for (address, owner) in &first {
        assert_eq!(cluster.owner(address), *owner, "{address}");
    }
}

#[test]
fn l2_009_services_on_one_address_are_announced_from_one_node_that_suits_all() {
    let mut cluster = Cluster::of(3);
    cluster.apply(&[service("one", LOCAL), endpoints("one", &["n1", "n2"])]);
    cluster.apply(&[
        service("two", &format!("ports: [{{port: 81}}], {LOCAL}")),
        endpoints("two", &["n2", "n3"]),
    ]);
    cluster.apply(&[vip(VIP, &["one", "two"])]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n2");
}

#[test]
fn l2_010_both_addresses_of_a_service_are_announced_from_one_node() {
    let both = [VIP, "2001:db8::100"];
    let mut cluster = Cluster::of(4);
    cluster.apply(&[service("web", ""), endpoints("web", &["n1"]), ipv6_endpoints("web", &["n1"])]);
    cluster.apply(&both.map(|address| grouped(address, &["web"], "web")));
    cluster.settle();
    for _ in 0..3 {
        let [ipv4, ipv6] = both.map(|address| cluster.owner(address));
        assert_eq!(ipv4, ipv6);
        cluster.crash(&ipv4);
        cluster.pass(FAILOVER);
    }
}

#[test]
fn l2_011_a_node_without_network_gives_its_addresses_away_and_may_carry_some_again_when_it_has_one() {
    let network = |name: &str, unavailable: bool| {
        let status = if unavailable { "'True'" } else { "'False'" };
        let conditions = format!("conditions: [{{type: NetworkUnavailable, status: {status}}}]");
        format!("{}status: {{{conditions}}}\n", node(name, ""))
    };
    let mut cluster = web(2, "", &["n1"]);
    let owner = cluster.owner(VIP);
    cluster.apply(&[network(&owner, true)]);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    let obstacle = cluster.intent(&owner, VIP).unwrap().here.clone().unwrap_err();
    assert_eq!(obstacle.reason, Reason::NodeNetworkUnavailable);
    assert!(obstacle.message.contains("NetworkUnavailable"), "{}", obstacle.message);
    cluster.apply(&[network(&owner, false), network(&heir, true)]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.owner(VIP), owner);
}

#[test]
fn l2_012_a_node_labelled_out_does_not_announce_and_with_all_labelled_nobody_does() {
    let mut cluster = web(2, "", &["n1"]);
    let owner = cluster.owner(VIP);
    cluster.apply(&[node(&owner, EXCLUDED)]);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, owner);
    cluster.apply(&[node(&heir, EXCLUDED)]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.answering(VIP), [""; 0]);
    cluster.apply(&[node(&owner, "")]);
    cluster.pass(FROM_NOTHING);
    assert_eq!(cluster.owner(VIP), owner);
}

#[test]
fn l2_012_a_planned_leave_is_answered_all_the_time() {
    let mut cluster = web(3, "", &["n1"]);
    let owner = cluster.owner(VIP);
    cluster.apply(&[node(&owner, EXCLUDED)]);
    let mut by_two = 0;
    for _ in 0..100 {
        let answering = cluster.answering(VIP).len();
        assert_ne!(answering, 0);
        by_two += answering - 1;
        cluster.pass(MS * 3);
    }
    assert!(
        by_two <= 2,
        "for some milliseconds the successor answers already and the old one still: {by_two}"
    );
    assert_ne!(cluster.owner(VIP), owner);
}
