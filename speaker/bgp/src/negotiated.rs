// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What two OPENs come to: everything that the messages after them depend on.

use crate::{
    capability::GracefulRestart,
    family::Families,
    hold_time::HoldTime,
    identity::Asn,
    length::{EXTENDED_LEN, STANDARD_LEN},
    open::Open,
};

/// What holds for a session once both sides spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// What this side calls itself towards the peer.
    pub local_as: Asn,
    /// The peer's autonomous system.
    pub peer_as: Asn,
    /// The smaller of both.
    pub hold_time: HoldTime,
    /// What both carry.
    pub families: Families,
    /// Paths are written with four octets a number (RFC 6793).
    pub four_octet_as: bool,
    /// The peer may be asked for its routes, and may ask.
    pub route_refresh: bool,
    /// A refresh is sent between two marks (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// Messages may have up to 65,535 octets (RFC 8654).
    pub extended_message: bool,
    /// IPv4 routes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
    /// What the peer said about restarts, unless this side said nothing.
    pub peer_restart: Option<GracefulRestart>,
    /// A plain NOTIFICATION leaves our routes in force at the peer, so that only a hard one ends them: both sides said the N bit
    /// (RFC 8538, section 2).
    pub survives_notification: bool,
}

impl Negotiated {
    /// What the OPEN that we sent and the one that we received come to.
    pub fn new(ours: &Open, theirs: &Open) -> Self {
        let (we, they) = (&ours.capabilities, &theirs.capabilities);
        let says_n_bit =
            |restart: Option<GracefulRestart>| restart.is_some_and(|restart| restart.notification);
        Self {
            local_as: ours.asn,
            peer_as: theirs.asn,
            hold_time: ours.hold_time.agreed(theirs.hold_time),
            families: we.families().and(they.families()),
            // Without the capability a wide number of ours was sent with it all the same.
            four_octet_as: (we.four_octet_as || ours.asn.is_wide()) && they.four_octet_as,
            route_refresh: we.route_refresh && they.route_refresh,
            enhanced_route_refresh: we.enhanced_route_refresh && they.enhanced_route_refresh,
            extended_message: we.extended_message && they.extended_message,
            extended_next_hop: we.extended_next_hop && they.extended_next_hop,
            peer_restart: we.graceful_restart.and(they.graceful_restart),
            survives_notification: says_n_bit(we.graceful_restart) && says_n_bit(they.graceful_restart),
        }
    }

    /// Whether both sides are of one autonomous system (iBGP).
    pub fn is_internal(&self) -> bool {
        self.local_as == self.peer_as
    }

    /// Longest UPDATE in octets, header included.
    pub fn max_len(&self) -> usize {
        if self.extended_message { EXTENDED_LEN } else { STANDARD_LEN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capability::{Capabilities, RestartTime},
        identity::RouterId,
    };

    fn open(asn: u32, capabilities: Capabilities) -> Open {
        Open {
            asn: Asn::new(asn).unwrap(),
            hold_time: HoldTime::from_secs(90).unwrap(),
            router_id: RouterId::new([10, 0, 0, 1].into()).unwrap(),
            capabilities,
        }
    }

    fn everything() -> Capabilities {
        Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            route_refresh: true,
            enhanced_route_refresh: true,
            extended_message: true,
            extended_next_hop: true,
            graceful_restart: Some(GracefulRestart {
                restarted: false,
                notification: true,
                time: RestartTime::MAX,
                families: Families::BOTH,
                forwarding: Families::BOTH,
            }),
            ..Capabilities::default()
        }
    }

    #[test]
    fn what_both_can_do_is_done() {
        let ours = open(65_001, everything());
        let session = Negotiated::new(&ours, &open(65_001, everything()));
        assert!(session.is_internal() && session.survives_notification);
        assert_eq!((session.families, session.max_len()), (Families::BOTH, 65_535));
    }

    #[test]
    fn an_old_peer_gets_ipv4_and_short_messages() {
        let ours = open(65_001, everything());
        let session = Negotiated::new(&ours, &open(65_002, Capabilities::default()));
        assert!(!session.is_internal() && !session.four_octet_as && !session.route_refresh);
        assert!(!session.survives_notification);
        assert_eq!((session.families, session.max_len()), (Families::IPV4, 4_096));
    }

    #[test]
    fn bgp_073_only_families_that_both_name_are_carried() {
        let six = Capabilities { multiprotocol: Some(Families::IPV6), ..Capabilities::default() };
        let session = |theirs| Negotiated::new(&open(1, six.clone()), &open(2, theirs)).families;
        assert_eq!(session(everything()), Families::IPV6);
        assert_eq!(session(Capabilities::default()), Families::NONE);
    }
}
