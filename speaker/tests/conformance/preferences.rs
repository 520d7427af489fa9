// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which of the nodes that may carry an address takes it when it is free.

use crate::cluster::{Cluster, FAILOVER};
use crate::manifests::{LOCAL, advertisement, endpoints, labelled, node, served, vip};

const VIP: &str = "192.0.2.100";
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers: ''";

/// Nodes labelled with their own names and no address yet.
fn nodes() -> Cluster {
    let mut cluster = Cluster::bare(3);
    for name in cluster.nodes() {
        cluster.apply(&[named(&name, "")]);
    }
    cluster
}

fn named(name: &str, more: &str) -> String {
    node(name, &format!("labels: {{name: {name}, {more}}}"))
}

/// Weights for labels, as a field of an advertisement.
fn preferring(weights: &[(u8, &str)]) -> String {
    let each = weights
        .iter()
        .map(|(weight, label)| format!("{{weight: {weight}, preference: {{matchLabels: {{{label}}}}}}}"));
    format!("preferredNodeSelectors: [{}]", each.collect::<Vec<_>>().join(", "))
}

/// The address comes into use, and whoever comes first takes it.
fn give(cluster: &mut Cluster, spec: &str) -> String {
    cluster.settle();
    cluster.apply(&served("web", spec, VIP, &["n1", "n2", "n3"]));
    cluster.settle();
    cluster.owner(VIP)
}

fn owner_with(spec: &str) -> String {
    let mut cluster = nodes();
    cluster.apply(&[advertisement("ad", spec)]);
    give(&mut cluster, "")
}

#[test]
fn l2_042_the_preferred_node_takes_what_is_free_and_without_the_label_ranks_decide() {
    for name in ["n1", "n2", "n3"] {
        assert_eq!(owner_with(&preferring(&[(1, &format!("name: {name}"))])), name);
    }
    assert_eq!(owner_with(&preferring(&[(100, "rack: a")])), owner_with(""));
}

#[test]
fn l2_043_a_preference_that_matches_nobody_or_everybody_equals_none() {
    let plain = owner_with("");
    assert_eq!(owner_with(&preferring(&[(100, "name: n9")])), plain);
    assert_eq!(owner_with("preferredNodeSelectors: [{weight: 9, preference: {}}]"), plain);
}

#[test]
fn l2_044_a_preferred_node_that_is_excluded_gives_the_address_away_and_takes_it_when_it_is_free_again() {
    let mut cluster = nodes();
    cluster.apply(&[advertisement("ad", &preferring(&[(10, "name: n2")]))]);
    assert_eq!(give(&mut cluster, ""), "n2");
    cluster.apply(&[named("n2", EXCLUDED)]);
    cluster.pass(FAILOVER);
    let heir = cluster.owner(VIP);
    assert_ne!(heir, "n2");
    cluster.apply(&[named("n2", "")]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), heir, "who has it keeps it");
    cluster.crash(&heir);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n2");
}

#[test]
fn l2_045_preferences_order_and_selectors_filter() {
    let without_n1 = "nodeSelectors: [{matchExpressions: [{key: name, operator: NotIn, values: [n1]}]}]";
    let spec = format!("{without_n1}, {}", preferring(&[(100, "name: n1"), (1, "name: n3")]));
    assert_eq!(owner_with(&spec), "n3");
    let nobody_else =
        format!("nodeSelectors: [{{matchLabels: {{name: n2}}}}], {}", preferring(&[(100, "name: n1")]));
    assert_eq!(owner_with(&nobody_else), "n2");
}

#[test]
fn l2_046_weights_add_up_over_advertisements_and_selectors() {
    let mut cluster = nodes();
    cluster.apply(&[named("n1", "rack: a"), named("n3", "rack: a, zone: b"), named("n2", "zone: b")]);
    cluster.apply(&[
        advertisement("racks", &preferring(&[(60, "rack: a")])),
        advertisement("zones", &preferring(&[(40, "zone: b"), (10, "zone: b")])),
    ]);
    assert_eq!(give(&mut cluster, ""), "n3", "60 + 50");
    cluster.crash("n3");
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n1", "60 before 50");
}

#[test]
fn l2_047_preferences_are_those_of_advertisements_that_match_the_service_and_one_node_answers() {
    let mut cluster = nodes();
    let of = |app: &str, name: &str| {
        let weights = preferring(&[(50, &format!("name: {name}"))]);
        advertisement(app, &format!("serviceSelectors: [{{matchLabels: {{app: {app}}}}}], {weights}"))
    };
    cluster.apply(&[of("a", "n1"), of("b", "n2"), advertisement("all", "")]);
    cluster.settle();
    let service = labelled("web", "labels: {app: b}", "");
    cluster.apply(&[service, endpoints("web", &["n1"]), vip(VIP, &["web"])]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n2");
    assert_eq!(cluster.answering(VIP).len(), 1);
}

#[test]
fn l2_048_under_policy_local_a_preferred_node_without_an_endpoint_is_none() {
    let mut cluster = nodes();
    cluster.apply(&[advertisement("ad", &preferring(&[(50, "name: n1"), (20, "name: n2")]))]);
    cluster.settle();
    let [service, _, vip] = served("web", LOCAL, VIP, &[]);
    cluster.apply(&[service, endpoints("web", &["n2", "n3"]), vip]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n2");
}

#[test]
fn l2_049_an_edit_of_preferences_counts_for_the_next_claim() {
    let mut cluster = nodes();
    cluster.apply(&[advertisement("ad", &preferring(&[(50, "name: n1")]))]);
    assert_eq!(give(&mut cluster, ""), "n1");
    cluster.apply(&[advertisement("ad", &preferring(&[(50, "name: n3")]))]);
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n1", "who has it keeps it");
    cluster.crash("n1");
    cluster.settle();
    assert_eq!(cluster.owner(VIP), "n3");
}
