// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who gets which address. The ids are those of docs/conformance.md.

use serde_json::{Value, json};

use crate::ground::Ground;

fn asking(addresses: &str) -> Value {
    json!({"metadata": {"annotations": {"ferrolb.io/addresses": addresses}}})
}

fn sharing(port: u16) -> Value {
    json!({
        "metadata": {"annotations": {"ferrolb.io/sharing-key": "k"}},
        "spec": {"ports": [{"name": "http", "port": port, "protocol": "TCP"}]},
    })
}

async fn ipam_002_an_address_in_use_is_refused_and_its_owner_undisturbed(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    ground.service("first", asking("192.0.2.1")).await;
    ground.shows([("first", "192.0.2.1")]).await;
    ground.service("second", asking("192.0.2.1")).await;
    ground.told("second", "AddressInUse").await;
    ground.recorded(&[("192.0.2.1", "p", &["first"])]).await;
    ground.shows([("first", "192.0.2.1"), ("second", "-")]).await;
}

async fn ipam_009_who_waits_for_a_full_pool_is_served_when_an_address_comes_free(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/31"], json!({})).await;
    ground.service("a", json!({})).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.service("b", json!({})).await;
    ground.shows([("b", "192.0.2.1")]).await;
    ground.service("c", json!({})).await;
    ground.told("c", "PoolExhausted").await;
    ground.delete("a").await;
    ground.shows([("b", "192.0.2.1"), ("c", "192.0.2.0")]).await;
    ground.told("c", "Assigned").await;
}

async fn ipam_011_allocation_without_a_pool_name_spans_pools(ground: &mut Ground) {
    ground.pool("a", &["192.0.2.0/32"], json!({})).await;
    ground.pool("b", &["198.51.100.0/32"], json!({})).await;
    ground.service("s1", json!({})).await;
    ground.shows([("s1", "192.0.2.0")]).await;
    ground.service("s2", json!({})).await;
    ground.shows([("s2", "198.51.100.0")]).await;
    ground.recorded(&[("192.0.2.0", "a", &["s1"]), ("198.51.100.0", "b", &["s2"])]).await;
}

async fn ipam_040_services_with_one_key_and_other_ports_share_an_address(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    ground.service("a", sharing(80)).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.service("b", sharing(81)).await;
    ground.shows([("b", "192.0.2.0")]).await;
    ground.recorded(&[("192.0.2.0", "p", &["a", "b"])]).await;
}

async fn ipam_041_equal_ports_do_not_share_an_address(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/32"], json!({})).await;
    ground.service("a", sharing(80)).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.service("b", sharing(80)).await;
    ground.told("b", "PoolExhausted").await;
    ground.edit("b", sharing(81)).await;
    ground.shows([("a", "192.0.2.0"), ("b", "192.0.2.0")]).await;
}

async fn ipam_063_who_requires_both_families_gets_them_from_one_pool_or_nothing(ground: &mut Ground) {
    ground.pool("four", &["192.0.2.0/30"], json!({})).await;
    let both = json!({"spec": {"ipFamilyPolicy": "RequireDualStack"}});
    ground.service("s", both).await;
    ground.told("s", "NoSuchFamily").await;
    ground.shows([("s", "-")]).await;
    ground.pool("pair", &["198.51.100.0/30", "2001:db8::/126"], json!({})).await;
    ground.shows([("s", "198.51.100.0 2001:db8::")]).await;
}

async fn ipam_067_a_preferred_second_family_is_added_when_the_pool_gains_it(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    ground.service("s", json!({"spec": {"ipFamilyPolicy": "PreferDualStack"}})).await;
    ground.shows([("s", "192.0.2.0")]).await;
    ground.pool("p", &["192.0.2.0/30", "2001:db8::/126"], json!({})).await;
    ground.shows([("s", "192.0.2.0 2001:db8::")]).await;
}

async fn ipam_130_after_a_restart_everybody_keeps_his_address_and_nobody_steals_one(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/31"], json!({})).await;
    ground.service("x", asking("192.0.2.1")).await;
    ground.shows([("x", "192.0.2.1")]).await;
    ground.service("y", json!({})).await;
    ground.shows([("y", "192.0.2.0")]).await;
    ground.service("a", json!({})).await;
    ground.told("a", "PoolExhausted").await;
    ground.restart().await;
    ground.delete("x").await;
    ground.shows([("a", "192.0.2.1"), ("y", "192.0.2.0")]).await;
    ground.recorded(&[("192.0.2.0", "p", &["y"]), ("192.0.2.1", "p", &["a"])]).await;
}

async fn ctrl_003_the_field_selects_the_address(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    ground.service("s", json!({"spec": {"loadBalancerIP": "192.0.2.2"}})).await;
    ground.shows([("s", "192.0.2.2")]).await;
}

async fn ctrl_005_two_different_requests_are_refused(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    let mut both = asking("192.0.2.1");
    both["spec"] = json!({"loadBalancerIP": "192.0.2.2"});
    ground.service("s", both).await;
    ground.told("s", "ContradictoryRequest").await;
    ground.edit("s", json!({"spec": {"loadBalancerIP": null}})).await;
    ground.shows([("s", "192.0.2.1")]).await;
}

async fn ctrl_009_who_asks_for_an_address_outside_the_pools_loses_the_old_one(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({})).await;
    ground.service("s", asking("192.0.2.1")).await;
    ground.shows([("s", "192.0.2.1")]).await;
    ground.edit("s", asking("203.0.113.9")).await;
    ground.told("s", "AddressNotInPool").await;
    ground.shows([("s", "-")]).await;
    ground.recorded(&[]).await;
}

async fn ctrl_014_a_change_of_type_frees_the_address(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/32"], json!({})).await;
    ground.service("s", json!({})).await;
    ground.shows([("s", "192.0.2.0")]).await;
    ground.service("t", json!({})).await;
    ground.told("t", "PoolExhausted").await;
    ground.edit("s", json!({"spec": {"type": "ClusterIP"}})).await;
    ground.shows([("s", "-"), ("t", "192.0.2.0")]).await;
}

async fn ctrl_044_services_of_another_class_are_left_alone(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/32"], json!({})).await;
    ground.service("other", json!({"spec": {"loadBalancerClass": "example.org/other"}})).await;
    ground.service("ours", json!({"spec": {"loadBalancerClass": "ferrolb.io/ferrolb"}})).await;
    ground.shows([("ours", "192.0.2.0"), ("other", "-")]).await;
    ground.recorded(&[("192.0.2.0", "p", &["ours"])]).await;
}

crate::over_both_sources! {
    ipam_002_an_address_in_use_is_refused_and_its_owner_undisturbed
    ipam_009_who_waits_for_a_full_pool_is_served_when_an_address_comes_free
    ipam_011_allocation_without_a_pool_name_spans_pools
    ipam_040_services_with_one_key_and_other_ports_share_an_address
    ipam_041_equal_ports_do_not_share_an_address
    ipam_063_who_requires_both_families_gets_them_from_one_pool_or_nothing
    ipam_067_a_preferred_second_family_is_added_when_the_pool_gains_it
    ipam_130_after_a_restart_everybody_keeps_his_address_and_nobody_steals_one
    ctrl_003_the_field_selects_the_address
    ctrl_005_two_different_requests_are_refused
    ctrl_009_who_asks_for_an_address_outside_the_pools_loses_the_old_one
    ctrl_014_a_change_of_type_frees_the_address
    ctrl_044_services_of_another_class_are_left_alone
}
