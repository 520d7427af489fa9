// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! MetalLB's BGPPeers beside ours.

use std::collections::BTreeMap;

use super::counterpart::merged;
use super::{BGP_PEER, Merged, metallb, unknown_fields};
use crate::api::{BGPPeer, BGPPeerSpec, DynamicASN, IPFamily, PasswordSecret};
use crate::name::ObjectRef;
use crate::objects::Objects;
use crate::reason::{Reason, Refusal};
use crate::snapshot::{Password, PasswordSource};

/// MetalLB's default where a peer names no port.
const BGP_PORT: u16 = 179;

/// All peers, and where the passwords of MetalLB's are, by the peer's name.
pub(crate) fn bgp_peers(objects: &Objects) -> (Merged<'_, BGPPeer>, BTreeMap<String, PasswordSource>) {
    let (ours, theirs) = (&objects.bgp_peers, &objects.metallb_bgp_peers);
    let merged = merged(ours, theirs, BGP_PEER, |itself, object| mapped(itself, &object.spec));
    let theirs = theirs.iter().filter(|(name, _)| !ours.contains_key(*name));
    let passwords = theirs.filter_map(|(name, object)| Some((name.clone(), password(&object.spec)?)));
    let passwords = passwords.collect();
    (merged, passwords)
}

fn password(spec: &metallb::BGPPeerSpec) -> Option<PasswordSource> {
    let secret = Some(&spec.password_secret.name).filter(|name| !name.is_empty());
    let plain = Some(spec.password.as_bytes()).filter(|password| !password.is_empty());
    secret
        .map(|name| PasswordSource::MetalLBSecret(name.clone()))
        .or_else(|| plain.map(|password| PasswordSource::Plain(Password::new(password))))
}

/// The peer in our words, and what is lost of it.
fn mapped(object: &ObjectRef, spec: &metallb::BGPPeerSpec) -> (BGPPeerSpec, Vec<Refusal>) {
    let mut warnings = unknown_fields(object, "spec", &spec.unknown);
    if !spec.vrf.is_empty() {
        let message = format!("FerroLB has no VRFs, so the peer is spoken to outside \"{}\"", spec.vrf);
        warnings.push(
            Refusal::error(Reason::NotYetSupported, object.clone(), message)
                .field("spec.vrf")
                .remedy("Take the peer out of the VRF, or leave it to MetalLB."),
        );
    }
    if !spec.password.is_empty() && !spec.password_secret.name.is_empty() {
        let message = "the peer has a password and a passwordSecret";
        let refusal = Refusal::error(Reason::ContradictoryRequest, object.clone(), message);
        warnings.push(refusal.field("spec.password").remedy("Leave one of the two."));
    }
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let number = |number: u32| Some(number).filter(|number| *number > 0);
    let ours = BGPPeerSpec {
        my_asn: spec.my_asn,
        peer_asn: number(spec.peer_asn),
        dynamic_asn: match spec.dynamic_asn.as_str() {
            "internal" => Some(DynamicASN::Internal),
            "external" => Some(DynamicASN::External),
            _ => None,
        },
        local_asn: number(spec.local_asn),
        peer_address: text(&spec.peer_address),
        interface: text(&spec.interface),
        peer_port: if spec.peer_port == 0 { BGP_PORT } else { spec.peer_port },
        source_address: text(&spec.source_address),
        hold_time: spec.hold_time.clone(),
        keepalive_time: spec.keepalive_time.clone(),
        connect_time: spec.connect_time.clone(),
        router_id: text(&spec.router_id),
        ebgp_multi_hop: spec.ebgp_multi_hop,
        ttl_security: None,
        password_secret: text(&spec.password_secret.name).map(|name| PasswordSecret { name }),
        bfd_profile: text(&spec.bfd_profile),
        enable_graceful_restart: spec.enable_graceful_restart,
        families: if spec.dual_stack_address_family {
            vec![IPFamily::IPv4, IPFamily::IPv6]
        } else {
            Vec::new()
        },
        node_selectors: spec.node_selectors.clone(),
    };
    (ours, warnings)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::Snapshot;
    use crate::objects::Object;
    use crate::snapshot::PeerAs;

    fn theirs(kind: &str, name: &str, spec: Value) -> Object {
        let version = if kind == "BGPPeer" { "v1beta2" } else { "v1beta1" };
        let object = json!({
            "apiVersion": format!("metallb.io/{version}"), "kind": kind,
            "metadata": {"name": name, "namespace": "metallb-system"}, "spec": spec,
        });
        fn read<K: serde::de::DeserializeOwned>(object: Value) -> Arc<K> {
            Arc::new(serde_json::from_value(object).unwrap())
        }
        match kind {
            "BGPPeer" => Object::MetalLBBGPPeer(read(object)),
            "BGPAdvertisement" => Object::MetalLBBGPAdvertisement(read(object)),
            "BFDProfile" => Object::MetalLBBFDProfile(read(object)),
            _ => Object::MetalLBCommunity(read(object)),
        }
    }

    fn snapshot(objects: impl IntoIterator<Item = Object>) -> Snapshot {
        let mut all = Objects::default();
        objects.into_iter().for_each(|object| all.insert(object));
        Snapshot::build(&all)
    }

    fn least(more: Value) -> Value {
        let mut spec = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    }

    #[test]
    fn what_metallb_says_of_routers_is_read_with_all_that_it_says() {
        let peer = least(json!({
            "holdTime": "1m30s", "keepaliveTime": "30s", "bfdProfile": "fast", "password": "hush",
            "dualStackAddressFamily": true, "enableGracefulRestart": true, "nodeSelectors": [{"matchLabels": {"a": "b"}}],
        }));
        let snapshot = snapshot([
            theirs("BGPPeer", "first", peer),
            theirs(
                "BGPPeer",
                "second",
                least(json!({"peerASN": 0, "dynamicASN": "internal", "peerAddress": "10.0.0.2"})),
            ),
            theirs(
                "BFDProfile",
                "fast",
                json!({"receiveInterval": 60, "detectMultiplier": 5, "minimumTtl": 200}),
            ),
            theirs("Community", "names", json!({"communities": [{"name": "backup", "value": "65000:1"}]})),
            theirs(
                "BGPAdvertisement",
                "all",
                json!({"communities": ["backup"], "localPref": 50, "aggregationLength": 24, "peers": ["first"]}),
            ),
        ]);
        assert_eq!(snapshot.refused, []);
        let first = &snapshot.bgp_peers["first"];
        assert_eq!(first.password, Some(PasswordSource::Plain(Password::new(*b"hush"))));
        assert_eq!(
            first.settings.bfd.as_ref().map(|bfd| (bfd.receive.as_millis(), bfd.multiplier)),
            Some((60, 5))
        );
        assert_eq!((first.settings.hold_time.as_secs(), first.settings.families.len()), (90, 2));
        assert!(first.settings.graceful_restart && first.node_selectors.len() == 1);
        assert_eq!(snapshot.bgp_peers["second"].settings.peer_as, PeerAs::Internal);
        let advertisement = &snapshot.bgp_advertisements["all"];
        assert_eq!(
            (advertisement.local_pref, advertisement.length_v4, advertisement.length_v6),
            (Some(50), 24, 128)
        );
        assert!(advertisement.communities.iter().map(ToString::to_string).eq(["65000:1"]));
    }

    #[test]
    fn conf_030_a_peer_in_a_vrf_or_with_two_passwords_is_refused_and_says_which_object_it_is() {
        let secret = json!({"password": "a", "passwordSecret": {"name": "b"}});
        for (more, field, reason) in [
            (json!({"vrf": "red"}), "spec.vrf", Reason::NotYetSupported),
            (secret, "spec.password", Reason::ContradictoryRequest),
        ] {
            let snapshot = snapshot([theirs("BGPPeer", "first", least(more))]);
            let refusal = &snapshot.refused[0];
            assert_eq!((refusal.field.as_deref(), refusal.reason), (Some(field), reason));
            assert_eq!(refusal.object.as_ref().unwrap().kind, BGP_PEER);
            assert!(snapshot.bgp_peers.is_empty());
        }
        let doubtful = snapshot([theirs("BGPPeer", "first", least(json!({"bfdProfile": "none"})))]);
        assert_eq!(doubtful.refused[0].object.as_ref().unwrap().kind, BGP_PEER);
    }

    #[test]
    fn a_secret_of_metallbs_is_looked_for_in_metallbs_namespace_and_an_own_peer_stands_in_its_place() {
        let peer = theirs("BGPPeer", "first", least(json!({"passwordSecret": {"name": "router"}})));
        let read = snapshot([peer.clone()]);
        assert_eq!(
            read.bgp_peers["first"].password,
            Some(PasswordSource::MetalLBSecret("router".to_owned()))
        );
        let spec = least(json!({"passwordSecret": {"name": "router"}}));
        let ours = BGPPeer::new("first", serde_json::from_value(spec).unwrap());
        let read = snapshot([peer, Object::BGPPeer(Arc::new(ours))]);
        assert_eq!(read.refused, []);
        assert_eq!(read.bgp_peers["first"].password, Some(PasswordSource::Secret("router".to_owned())));
    }

    #[test]
    fn lengths_and_multipliers_that_are_none_are_refused_and_not_cut_short() {
        let snapshot = snapshot([
            theirs("BGPAdvertisement", "a", json!({"aggregationLength": 288})),
            theirs("BFDProfile", "p", json!({"detectMultiplier": 259})),
        ]);
        let fields: Vec<_> = snapshot.refused.iter().filter_map(|refusal| refusal.field.as_deref()).collect();
        assert_eq!(fields, ["spec.aggregationLength", "spec.detectMultiplier"]);
    }
}
