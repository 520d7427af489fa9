// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Objects that concern routers, judged where users look: in their conditions at the API server.

use ferrolb_config::api::{BGPAdvertisement, BGPPeer, Community, Speaker, SpeakerSpec};
use ferrolb_config::condition::{self, ESTABLISHED, READY};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_says_how_many_nodes_have_a_session_as_their_speakers_tell() {
    let stage = stage().await;
    let peers: Api<BGPPeer> = Api::all(stage.client.clone());
    let speakers: Api<Speaker> = Api::all(stage.client.clone());
    let nodes: Api<Node> = Api::all(stage.client.clone());
    let create = PostParams::default();
    let spec = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1"});
    peers.create(&create, &BGPPeer::new("router", serde_json::from_value(spec).unwrap())).await.unwrap();
    for node in ["n1", "n2"] {
        let machine = serde_json::from_value(json!({"metadata": {"name": node}})).unwrap();
        nodes.create(&create, &machine).await.unwrap();
        speakers.create(&create, &Speaker::new(node, SpeakerSpec {})).await.unwrap();
    }
    let tell = async |node: &str, session: Value| {
        let status = Patch::Merge(json!({"status": {"bgp": [session]}}));
        speakers.patch_status(node, &PatchParams::default(), &status).await.unwrap();
    };
    let stands = json!({"peer": "router", "state": "Established"});
    let fails = json!({"peer": "router", "state": "Connecting", "reason": "RouterNotReached", "message": "no answer"});
    let established = async || {
        let conditions = peers.get("router").await.unwrap().status.unwrap_or_default().conditions;
        condition::find(&conditions, ESTABLISHED).map(|it| format!("{} {}", it.status, it.message))
    };
    let controller = stage.controller("a");

    tell("n1", stands.clone()).await;
    tell("n2", fails).await;
    stage
        .until("one of two", async || {
            established().await.as_deref() == Some("False 1 of 2 nodes; n2: no answer")
        })
        .await;
    tell("n2", stands).await;
    stage.until("both", async || established().await.as_deref() == Some("True 2 of 2 nodes")).await;
    nodes.delete("n2", &DeleteParams::default()).await.unwrap();
    stage.until("a node left", async || established().await.as_deref() == Some("True 1 of 1 nodes")).await;
    nodes.delete("n1", &DeleteParams::default()).await.unwrap();
    for node in ["n1", "n2"] {
        speakers.delete(node, &DeleteParams::default()).await.unwrap();
    }
    peers.delete("router", &DeleteParams::default()).await.unwrap();
    controller.stop().await;
}
