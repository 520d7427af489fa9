// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From what this node decided about routers to what its sessions are told.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;

use ferrolb_bfd::{Interval, Role as BfdRole, SessionConfig, Timing};
use ferrolb_bgp::peer::Role;
use ferrolb_bgp::{
    Asn, Beginning, Capabilities, Community as Standard, Families, Family, HoldTime, LargeCommunity, PeerAs,
    PeerConfig, Restart, RestartTime, RouterId,
};
use ferrolb_config::address;
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{self, BfdProfile, Community, Hops};
use ferrolb_layer2::GroupId;
use ipnet::IpNet;

use crate::bgp::{Announcement, PeerSettings, Wish};
use crate::intent::{Obstacle, RouteAttributes, Router};
use crate::kernel::router_socket::{Password, Reach, Transport};
use crate::options::Options;

/// How long a router is asked to keep our routes while a speaker restarts, in seconds. A pod that is moved to another image is
/// back within a minute; one that is not is given up before the rules go that its traffic is led by.
const RESTART_SECONDS: u16 = 80;
const _: () = assert!((RESTART_SECONDS as u64) < Options::LINGER.as_secs());

/// Node and beginning of a speaker, as far as sessions tell of them.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Whether the data path of an earlier process went on.
    pub beginning: Beginning,
}

/// How the session with the BGPPeer `name` is held; the router is at `peer`.
///
/// # Errors
/// The password is one that the kernel does not take.
pub fn settings(
    name: &str,
    router: &Router,
    peer: SocketAddr,
    teller: Teller<'_>,
) -> Result<PeerSettings, Obstacle> {
    let password = router.password.as_ref().map(|password| Password::new(password.octets())).transpose();
    let password = password
        .map_err(|error| Obstacle { reason: Reason::PasswordNotUsable, message: error.to_string().into() })?;
    let asked = &router.settings;
    let transport = Transport {
        peer,
        source: asked.source,
        interface: match &asked.target {
            snapshot::PeerTarget::Interface(interface) => Some(interface.clone()),
            snapshot::PeerTarget::Address(_) => None,
        },
        password,
        reach: reach(asked),
    };
    Ok(PeerSettings { name: name.to_owned(), machine: machine(router, peer, teller), transport })
}

fn machine(router: &Router, peer: SocketAddr, teller: Teller<'_>) -> PeerConfig {
    let asked = &router.settings;
    let families: Families = asked
        .families
        .iter()
        .map(|family| match family {
            address::Family::V4 => Family::Ipv4Unicast,
            address::Family::V6 => Family::Ipv6Unicast,
        })
        .collect();
    let seconds = u16::try_from(asked.hold_time.as_secs()).unwrap_or(u16::MAX);
    let restart = RestartTime::from_secs(RESTART_SECONDS).filter(|_| asked.graceful_restart);
    PeerConfig {
        local_as: asked.local_as.into(),
        peer_as: match asked.peer_as {
            snapshot::PeerAs::Number(number) => PeerAs::Exactly(Asn::from(number)),
            snapshot::PeerAs::Internal => PeerAs::Internal,
            snapshot::PeerAs::External => PeerAs::External,
        },
        router_id: router_id(router, teller.node),
        // 1 and 2 seconds are refused where the object is read.
        hold_time: HoldTime::from_secs(seconds).unwrap_or(HoldTime::DISABLED),
        keepalive: asked.keepalive,
        role: Role::Active,
        retry: asked.retry,
        capabilities: Capabilities {
            multiprotocol: Some(families),
            four_octet_as: true,
            route_refresh: true,
            enhanced_route_refresh: true,
            extended_message: true,
            extended_next_hop: peer.is_ipv6() && families.contains(Family::Ipv4Unicast),
            ..Capabilities::default()
        },
        restart: restart.map(|time| Restart::new(time, teller.beginning)),
    }
}

/// What was asked for, or the node's address, or a digest of its name: it has to be another on each node.
fn router_id(router: &Router, node: &str) -> RouterId {
    let [.., a, b, c, d] = GroupId::of(node).0.to_be_bytes();
    // The last bit is set: zero is no identifier.
    let digest = NonZeroU32::MIN | u32::from_be_bytes([a, b, c, d]);
    router.router_id.and_then(RouterId::new).unwrap_or(RouterId::from(digest))
}

fn reach(asked: &snapshot::PeerSettings) -> Reach {
    match asked.hops {
        Hops::One => Reach::Link,
        Hops::Any if asked.is_internal() == Some(true) => Reach::Anywhere,
        Hops::Any => Reach::Hops(NonZeroU8::MAX),
        Hops::AtMost(hops) => Reach::Proven(NonZeroU8::new(hops).unwrap_or(NonZeroU8::MIN)),
    }
}

/// What a router shall know. A node that is `leaving` asks for others to be preferred (RFC 8326).
pub fn wish(routes: &BTreeMap<IpNet, Arc<RouteAttributes>>, leaving: bool) -> Wish {
    let mut made: BTreeMap<*const RouteAttributes, Arc<Announcement>> = BTreeMap::new();
    let route = |(prefix, attributes): (&IpNet, &Arc<RouteAttributes>)| {
        let said = made.entry(Arc::as_ptr(attributes)).or_insert_with(|| announcement(attributes, leaving));
        (*prefix, Arc::clone(said))
    };
    Wish { routes: routes.iter().map(route).collect() }
}

fn announcement(attributes: &RouteAttributes, leaving: bool) -> Arc<Announcement> {
    let mut said = Announcement { local_pref: attributes.local_pref, ..Announcement::default() };
    for community in &attributes.communities {
        match *community {
            Community::Standard(high, low) => drop(said.communities.insert(Standard::new(high, low))),
            Community::Large(global, data1, data2) => {
                said.large_communities.insert(LargeCommunity { global, data1, data2 });
            }
        }
    }
    said.communities.extend(leaving.then_some(Standard::GRACEFUL_SHUTDOWN));
    Arc::new(said)
}

/// How the path to a router is watched, with the ends that the session turned out to have.
pub fn watching(profile: &BfdProfile, path: ferrolb_bfd::Path) -> SessionConfig {
    let interval = |time: std::time::Duration| {
        Interval::from_millis(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
    };
    let timing = Timing::new(interval(profile.transmit), interval(profile.receive), profile.multiplier);
    SessionConfig {
        path,
        role: if profile.passive { BfdRole::Passive } else { BfdRole::Active },
        // What is outside the limits is refused where the object is read.
        timing: timing.unwrap_or_default(),
    }
}
