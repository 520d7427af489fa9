// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BGPPeers with their defaults and what they refer to.

mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use super::lists::any_or_empty;
use super::{BfdProfile, NodeInfo, PasswordSource};
use crate::address::Family;
use crate::api::BGPPeer;
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;

/// A router that nodes tell their routes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpPeer {
    /// Its name.
    pub name: String,
    /// The nodes that speak to it; empty: all.
    pub node_selectors: Vec<Selector>,
    /// How they do.
    pub settings: PeerSettings,
    /// Where the password is; `None`: there is none.
    pub password: Option<PasswordSource>,
}

/// How a node speaks to a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Where the router is.
    pub target: PeerTarget,
    /// Its port.
    pub port: NonZeroU16,
    /// The autonomous system that it takes us for.
    pub local_as: NonZeroU32,
    /// Which one it may be of.
    pub peer_as: PeerAs,
    /// The node's address to speak from; `None`: the kernel chooses.
    pub source: Option<IpAddr>,
    /// How far away it may be.
    pub hops: Hops,
    /// How long a silence to bear; zero: for ever.
    pub hold_time: Duration,
    /// How often to say that we are there, if more often than every third of the hold time.
    pub keepalive: Option<Duration>,
    /// The longest pause between two attempts to connect.
    pub retry: Duration,
    /// The node's BGP identifier; `None`: one of its addresses.
    pub router_id: Option<Ipv4Addr>,
    /// How the path to it is watched; `None`: by the hold time alone.
    pub bfd: Option<BfdProfile>,
    /// Whether it is asked to keep our routes while we restart.
    pub graceful_restart: bool,
    /// The families of the routes; never empty.
    pub families: BTreeSet<Family>,
}

/// Where a router is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerTarget {
    /// At this address.
    Address(IpAddr),
    /// On this interface, where it is the only router.
    Interface(String),
}

impl fmt::Display for PeerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => write!(f, "the router on {name}"),
        }
    }
}

/// Which autonomous systems a peer may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAs {
    /// This one.
    Number(NonZeroU32),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
}

/// How far away a peer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// On a link of the node.
    One,
    /// Anywhere.
    Any,
    /// At most so many hops away, which the kernel sees to (GTSM, RFC 5082).
    AtMost(u8),
}

impl BgpPeer {
    /// Whether `node` speaks to it.
    pub fn selects_node(&self, node: &NodeInfo) -> bool {
        any_or_empty(&self.node_selectors, &node.labels)
    }
}

impl PeerSettings {
    /// Whether the peer is of our autonomous system (iBGP); `None`: it turns out with its OPEN.
    pub fn is_internal(&self) -> Option<bool> {
        match self.peer_as {
            PeerAs::Number(number) => Some(number == self.local_as),
            PeerAs::Internal => Some(true),
            PeerAs::External => Some(false),
        }
    }
}

/// All peers that can be used. `passwords`: where those of MetalLB's have theirs.
pub(super) fn build(
    objects: &BTreeMap<String, Arc<BGPPeer>>,
    profiles: &BTreeMap<String, BfdProfile>,
    passwords: &BTreeMap<String, PasswordSource>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<String, BgpPeer> {
    let mut peers = BTreeMap::new();
    for (name, object) in objects {
        let usable = read::peer(name, &object.spec).or_else(|refusals| {
            refused.extend(refusals);
            let accepted = object.status.as_ref().and_then(|status| status.accepted.as_ref());
            accepted.ok_or(()).and_then(|spec| read::peer(name, spec).map_err(drop))
        });
        let Ok(read::Read { mut peer, profile }) = usable else { continue };
        if let Some(profile) = profile {
            peer.settings.bfd = profiles.get(&profile).cloned();
            refused.extend(peer.settings.bfd.is_none().then(|| without_bfd(name, &profile)));
        }
        if let Some(source) = passwords.get(name) {
            peer.password = Some(source.clone());
        }
        peers.insert(name.clone(), peer);
    }
    peers
}

/// A session without BFD is better than none; what is missing is said.
fn without_bfd(name: &str, profile: &str) -> Refusal {
    let message =
        format!("there is no BFDProfile \"{profile}\" that can be used, so the session goes without BFD");
    Refusal::warning(Reason::NotFound, ObjectRef::cluster("BGPPeer", name), message)
        .field("spec.bfdProfile")
        .remedy("Add or mend the profile, or correct the name.")
}

/// Peers at which some node would speak twice to one router.
pub(super) fn doubles(peers: &BTreeMap<String, BgpPeer>, nodes: &BTreeMap<String, NodeInfo>) -> Vec<Refusal> {
    let mut doubles = Vec::new();
    for (index, (name, peer)) in peers.iter().enumerate() {
        let before = || peers.iter().take(index).filter(|(_, it)| it.settings.target == peer.settings.target);
        let both = before().find_map(|(first, it)| {
            let mut both = nodes.iter().filter(|(_, node)| it.selects_node(node) && peer.selects_node(node));
            both.next().map(|(node, _)| (first, node))
        });
        if let Some((first, node)) = both {
            let message = format!(
                "BGPPeer {first} is {} too, and Node {node} speaks to both; it speaks to the first only",
                peer.settings.target
            );
            let object = ObjectRef::cluster("BGPPeer", name);
            let double = Refusal::warning(Reason::DuplicateObject, object, message).field("spec.peerAddress");
            doubles
                .push(double.remedy("Remove one, or give both nodeSelectors that no node matches together."));
        }
    }
    doubles
}
