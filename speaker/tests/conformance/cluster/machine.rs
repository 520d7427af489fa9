// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A node: its interfaces, and what its speaker makes of the objects.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_layer2::MacAddr;
use ferrolb_speaker::datapath::{Mode, Observed};
use ferrolb_speaker::intent::{Follower, Intent};
use ferrolb_speaker::kernel::links::{Link, LinkIndex, Links};
use ferrolb_speaker::layer2::{NoInterface, Placement, place};
use ferrolb_speaker::{Gates, election};

use super::CLUSTER;

/// A node.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) links: Links,
    pub(super) runs: bool,
    pub(super) refusals: BTreeMap<IpAddr, NoInterface>,
    follower: Follower,
}

impl Machine {
    pub(super) fn new(number: u8) -> Self {
        let name = format!("n{number}");
        let follower = Follower::new(&name, Mode::NFTables);
        let links = links([link(0, number), link(1, number)]);
        Self { name, links, runs: true, refusals: BTreeMap::new(), follower }
    }

    /// The speaker starts anew.
    pub(super) fn forget(&mut self) {
        self.runs = true;
        self.follower = Follower::new(&self.name, Mode::NFTables);
    }

    pub(super) fn intent(&self) -> &Intent {
        self.follower.intent()
    }

    /// From the objects to the interfaces, with a data path that does at once what it is told.
    pub(super) fn place(&mut self, objects: &Arc<Objects>) -> Placement {
        self.follower.follow(objects);
        let intent = self.follower.intent();
        let serving = Some(Arc::new(intent.data_path()));
        let gates = Gates { data_path: Observed { serving, ..Observed::default() }, ..Gates::default() };
        let placement = place(&election::wanted(intent, &gates, CLUSTER), &self.links);
        self.refusals.clone_from(&placement.refusals);
        placement
    }
}

/// The interface `eth<index>` of the station with this number.
pub fn link(index: LinkIndex, number: u8) -> Link {
    let host = u32::from(number) + 240;
    let addresses = match index {
        0 => vec![format!("192.0.2.{host}/24"), format!("2001:db8::{host:x}/64")],
        _ => vec![format!("198.51.100.{host}/24"), format!("2001:db8:1::{host:x}/64")],
    };
    Link {
        index,
        name: format!("eth{index}"),
        mac: Some(MacAddr([2, 0, 0, 0, u8::try_from(index).unwrap(), number])),
        up: true,
        loopback: false,
        resolves_neighbours: true,
        master: None,
        kind: None,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        gateways: Vec::new(),
    }
}

/// These interfaces.
pub fn links<const N: usize>(links: [Link; N]) -> Links {
    links.into_iter().collect()
}
