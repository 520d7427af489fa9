// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a BGPPeer comes to on this node.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use ferrolb_bfd::Path;
use ferrolb_bgp::Beginning;
use ferrolb_config::snapshot::{BfdProfile, Hops, PeerTarget};

use super::super::PeerSettings;
use crate::bfd::PathSettings;
use crate::intent::{Obstacle, Router};
use crate::routers::{self, Teller};

/// A node that has run for so long forwarded traffic before this process began.
const SETTLED: Duration = Duration::from_secs(300);

/// How to speak to a router that is at `peer`, and how to watch the path or why that cannot be.
///
/// # Errors
/// Why this node cannot.
pub(super) fn of(
    name: &str,
    node: &str,
    router: &Router,
    peer: SocketAddr,
) -> Result<(PeerSettings, Result<Option<PathSettings>, String>), Obstacle> {
    let teller = Teller { node, beginning: beginning() };
    let held = routers::settings(name, router, peer, teller)?;
    Ok((held, watched(router, peer)))
}

/// How to watch the path to a router that is at `peer`, if it shall be watched, or why that cannot be.
pub(super) fn watched(router: &Router, peer: SocketAddr) -> Result<Option<PathSettings>, String> {
    router.settings.bfd.as_ref().map(|profile| path(router, peer, profile)).transpose()
}

/// Beyond one hop a session is told from others by our address too. An iBGP router without a word about hops is taken to be near.
fn path(router: &Router, peer: SocketAddr, profile: &BfdProfile) -> Result<PathSettings, String> {
    let settings = &router.settings;
    let far = match settings.hops {
        Hops::One | Hops::AtMost(1) => false,
        Hops::AtMost(_) => true,
        Hops::Any => settings.is_internal() != Some(true),
    };
    let (interface, scope) = match (&settings.target, peer) {
        (PeerTarget::Interface(name), SocketAddr::V6(found)) => (Some(name.clone()), found.scope_id()),
        _ => (None, 0),
    };
    let ends = match (far && interface.is_none(), settings.source) {
        (false, _) => Path::SingleHop { peer: peer.ip(), interface: NonZeroU32::new(scope) },
        (true, Some(local)) => Path::MultiHop { peer: peer.ip(), local, minimum_ttl: profile.minimum_ttl },
        (true, None) => return Err("BFD over several hops needs spec.sourceAddress".to_owned()),
    };
    let session = routers::watching(profile, ends);
    Ok(PathSettings { session, source: settings.source, interface })
}

/// A node that has just come up forwarded nothing before.
fn beginning() -> Beginning {
    let uptime = fs::read_to_string("/proc/uptime").ok();
    let seconds: Option<f64> = uptime.and_then(|text| text.split(' ').next()?.parse().ok());
    match seconds {
        Some(seconds) if seconds >= SETTLED.as_secs_f64() => Beginning::Restarted,
        _ => Beginning::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;
    use std::num::NonZeroU16;

    use ferrolb_config::{address, snapshot};

    use super::*;

    fn router(target: PeerTarget, hops: Hops) -> Router {
        let asn = |number| NonZeroU32::new(number).unwrap();
        let settings = snapshot::PeerSettings {
            target,
            port: NonZeroU16::new(179).unwrap(),
            local_as: asn(65_001),
            peer_as: snapshot::PeerAs::Number(asn(65_002)),
            source: None,
            hops,
            hold_time: Duration::from_secs(9),
            keepalive: None,
            retry: Duration::from_secs(10),
            router_id: None,
            bfd: None,
            graceful_restart: false,
            families: [address::Family::V6].into(),
        };
        Router { settings, password: None, router_id: None }
    }

    fn watched(target: PeerTarget, hops: Hops) -> Router {
        let mut router = router(target, hops);
        let ms = Duration::from_millis;
        let profile = BfdProfile {
            receive: ms(300),
            transmit: ms(300),
            multiplier: 3,
            passive: false,
            minimum_ttl: 254,
        };
        router.settings.bfd = Some(profile);
        router
    }

    #[test]
    fn bfd_over_several_hops_needs_an_address_of_this_node() {
        let far = watched(PeerTarget::Address("192.0.2.1".parse().unwrap()), Hops::Any);
        let (_, path) = of("p", "n1", &far, "192.0.2.1:179".parse().unwrap()).unwrap();
        assert_eq!(path.unwrap_err(), "BFD over several hops needs spec.sourceAddress");
    }

    #[test]
    fn a_router_that_was_found_is_spoken_to_and_watched_on_its_interface() {
        let unnumbered = watched(PeerTarget::Interface("eth0".to_owned()), Hops::Any);
        let peer = SocketAddrV6::new("fe80::2".parse().unwrap(), 179, 0, 7).into();
        let (settings, path) = of("p", "n1", &unnumbered, peer).unwrap();
        assert_eq!(settings.transport.interface.as_deref(), Some("eth0"));
        assert_eq!(settings.transport.peer, peer);
        let path = path.unwrap().unwrap();
        assert_eq!(path.interface.as_deref(), Some("eth0"));
        let expected = Path::SingleHop { peer: peer.ip(), interface: NonZeroU32::new(7) };
        assert_eq!(path.session.path, expected, "a link has one hop");
    }
}
