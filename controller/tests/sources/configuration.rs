// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What pools say, and what editing them does. The ids are those of docs/conformance.md.

use serde_json::json;

use crate::ground::Ground;

async fn ipam_080_a_pool_that_is_not_automatic_gives_only_who_asks_for_it(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({"autoAssign": false})).await;
    ground.service("plain", json!({})).await;
    ground.told("plain", "NotFound").await;
    let asking = json!({"metadata": {"annotations": {"ferrolb.io/address-pool": "p"}}});
    ground.service("asking", asking).await;
    ground.shows([("asking", "192.0.2.0"), ("plain", "-")]).await;
}

async fn ipam_082_a_pool_bound_to_namespaces_serves_only_those_and_first(ground: &mut Ground) {
    ground.namespace("team", json!({})).await;
    ground.pool("a", &["192.0.2.0/30"], json!({})).await;
    ground.pool("b", &["198.51.100.0/30"], json!({"serviceAllocation": {"namespaces": ["team"]}})).await;
    ground.pool_told("b", "Accepted").await;
    ground.service("team/inside", json!({})).await;
    ground.service("outside", json!({})).await;
    ground.shows([("team/inside", "198.51.100.0"), ("outside", "192.0.2.0")]).await;
    let asking = json!({"metadata": {"annotations": {"ferrolb.io/addresses": "198.51.100.1"}}});
    ground.service("intruder", asking).await;
    ground.told("intruder", "PoolNotAllowed").await;
}

async fn ipam_111_shrinking_a_pool_evicts_exactly_those_whose_address_falls_out(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0-192.0.2.1"], json!({})).await;
    ground.service("a", json!({})).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.service("b", json!({})).await;
    ground.shows([("b", "192.0.2.1")]).await;
    ground.pool("p", &["192.0.2.0-192.0.2.0"], json!({})).await;
    ground.told("b", "PoolExhausted").await;
    ground.shows([("a", "192.0.2.0"), ("b", "-")]).await;
    ground.recorded(&[("192.0.2.0", "p", &["a"])]).await;
}

async fn ipam_114_who_loses_his_pool_moves_to_another_one(ground: &mut Ground) {
    ground.pool("a", &["192.0.2.0/30"], json!({})).await;
    ground.service("s", json!({})).await;
    ground.shows([("s", "192.0.2.0")]).await;
    ground.pool("b", &["198.51.100.0/30"], json!({})).await;
    ground.pool_told("b", "Accepted").await;
    // A pool more moves nobody (IPAM-116).
    ground.recorded(&[("192.0.2.0", "a", &["s"])]).await;
    ground.delete_pool("a").await;
    ground.shows([("s", "198.51.100.0")]).await;
    ground.recorded(&[("198.51.100.0", "b", &["s"])]).await;
}

async fn conf_005_of_overlapping_pools_the_newcomer_is_refused_and_the_other_works_on(ground: &mut Ground) {
    ground.pool("b", &["192.0.2.0/30"], json!({})).await;
    ground.pool_told("b", "Accepted").await;
    ground.pool("a", &["192.0.2.0/31"], json!({})).await;
    ground.pool_told("a", "OverlappingPool").await;
    ground.service("s", json!({})).await;
    ground.recorded(&[("192.0.2.0", "b", &["s"])]).await;
    ground.pool("a", &["198.51.100.0/31"], json!({})).await;
    ground.pool_told("a", "Accepted").await;
}

async fn a_quota_refuses_what_is_over_it_and_says_so(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({"quota": {"perNamespace": 1}})).await;
    ground.service("a", json!({})).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.service("b", json!({})).await;
    ground.told("b", "QuotaExceeded").await;
    ground.delete("a").await;
    ground.shows([("b", "192.0.2.0")]).await;
}

async fn within_the_retention_a_service_of_the_same_name_gets_its_address_back(ground: &mut Ground) {
    ground.pool("p", &["192.0.2.0/30"], json!({"retention": "1h"})).await;
    ground.service("a", json!({})).await;
    ground.shows([("a", "192.0.2.0")]).await;
    ground.delete("a").await;
    ground.service("b", json!({})).await;
    ground.shows([("b", "192.0.2.1")]).await;
    ground.service("a", json!({})).await;
    ground.shows([("a", "192.0.2.0"), ("b", "192.0.2.1")]).await;
}

crate::over_both_sources! {
    ipam_080_a_pool_that_is_not_automatic_gives_only_who_asks_for_it
    ipam_082_a_pool_bound_to_namespaces_serves_only_those_and_first
    ipam_111_shrinking_a_pool_evicts_exactly_those_whose_address_falls_out
    ipam_114_who_loses_his_pool_moves_to_another_one
    conf_005_of_overlapping_pools_the_newcomer_is_refused_and_the_other_works_on
    a_quota_refuses_what_is_over_it_and_says_so
    within_the_retention_a_service_of_the_same_name_gets_its_address_back
}
