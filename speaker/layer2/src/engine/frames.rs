// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Frames that come in: questions that we answer, answers that prove something, and stations that use our addresses.

use std::{net::IpAddr, time::Instant};

use super::{Segment, State};
use crate::{
    announce::Asker,
    frame::{self, Heard},
    identity::MacAddr,
    rule::{self, Rule},
};

impl Segment {
    pub(super) fn hear_frame(&mut self, bytes: &[u8], received: Instant, now: Instant) {
        let Some(mac) = self.mac() else { return };
        let heard = match frame::parse(bytes) {
            Ok(Some(heard)) => heard,
            Ok(None) => return,
            Err(rejection) => return self.counts.rejections.record(&rejection),
        };
        let (source, destination) = stations(&heard);
        let to_us = destination == mac || destination.is_multicast();
        if source == mac || !to_us {
            return;
        }
        // The answer first: a client waits for it.
        self.answer(&heard, mac, received, now);
        self.learn(&heard, mac, received, now);
    }

    fn answer(&mut self, heard: &Heard, mac: MacAddr, received: Instant, now: Instant) {
        let Some(address) = heard.asked().filter(|address| self.election.carries(*address)) else { return };
        // Peers ask as witnesses: that is no client's wish.
        if let Some((client, station)) = heard.asker()
            && !self.members.is_peer_station(station)
        {
            self.announcer.asked(address, Asker { mac: station, address: client }, now);
        }
        if self.state != State::Active || self.election.owns(address).is_none() {
            return;
        }
        let age = now.saturating_duration_since(received);
        if age > self.timing.request_max_age && rule::holds(Rule::RequestAge) {
            self.counts.late_requests = self.counts.late_requests.saturating_add(1);
            return;
        }
        if let Some(answer) = frame::answer(heard, mac) {
            self.counts.answers = self.counts.answers.saturating_add(1);
            self.frame(answer);
        }
    }

    /// Who says to have which address.
    fn learn(&mut self, heard: &Heard, mac: MacAddr, received: Instant, now: Instant) {
        let Some((address, station)) = heard.asserted() else { return };
        if station == mac || self.is_own_address(address) {
            return;
        }
        if self.election.carries(address) {
            if self.election.owns(address).is_some() && !self.members.is_peer_station(station) {
                self.strangers.heard(address, station, now);
            }
            self.election.hear_of(address, station);
            return;
        }
        self.members.station(address, station);
        if answers_us(heard, mac) && self.proof.answered(address, received) {
            self.members.host_answered(address, received);
            self.proof_may_have_arrived(now);
        }
        // Stations outside our prefixes could not be probed.
        let waiting = self.election.waits_for_proof();
        if self.address_towards(address).is_some() && self.proof.neighbour(address, waiting, now) {
            self.probe(address, now);
        }
    }

    /// Asks as nobody whether anybody has the address, which disturbs no neighbour's table.
    pub(super) fn search_for(&mut self, address: IpAddr) {
        let Some(mac) = self.mac() else { return };
        self.counts.probes = self.counts.probes.saturating_add(1);
        self.frame(match address {
            IpAddr::V4(target) => frame::arp::probe(mac, target),
            IpAddr::V6(target) => frame::ndp::probe(mac, target),
        });
    }

    /// Asks the station at `address` for its MAC, from our own address.
    pub(super) fn probe(&mut self, address: IpAddr, now: Instant) {
        let Some(mac) = self.mac() else { return };
        let question = match (self.address_towards(address), address) {
            (Some(IpAddr::V4(own)), IpAddr::V4(target)) => frame::arp::request(mac, own, target),
            (Some(IpAddr::V6(own)), IpAddr::V6(target)) => frame::ndp::solicitation_for(mac, own, target),
            _ => return,
        };
        self.proof.asking(address, now);
        self.counts.probes = self.counts.probes.saturating_add(1);
        self.frame(question);
    }
}

/// Ethernet source and destination as far as the packet tells.
fn stations(heard: &Heard) -> (MacAddr, MacAddr) {
    match heard {
        Heard::ArpRequest { src, dst, .. } | Heard::ArpReply { src, dst, .. } => (*src, *dst),
        Heard::NeighborSolicitation { sender_mac, dst_mac, .. } => (*sender_mac, *dst_mac),
        // Answers go to who asked, announcements to all nodes; others' are not delivered to us.
        Heard::NeighborAdvertisement { sender_mac, .. } => (*sender_mac, MacAddr::BROADCAST),
    }
}

/// Whether it answers a question that we may have asked.
fn answers_us(heard: &Heard, mac: MacAddr) -> bool {
    match heard {
        Heard::ArpReply { dst, target_mac, .. } => *dst == mac && *target_mac == mac,
        Heard::NeighborAdvertisement { solicited, .. } => *solicited,
        Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => false,
    }
}
