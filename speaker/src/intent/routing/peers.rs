// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The routers that this node speaks to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{BgpPeer, NodeInfo, Password, PasswordSource, PeerSettings, PeerTarget};

use super::super::Obstacle;
use super::super::ground::Ground;

/// A router that this node speaks to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// As the BGPPeer says.
    pub settings: PeerSettings,
    /// The password of the session's TCP MD5 signature.
    pub password: Option<Password>,
    /// This node's BGP identifier: what the BGPPeer says, or the node's first IPv4 address. `None`: it has none, so the driver has to
    /// make one up.
    pub router_id: Option<Ipv4Addr>,
}

/// What `node` makes of every peer.
pub(in crate::intent) fn routers(
    ground: &Ground,
    objects: &Objects,
    node: &str,
) -> BTreeMap<String, Result<Arc<Router>, Obstacle>> {
    let mut spoken_to: BTreeMap<&PeerTarget, &str> = BTreeMap::new();
    let mut routers = BTreeMap::new();
    let addresses = objects.nodes.get(node).map(|node| NodeInfo::from(node.as_ref()).addresses);
    let router_id = addresses.unwrap_or_default().into_iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    for (name, peer) in &ground.is.peers {
        let router = selected(ground, peer, node).and_then(|()| {
            if let Some(first) = spoken_to.get(&peer.settings.target) {
                let message = format!("BGPPeer {first} is {} too, and comes first", peer.settings.target);
                return Err(Obstacle::new(Reason::DuplicateObject, message));
            }
            spoken_to.insert(&peer.settings.target, name);
            let password = peer.password.as_ref().map(|source| password(objects, source)).transpose()?;
            let settings = peer.settings.clone();
            let router_id = settings.router_id.or(router_id);
            Ok(Arc::new(Router { settings, password, router_id }))
        });
        routers.insert(name.clone(), router);
    }
    routers
}

fn selected(ground: &Ground, peer: &BgpPeer, node: &str) -> Result<(), Obstacle> {
    match ground.is.nodes.get(node) {
        Some(info) if peer.selects_node(info) => Ok(()),
        Some(_) => {
            let message = format!("no nodeSelector of BGPPeer {} matches Node {node}", peer.name);
            Err(Obstacle::new(Reason::NodeNotSelected, message))
        }
        None => Err(Ground::no_such_node(node)),
    }
}

fn password(objects: &Objects, source: &PasswordSource) -> Result<Password, Obstacle> {
    let (name, secret, whose) = match source {
        PasswordSource::Plain(password) => return Ok(password.clone()),
        PasswordSource::Secret(name) => (name, objects.secrets.get(name), "the namespace of FerroLB"),
        PasswordSource::MetalLBSecret(name) => {
            (name, objects.metallb_secrets.get(name), "the namespace of MetalLB")
        }
    };
    match secret.map(|secret| Password::read(secret)) {
        Some(Ok(password)) => Ok(password),
        Some(Err(why)) => Err(Obstacle::new(Reason::PasswordNotUsable, format!("Secret {name} {why}"))),
        None => {
            let message = format!("there is no Secret {name} of type kubernetes.io/basic-auth in {whose}");
            Err(Obstacle::new(Reason::PasswordNotUsable, message))
        }
    }
}
