// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Objects that concern routers, judged where users look: in their conditions at the API server.

use ferrolb_config::api::{BGPAdvertisement, BGPPeer, Community};
use ferrolb_config::condition::{self, READY};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::stage::stage;

/// The condition Ready, as `status reason`.
fn ready(conditions: Option<Vec<Condition>>) -> String {
    let conditions = conditions.unwrap_or_default();
    condition::find(&conditions, READY).map(|it| format!("{} {}", it.status, it.reason)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_and_an_advertisement_say_whether_they_are_used_and_what_was_accepted_stays() {
    let stage = stage().await;
    let peers: Api<BGPPeer> = Api::all(stage.client.clone());
    let advertisements: Api<BGPAdvertisement> = Api::all(stage.client.clone());
    let names: Api<Community> = Api::all(stage.client.clone());
    let create = PostParams::default();
    let controller = stage.controller("a");

    let spec = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1", "bfdProfile": "absent"});
    peers.create(&create, &BGPPeer::new("router", serde_json::from_value(spec).unwrap())).await.unwrap();
    let spec = json!({"communities": ["backup"], "aggregationLength": 24});
    advertisements
        .create(&create, &BGPAdvertisement::new("all", serde_json::from_value(spec).unwrap()))
        .await
        .unwrap();
    let peer = async || ready(peers.get("router").await.unwrap().status.map(|status| status.conditions));
    let advertisement =
        async || ready(advertisements.get("all").await.unwrap().status.map(|status| status.conditions));
    stage.until("a doubt about the peer", async || peer().await == "True NotFound").await;
    stage.until("a name that is not there", async || advertisement().await == "False NotFound").await;

    let spec = json!({"communities": [{"name": "backup", "value": "65000:1"}]});
    names.create(&create, &Community::new("ours", serde_json::from_value(spec).unwrap())).await.unwrap();
    let absent = Patch::Merge(json!({"spec": {"bfdProfile": null}}));
    peers.patch("router", &PatchParams::default(), &absent).await.unwrap();
    stage
        .until("both are used", async || {
            (peer().await, advertisement().await) == ("True Accepted".to_owned(), "True Accepted".to_owned())
        })
        .await;

    names.delete("ours", &DeleteParams::default()).await.unwrap();
    // What CEL lets by and the controller does not: a keepalive time without a hold time that would bear it.
    let times = Patch::Merge(json!({"spec": {"holdTime": "9s", "keepaliveTime": "30s"}}));
    peers.patch("router", &PatchParams::default(), &times).await.unwrap();
    stage
        .until("both are refused", async || {
            (peer().await, advertisement().await)
                == ("False ContradictoryRequest".to_owned(), "False NotFound".to_owned())
        })
        .await;
    let accepted = advertisements.get("all").await.unwrap().status.unwrap().accepted.unwrap();
    assert_eq!(accepted.communities, ["65000:1"], "what the name meant");
    assert_eq!(peers.get("router").await.unwrap().status.unwrap().accepted.unwrap().hold_time, None);
    peers.delete("router", &DeleteParams::default()).await.unwrap();
    advertisements.delete("all", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}
