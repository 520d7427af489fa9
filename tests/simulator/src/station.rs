// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A station that is no node: a client or a router, with a neighbour table such as Linux keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ferrolb_layer2::{Heard, MacAddr, frame};

use crate::network::Port;

/// A station.
pub(crate) struct Station {
    pub(crate) port: Port,
    pub(crate) mac: MacAddr,
    pub(crate) address: Ipv4Addr,
    pub(crate) link_local: Ipv6Addr,
    /// Addresses of the cluster that it uses, too.
    pub(crate) squats: BTreeSet<IpAddr>,
    /// Who it believes to have which address.
    pub(crate) table: BTreeMap<IpAddr, MacAddr>,
}

impl Station {
    pub(crate) fn new(number: usize, port: Port, address: Ipv4Addr) -> Self {
        let byte = u8::try_from(number % 50).unwrap_or(0).saturating_add(200);
        Self {
            port,
            mac: MacAddr([2, 0, 0, 0, 1, byte]),
            address,
            link_local: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, byte.into()),
            squats: BTreeSet::new(),
            table: BTreeMap::new(),
        }
    }

    /// A new client's question.
    pub(crate) fn question(&self, target: IpAddr) -> Vec<u8> {
        match target {
            IpAddr::V4(target) => frame::arp::request(self.mac, self.address, target),
            IpAddr::V6(target) => frame::ndp::solicitation_for(self.mac, self.link_local, target),
        }
    }

    /// Takes in a frame; the answer if it is a question for it.
    pub(crate) fn hear(&mut self, heard: &Heard) -> Option<Vec<u8>> {
        if let Some((address, mac)) = heard.asserted() {
            self.learn(heard, address, mac);
        }
        let own = [IpAddr::V4(self.address), IpAddr::V6(self.link_local)];
        heard.asked().filter(|asked| own.contains(asked) || self.squats.contains(asked))?;
        frame::answer(heard, self.mac)
    }

    /// Announcements change entries that exist, answers make them.
    fn learn(&mut self, heard: &Heard, address: IpAddr, mac: MacAddr) {
        let answer = match heard {
            Heard::ArpReply { target_mac, .. } => *target_mac == self.mac,
            Heard::NeighborAdvertisement { solicited, .. } => *solicited,
            Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => false,
        };
        if answer || self.table.contains_key(&address) {
            self.table.insert(address, mac);
        }
    }
}
