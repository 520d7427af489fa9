// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is said of peers, advertisements to routers, BFD profiles and communities, in their conditions.

use std::path::Path;

use ferrolb_config::condition::{self, READY};
use ferrolb_config::manifest::Manifest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::world::World;

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: {kind}, metadata: {{name: {name}, generation: 1}}, spec: {{{spec}}}}}\n---\n"
    )
}

/// Writes these objects into `world`, as users do: what is there keeps its status.
fn edit(world: &mut World, documents: &[String]) {
    let manifest = Manifest::parse(Path::new("test.yaml"), &documents.concat());
    assert_eq!(manifest.refused, []);
    let before = world.objects.clone();
    manifest.documents.into_iter().for_each(|document| world.objects.insert(document.object));
    for (name, peer) in &before.bgp_peers {
        if let Some(now) = world.objects.bgp_peers.get_mut(name) {
            std::sync::Arc::make_mut(now).status.clone_from(&peer.status);
        }
    }
    for (name, advertisement) in &before.bgp_advertisements {
        if let Some(now) = world.objects.bgp_advertisements.get_mut(name) {
            std::sync::Arc::make_mut(now).status.clone_from(&advertisement.status);
        }
    }
    world.settle();
}

/// The condition Ready, as `status reason`.
fn ready(conditions: Option<&Vec<Condition>>) -> String {
    let ready = conditions.and_then(|conditions| condition::find(conditions, READY)).expect("a condition");
    format!("{} {}", ready.status, ready.reason)
}

fn peer(world: &World, name: &str) -> String {
    ready(world.objects.bgp_peers[name].status.as_ref().map(|status| &status.conditions))
}

const GOOD: &str = "myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1";

#[test]
fn every_object_says_whether_it_is_used_and_a_refused_edit_keeps_what_was_accepted() {
    let mut world = World::default();
    edit(
        &mut world,
        &[
            document("BGPPeer", "p", &format!("{GOOD}, bfdProfile: fast")),
            document("BFDProfile", "fast", "receiveInterval: 50"),
            document("BFDProfile", "echoing", "echoMode: true"),
            document("Community", "names", "communities: [{name: backup, value: '65000:1'}]"),
            document("Community", "broken", "communities: [{name: other, value: '65000'}]"),
        ],
    );
    assert_eq!(peer(&world, "p"), "True Accepted");
    let profile =
        |name: &str| ready(world.objects.bfd_profiles[name].status.as_ref().map(|status| &status.conditions));
    assert_eq!(
        (profile("fast"), profile("echoing")),
        ("True Accepted".into(), "False NotYetSupported".into())
    );
    let names =
        |name: &str| ready(world.objects.communities[name].status.as_ref().map(|status| &status.conditions));
    assert_eq!((names("names"), names("broken")), ("True Accepted".into(), "False InvalidValue".into()));

    edit(&mut world, &[document("BGPPeer", "p", "myASN: 64512, peerAddress: 10.0.0.9")]);
    assert_eq!(peer(&world, "p"), "False InvalidValue");
    let status = world.objects.bgp_peers["p"].status.clone().unwrap();
    assert_eq!(status.accepted.unwrap().peer_address.as_deref(), Some("10.0.0.1"));
    edit(&mut world, &[document("BGPPeer", "p", GOOD)]);
    assert_eq!(peer(&world, "p"), "True Accepted");
}

#[test]
fn conf_058_a_peer_or_an_advertisement_recovers_when_what_it_names_appears_and_outlives_its_end() {
    let mut world = World::with_pools(&[("lan", &["192.0.2.0/24"])]);
    let names = document("Community", "names", "communities: [{name: backup, value: '65000:1'}]");
    edit(
        &mut world,
        &[
            document("BGPPeer", "p", &format!("{GOOD}, bfdProfile: fast")),
            document("BGPAdvertisement", "a", "communities: [backup]"),
        ],
    );
    let advertisement = |world: &World| {
        let status = world.objects.bgp_advertisements["a"].status.clone().unwrap();
        (ready(Some(&status.conditions)), status.accepted.map(|spec| spec.communities))
    };
    assert_eq!(
        (peer(&world, "p"), advertisement(&world).0),
        ("True NotFound".into(), "False NotFound".into())
    );
    edit(&mut world, &[document("BFDProfile", "fast", ""), names]);
    assert_eq!(
        (peer(&world, "p"), advertisement(&world).0),
        ("True Accepted".into(), "True Accepted".into())
    );

    world.objects.communities.clear();
    world.settle();
    let accepted = Some(vec!["65000:1".to_owned()]);
    assert_eq!(advertisement(&world), ("False NotFound".into(), accepted), "routes keep what the name meant");
}
