// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From what users write of a peer to how a node speaks to it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::{BgpPeer, Hops, PeerAs, PeerSettings, PeerTarget};
use crate::address::Family;
use crate::api::{BGPPeerSpec, DynamicASN, IPFamily};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::snapshot::{PasswordSource, lists};

/// The hold time, where a peer does not say (RFC 4271, section 10).
const HOLD_TIME: Duration = Duration::from_secs(90);
/// The longest pause between two attempts, where a peer does not say.
const RETRY: Duration = Duration::from_secs(30);

/// A peer, but for what it refers to.
pub(super) struct Read {
    pub(super) peer: BgpPeer,
    pub(super) profile: Option<String>,
}

/// What is wrong with one peer.
struct Faults<'a> {
    name: &'a str,
    found: Vec<Refusal>,
}

impl Faults<'_> {
    fn add(&mut self, reason: Reason, field: &str, message: impl Into<String>, remedy: &str) {
        let refusal = Refusal::error(reason, ObjectRef::cluster("BGPPeer", self.name), message);
        self.found.push(refusal.field(format!("spec.{field}")).remedy(remedy));
    }
}

pub(super) fn peer(name: &str, spec: &BGPPeerSpec) -> Result<Read, Vec<Refusal>> {
    let mut faults = Faults { name, found: Vec::new() };
    let target = target(spec, &mut faults);
    let local_as = local_as(spec, &mut faults);
    let peer_as = peer_as(spec, &mut faults);
    let port = NonZeroU16::new(spec.peer_port);
    if port.is_none() {
        faults.add(Reason::InvalidValue, "peerPort", "0 is not a port", "Write a port from 1 to 65535.");
    }
    let source = address(spec.source_address.as_deref(), "sourceAddress", &mut faults);
    if let (Some(source), Some(PeerTarget::Address(peer))) = (source, &target)
        && source.is_ipv4() != peer.is_ipv4()
    {
        let message = format!("{source} is of another family than the peer's address {peer}");
        faults.add(Reason::InvalidValue, "sourceAddress", message, "Write an address of the same family.");
    }
    let router_id = router_id(spec, &mut faults);
    let (hold_time, keepalive, retry) = times(spec, &mut faults);
    let hops = hops(spec, &mut faults);
    let object = ObjectRef::cluster("BGPPeer", name);
    let node_selectors =
        lists::selectors(&object, "nodeSelectors", "", &spec.node_selectors, &mut faults.found);
    let (Some(target), Some(port), Some(local_as), Some(peer_as), true) =
        (target, port, local_as, peer_as, faults.found.is_empty())
    else {
        return Err(faults.found);
    };
    let families = families(spec, &target);
    let settings = PeerSettings {
        target,
        port,
        local_as,
        peer_as,
        source,
        hops: Hops::One,
        hold_time,
        keepalive,
        retry,
        router_id,
        bfd: None,
        graceful_restart: spec.enable_graceful_restart,
        families,
    };
    // iBGP goes over several hops by itself; who of the two it is may turn out with the OPEN only.
    let over_hops = settings.is_internal() == Some(true) && hops == Hops::One;
    let settings = PeerSettings { hops: if over_hops { Hops::Any } else { hops }, ..settings };
    if spec.ebgp_multi_hop && settings.is_internal() == Some(true) {
        let message = "the peer is of our own autonomous system";
        faults.add(Reason::ContradictoryRequest, "ebgpMultiHop", message, "Leave it out; iBGP needs none.");
        return Err(faults.found);
    }
    let password = spec.password_secret.as_ref().map(|secret| PasswordSource::Secret(secret.name.clone()));
    let peer = BgpPeer { name: name.to_owned(), node_selectors, settings, password };
    Ok(Read { peer, profile: spec.bfd_profile.clone() })
}

fn target(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> Option<PeerTarget> {
    match (&spec.peer_address, &spec.interface) {
        (Some(_), None) => {
            let address = address(spec.peer_address.as_deref(), "peerAddress", faults)?;
            if address.is_unspecified() || address.is_multicast() || is_link_local(address) {
                let message =
                    format!("{address} is not the address of a router that can be reached by routes");
                let remedy = "Write its address, or name the interface where it is the only router.";
                faults.add(Reason::InvalidValue, "peerAddress", message, remedy);
                return None;
            }
            Some(PeerTarget::Address(address))
        }
        (None, Some(interface)) => Some(PeerTarget::Interface(interface.clone())),
        (None, None) => {
            let message = "neither peerAddress nor interface says where the peer is";
            faults.add(Reason::InvalidValue, "peerAddress", message, "Write one of the two.");
            None
        }
        (Some(_), Some(_)) => {
            let message = "the peer has a peerAddress and an interface";
            faults.add(Reason::ContradictoryRequest, "interface", message, "Write one of the two.");
            None
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn local_as(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> Option<NonZeroU32> {
    let mine = NonZeroU32::new(spec.my_asn);
    if mine.is_none() {
        let remedy = "Write the number of your own; private are 64512 to 65534 and 4200000000 to 4294967294.";
        faults.add(Reason::InvalidValue, "myASN", "0 is no autonomous system (RFC 7607)", remedy);
    }
    match spec.local_asn.map(NonZeroU32::new) {
        None => mine,
        Some(None) => {
            let message = "0 is no autonomous system (RFC 7607)";
            faults.add(Reason::InvalidValue, "localASN", message, "Leave localASN out to use myASN.");
            None
        }
        Some(local) => local,
    }
}

fn peer_as(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> Option<PeerAs> {
    match (spec.peer_asn, spec.dynamic_asn) {
        (Some(number), None) => match NonZeroU32::new(number) {
            Some(number) => Some(PeerAs::Number(number)),
            None => {
                let message = "0 is no autonomous system (RFC 7607)";
                faults.add(Reason::InvalidValue, "peerASN", message, "Write the peer's, or use dynamicASN.");
                None
            }
        },
        (None, Some(DynamicASN::Internal)) => Some(PeerAs::Internal),
        (None, Some(DynamicASN::External)) => Some(PeerAs::External),
        (None, None) => {
            let message = "neither peerASN nor dynamicASN says of which autonomous system the peer is";
            faults.add(Reason::InvalidValue, "peerASN", message, "Write one of the two.");
            None
        }
        (Some(_), Some(_)) => {
            let message = "the peer has a peerASN and a dynamicASN";
            faults.add(Reason::ContradictoryRequest, "dynamicASN", message, "Write one of the two.");
            None
        }
    }
}

fn address(text: Option<&str>, field: &str, faults: &mut Faults<'_>) -> Option<IpAddr> {
    let text = text?;
    let parsed: Option<IpAddr> = text.parse().ok();
    if parsed.is_none() {
        faults.add(
            Reason::InvalidValue,
            field,
            format!("\"{text}\" is not an IP address"),
            "Write an address such as 192.0.2.1 or 2001:db8::1; host names are not resolved.",
        );
    }
    parsed
}

fn router_id(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> Option<Ipv4Addr> {
    let text = spec.router_id.as_deref()?;
    let id = text.parse().ok().filter(|id: &Ipv4Addr| !id.is_unspecified());
    if id.is_none() {
        let message = format!("\"{text}\" is not a BGP identifier");
        let remedy = "Write it like an IPv4 address other than 0.0.0.0, or leave it out.";
        faults.add(Reason::InvalidValue, "routerID", message, remedy);
    }
    id
}

/// The hold time, the keepalive time if it is asked for, and the longest pause.
fn times(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> (Duration, Option<Duration>, Duration) {
    let (most, least) = (Duration::from_secs(u16::MAX.into()), Duration::from_secs(1));
    let hold = duration(spec.hold_time.as_deref(), "holdTime", faults);
    let keepalive = duration(spec.keepalive_time.as_deref(), "keepaliveTime", faults);
    if let Some(hold) = hold.filter(|hold| !hold.is_zero() && !(3 * least..=most).contains(hold)) {
        let message = format!("a hold time is 0, or 3 to 65535 seconds (RFC 4271), not {hold:?}");
        faults.add(Reason::InvalidValue, "holdTime", message, "Correct it.");
    }
    match (hold, keepalive) {
        (Some(hold), Some(keepalive)) if keepalive > hold => {
            let message = format!("{keepalive:?} is longer than the hold time {hold:?}");
            let remedy = "Write a third of the hold time, or leave it out.";
            faults.add(Reason::ContradictoryRequest, "keepaliveTime", message, remedy);
        }
        (hold, Some(Duration::ZERO)) if hold != Some(Duration::ZERO) => {
            let message = "without keepalives the peer gives the session up after the hold time";
            let remedy = "Set holdTime to 0s too, or leave keepaliveTime out.";
            faults.add(Reason::ContradictoryRequest, "keepaliveTime", message, remedy);
        }
        (None, Some(keepalive)) if keepalive * 3 > most => {
            let message =
                format!("the hold time would be three times {keepalive:?}, and 65535 s is the longest");
            faults.add(Reason::InvalidValue, "keepaliveTime", message, "Write 21845s at most.");
        }
        _ => {}
    }
    let retry = duration(spec.connect_time.as_deref(), "connectTime", faults).unwrap_or(RETRY);
    if !(least..=most).contains(&retry) {
        let message = format!("a pause is 1 to 65535 seconds, not {retry:?}");
        faults.add(Reason::InvalidValue, "connectTime", message, "Correct it.");
    }
    let hold = hold.or(keepalive.map(|keepalive| keepalive * 3)).unwrap_or(HOLD_TIME);
    (hold, keepalive.filter(|keepalive| !keepalive.is_zero()), retry)
}

fn duration(text: Option<&str>, field: &str, faults: &mut Faults<'_>) -> Option<Duration> {
    let text = text?;
    let parsed = text.parse::<kube::core::Duration>().ok().filter(|duration| !duration.is_negative());
    if parsed.is_none() {
        let message = format!("\"{text}\" is not a duration");
        faults.add(
            Reason::InvalidValue,
            field,
            message,
            "Write seconds or minutes, for example 90s or 1m30s.",
        );
    }
    parsed.map(Duration::from)
}

fn hops(spec: &BGPPeerSpec, faults: &mut Faults<'_>) -> Hops {
    match spec.ttl_security {
        Some(_) if spec.ebgp_multi_hop => {
            let message = "ttlSecurity says how far away the peer may be already";
            faults.add(Reason::ContradictoryRequest, "ebgpMultiHop", message, "Leave one of the two.");
            Hops::One
        }
        Some(hops @ 1..=254) => Hops::AtMost(hops),
        Some(hops) => {
            let message = format!("a number of hops is 1 to 254, not {hops}");
            faults.add(Reason::InvalidValue, "ttlSecurity", message, "Correct it.");
            Hops::One
        }
        None if spec.ebgp_multi_hop => Hops::Any,
        None => Hops::One,
    }
}

fn families(spec: &BGPPeerSpec, target: &PeerTarget) -> BTreeSet<Family> {
    let named = spec.families.iter().map(|family| match family {
        IPFamily::IPv4 => Family::V4,
        IPFamily::IPv6 => Family::V6,
    });
    let named: BTreeSet<_> = named.collect();
    match target {
        _ if !named.is_empty() => named,
        PeerTarget::Address(address) => BTreeSet::from([Family::of(*address)]),
        PeerTarget::Interface(_) => BTreeSet::from([Family::V4, Family::V6]),
    }
}
