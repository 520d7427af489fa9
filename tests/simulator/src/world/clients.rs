// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Stations that are no nodes: clients, which ask for addresses now and then, and a router.

use std::{net::Ipv4Addr, time::Duration};

use ferrolb_layer2::frame;

use super::{Occurrence, World};
use crate::{network::Port, station::Station};

impl World {
    pub(super) fn plug_in_stations(&mut self) {
        for client in 0..self.setup.clients {
            let port = Port(self.setup.nodes + client);
            let last = u8::try_from(client % 50).unwrap_or(0).saturating_add(200);
            self.stations.push(Station::new(client, port, Ipv4Addr::new(192, 0, 2, last)));
            let pause = self.pause();
            self.later(pause, Occurrence::Ask(client));
        }
        if let Some(address) = self.setup.gateway {
            let port = Port(self.setup.nodes + self.setup.clients);
            self.stations.push(Station::new(self.setup.clients, port, address));
        }
    }

    /// A client asks for some address.
    pub(super) fn ask(&mut self, client: usize) {
        let pause = self.pause();
        self.later(pause, Occurrence::Ask(client));
        let choice = self.random.usize(..self.addresses.len().max(1));
        let Some(station) = self.stations.get(client) else { return };
        // Who has an address of the cluster speaks of it often.
        let squatted = station.squats.iter().nth(choice % 4).copied();
        let Some(target) = squatted.or_else(|| self.addresses.keys().nth(choice).copied()) else { return };
        if station.squats.contains(&target) {
            let (port, claims) = (station.port, frame::announcement(station.mac, target));
            return claims.into_iter().for_each(|frame| self.send_frame(port, frame));
        }
        let (port, question) = (station.port, station.question(target));
        self.book.client_spoke(self.now);
        self.send_frame(port, question);
    }

    fn pause(&mut self) -> Duration {
        self.setup.question_every.mul_f64(0.4 + 1.2 * self.random.f64())
    }
}
