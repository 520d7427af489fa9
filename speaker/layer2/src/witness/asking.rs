// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The frames that a witness sends, and what counts as an answer to them.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use super::Witness;
use crate::{
    frame::{Heard, arp, ndp, tcp},
    identity::MacAddr,
};

/// Between two questions: at most 200 a second on a segment.
const GAP: Duration = Duration::from_millis(5);

impl Witness {
    /// Asks for the address as a client would.
    pub(super) fn ask(&mut self, address: IpAddr, now: Instant) {
        let Some(mac) = self.link.as_ref().map(|link| link.mac) else { return };
        let question = match (self.own_ip(address), address) {
            (Some(IpAddr::V4(own)), IpAddr::V4(target)) => arp::request(mac, own, target),
            (None, IpAddr::V4(target)) => arp::probe(mac, target),
            (Some(IpAddr::V6(own)), IpAddr::V6(target)) => ndp::solicitation_for(mac, own, target),
            (_, IpAddr::V6(target)) => ndp::probe(mac, target),
            (Some(IpAddr::V6(_)), IpAddr::V4(_)) => return,
        };
        self.outputs.push_back(question);
        self.asked(now);
    }

    pub(super) fn asked(&mut self, now: Instant) {
        self.questions = self.questions.saturating_add(1);
        self.ready_at = Some(self.ready_at.map_or(now, |ready| ready.max(now)) + GAP);
    }

    /// The address to ask from: of the target's subnet, or for IPv6 a link-local one.
    fn own_ip(&self, target: IpAddr) -> Option<IpAddr> {
        let addresses = &self.link.as_ref()?.addresses;
        let link_local = |ip: &Ipv6Addr| ip.is_unicast_link_local();
        let on_link = addresses.iter().find(|net| net.contains(&target)).map(|net| net.addr());
        on_link.or_else(|| {
            let own = addresses.iter().map(|net| net.addr());
            own.filter(|_| target.is_ipv6()).find(|ip| matches!(ip, IpAddr::V6(ip) if link_local(ip)))
        })
    }

    /// Asks who else has an address of this node's, which disturbs no neighbour's table.
    pub(super) fn ask_as_nobody(&mut self, address: IpAddr, now: Instant) {
        let Some(mac) = self.link.as_ref().map(|link| link.mac) else { return };
        self.outputs.push_back(match address {
            IpAddr::V4(target) => arp::probe(mac, target),
            IpAddr::V6(target) => ndp::probe(mac, target),
        });
        self.asked(now);
    }

    pub(super) fn knock_of(&self, address: IpAddr, to_mac: MacAddr) -> Option<tcp::Knock> {
        let port = self.watches.get(&address)?.port?;
        let own_mac = self.link.as_ref()?.mac;
        let own_ip = self.own_ip(address).filter(|own| !own.is_unspecified())?;
        Some(tcp::Knock { own_mac, own_ip, to_mac, target: SocketAddr::new(address, port.get()) })
    }
}

/// Whether it answers a question of ours; announcements tell what a station would like to be true.
pub(super) fn is_answered_by(heard: &Heard, own_mac: Option<MacAddr>) -> bool {
    match heard {
        Heard::ArpReply { target_mac, .. } => Some(*target_mac) == own_mac,
        Heard::NeighborAdvertisement { .. } => true,
        Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => false,
    }
}
