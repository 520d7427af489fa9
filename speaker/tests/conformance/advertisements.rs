// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which advertisements cover an address, and from which nodes.

use ferrolb_config::reason::Reason;

use crate::cluster::{Cluster, FAILOVER};
use crate::manifests::{LOCAL, advertisement, endpoints, labelled, node, served, vip};

const VIP: &str = "192.0.2.100";

/// Nodes labelled with their own names, and a Service with endpoints on all of them.
fn web(spec: &str) -> Cluster {
    let mut cluster = Cluster::bare(3);
    for name in cluster.nodes() {
        cluster.apply(&[named_node(&name)]);
    }
    cluster.apply(&served("web", spec, VIP, &["n1", "n2", "n3"]));
    cluster
}

fn named_node(name: &str) -> String {
    node(name, &format!("labels: {{name: {name}}}"))
}

/// An advertisement from the node with this name only.
fn from(name: &str, node: &str, more: &str) -> String {
    advertisement(name, &format!("nodeSelectors: [{{matchLabels: {{name: {node}}}}}], {more}"))
}

fn selecting(labels: &str) -> String {
    format!("serviceSelectors: [{labels}]")
}

fn reason(cluster: &Cluster, node: &str, address: &str) -> Option<Reason> {
    cluster.intent(node, address)?.here.as_ref().err().map(|obstacle| obstacle.reason)
}

#[test]
fn l2_030_an_address_that_no_advertisement_covers_is_answered_for_by_nobody() {
    let mut cluster = web("");
    cluster.settle();
    assert_eq!(cluster.answering(VIP), [""; 0]);
    assert_eq!(reason(&cluster, "n1", VIP), Some(Reason::NotAdvertised));
    cluster.apply(&[advertisement("other", "addressPools: [other]")]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP), [""; 0]);
    cluster.apply(&[advertisement("lan", "addressPools: [lan]")]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP).len(), 1);
}

#[test]
fn l2_031_the_node_selector_says_who_announces_and_a_change_of_it_moves_the_address() {
    let mut cluster = web("");
    for name in ["n1", "n2", "n3"] {
        cluster.apply(&[from("ad", name, "")]);
        cluster.settle();
        assert_eq!(cluster.owner(VIP), name);
    }
}

#[test]
fn l2_032_the_nodes_of_several_advertisements_add_up() {
    let mut cluster = web("");
    cluster.apply(&[from("first", "n1", ""), from("second", "n2", "")]);
    cluster.settle();
    for _ in 0..2 {
        let owner = cluster.owner(VIP);
        assert_ne!(owner, "n3");
        cluster.crash(&owner);
        cluster.settle();
    }
    assert_eq!(cluster.answering(VIP), [""; 0], "with n1 and n2 gone");
}

#[test]
fn l2_033_under_policy_local_endpoints_outside_of_the_selected_nodes_do_not_help() {
    let mut cluster = web(LOCAL);
    cluster.apply(&[endpoints("web", &["n1"]), from("ad", "n2", "")]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP), [""; 0]);
    assert_eq!(reason(&cluster, "n2", VIP), Some(Reason::NoLocalEndpoints));
}

#[test]
fn l2_034_a_label_makes_a_node_announce_and_its_removal_makes_it_stop() {
    let mut cluster = web("");
    cluster.apply(&[advertisement("ad", "nodeSelectors: [{matchLabels: {edge: 'yes'}}]")]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP), [""; 0]);
    cluster.apply(&[node("n2", "labels: {edge: 'yes'}")]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n2");
    cluster.apply(&[node("n2", "")]);
    cluster.pass(FAILOVER);
    assert_eq!(cluster.answering(VIP), [""; 0]);
}

#[test]
fn l2_039_only_services_that_a_selector_matches_are_announced_and_labels_turn_it_on_and_off() {
    const A: &str = "{matchLabels: {app: a}}";
    const B: &str = "{matchLabels: {app: b}}";
    let web = |labels: &str| labelled("web", labels, "");
    let mut cluster = web_with(&web("labels: {app: b}"));
    for (selectors, answered) in [(A, 0), (B, 1), ("", 1), (&*format!("{A}, {B}"), 1)] {
        cluster.apply(&[advertisement("ad", &selecting(selectors))]);
        cluster.settle();
        assert_eq!(cluster.answering(VIP).len(), answered, "{selectors}");
    }
    cluster.apply(&[advertisement("ad", &selecting(A))]);
    for (labels, answered) in [("", 0), ("labels: {app: a}", 1), ("labels: {app: c}", 0)] {
        cluster.apply(&[web(labels)]);
        cluster.settle();
        assert_eq!(cluster.answering(VIP).len(), answered, "{labels}");
    }
}

fn web_with(service: &str) -> Cluster {
    let mut cluster = web("");
    cluster.apply(&[service.to_owned()]);
    cluster
}

#[test]
fn l2_040_the_nodes_come_only_from_advertisements_that_match_the_service() {
    let mut cluster = web("");
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    for (name, address) in ["foo", "bar", "none"].iter().zip(addresses) {
        let [_, endpoints, vip] = served(name, "", address, &["n1", "n2", "n3"]);
        cluster.apply(&[labelled(name, &format!("labels: {{app: {name}}}"), ""), endpoints, vip]);
    }
    cluster.apply(&[
        from("foo", "n1", &selecting("{matchLabels: {app: foo}}")),
        from("bar", "n2", &selecting("{matchLabels: {app: bar}}")),
        // Matches the Service, but no node.
        from("none", "n9", &selecting("{matchLabels: {app: none}}")),
    ]);
    cluster.settle();
    assert_eq!(cluster.answering(addresses[0]), ["n1"]);
    assert_eq!(cluster.answering(addresses[1]), ["n2"]);
    assert_eq!(cluster.answering(addresses[2]), [""; 0]);
    assert_eq!(reason(&cluster, "n1", addresses[2]), Some(Reason::NodeNotSelected));
    // Both match.
    cluster.apply(&[from("bar", "n2", &selecting("{matchLabels: {app: foo}}"))]);
    cluster.settle();
    assert_eq!(cluster.answering(addresses[0]), ["n1"], "one node, and the one that has it keeps it");
    cluster.crash("n1");
    cluster.settle();
    assert_eq!(cluster.answering(addresses[0]), ["n2"]);
}

#[test]
fn l2_041_services_that_share_an_address_are_announced_also_where_a_selector_picks_among_them() {
    let mut cluster = web("");
    cluster.apply(&[labelled("web", "labels: {app: a}", "")]);
    cluster.apply(&[labelled("too", "labels: {app: b}", "ports: [{port: 81}]"), endpoints("too", &["n1"])]);
    cluster.apply(&[vip(VIP, &["web", "too"]), advertisement("ad", &selecting("{matchLabels: {app: a}}"))]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP).len(), 1);
    let unserved = &cluster.intent("n1", VIP).unwrap().unserved;
    let told: Vec<_> = unserved.iter().map(|(name, why)| (name.name.as_str(), why.reason)).collect();
    assert_eq!(told, [("too", Reason::NotAdvertised)], "and who is left out is told why");
    cluster.apply(&[advertisement("b", &selecting("{matchLabels: {app: b}}"))]);
    assert_eq!(*cluster.intent("n1", VIP).unwrap().unserved, []);
}

#[test]
fn l2_050_of_two_advertisements_one_may_go_without_a_move() {
    let mut cluster = web("");
    cluster.apply(&[advertisement("one", ""), advertisement("two", "")]);
    cluster.settle();
    let (owner, claims) = (cluster.owner(VIP), cluster.claims());
    cluster.edit(|objects| drop(objects.l2_advertisements.remove("one")));
    assert_eq!(cluster.owner(VIP), owner);
    cluster.pass(FAILOVER);
    assert_eq!((cluster.owner(VIP), cluster.claims()), (owner, claims));
    cluster.edit(|objects| drop(objects.l2_advertisements.remove("two")));
    assert_eq!(cluster.answering(VIP), [""; 0]);
}

#[test]
fn l2_052_what_a_status_says_is_not_announced_without_a_record_of_ours() {
    let mut cluster = web("");
    cluster.apply(&[advertisement("all", "")]);
    let status = "status: {loadBalancer: {ingress: [{hostname: example.com}, {ip: 192.0.2.7}]}}\n";
    cluster.apply(&[format!("{}{status}", labelled("web", "", "externalIPs: [192.0.2.8]"))]);
    cluster.settle();
    assert_eq!(cluster.answering(VIP).len(), 1);
    for address in ["192.0.2.7", "192.0.2.8"] {
        assert_eq!(cluster.answering(address), [""; 0], "{address}");
    }
}

#[test]
fn l2_053_a_service_that_gains_loses_or_gives_up_addresses_is_followed() {
    const SECOND: &str = "192.0.2.101";
    let mut cluster = web("");
    cluster.apply(&[advertisement("all", "")]);
    cluster.settle();
    let owner = cluster.owner(VIP);
    cluster.apply(&[vip(SECOND, &["web"])]);
    cluster.settle();
    assert_eq!((cluster.answering(SECOND).len(), cluster.owner(VIP)), (1, owner.clone()));
    cluster.release(SECOND);
    assert_eq!((cluster.answering(SECOND).len(), cluster.owner(VIP)), (0, owner));
    cluster.delete_service("web");
    assert_eq!(cluster.answering(VIP), [""; 0], "also before the controller has ended the record");
    assert_eq!(reason(&cluster, "n1", VIP), Some(Reason::NotFound));
}
