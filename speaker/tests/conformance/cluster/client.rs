// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A client on every wire, that knows nobody and asks.

use std::net::IpAddr;
use std::time::Duration;

use ferrolb_layer2::{Heard, MacAddr, frame};
use ferrolb_speaker::kernel::links::{Link, LinkIndex};

use super::traffic::{Packet, Said, Station};
use super::{Cluster, MS, ip, link};

/// Its number among the stations.
const NUMBER: u8 = 14;
/// Longer than a question and its answer are on their way.
const ANSWER: Duration = Duration::from_millis(2);
/// The wire of `eth0`.
const LAN: LinkIndex = 0;

pub(super) fn station(wire: LinkIndex) -> Station {
    Station { node: "client".into(), wire }
}

pub(super) fn mac(wire: LinkIndex) -> MacAddr {
    interface(wire).mac.unwrap()
}

fn interface(wire: LinkIndex) -> Link {
    link(wire, NUMBER)
}

/// A new client's question.
fn question(wire: LinkIndex, address: IpAddr) -> Vec<u8> {
    let own =
        |ipv4: bool| interface(wire).addresses.iter().map(|net| net.addr()).find(|it| it.is_ipv4() == ipv4);
    match (address, own(address.is_ipv4()).unwrap()) {
        (IpAddr::V4(address), IpAddr::V4(own)) => frame::arp::request(mac(wire), own, address),
        (IpAddr::V6(address), IpAddr::V6(own)) => frame::ndp::solicitation_for(mac(wire), own, address),
        _ => unreachable!("one family"),
    }
}

impl Cluster {
    /// What the client answers by itself.
    pub(super) fn client_hears(&mut self, at: &Station, packet: &Packet) {
        let Packet::Frame(bytes) = packet else { return };
        let Some(heard) = frame::parse(bytes).unwrap() else { return };
        let own = interface(at.wire);
        if heard.asked().is_some_and(|asked| own.addresses.iter().any(|net| net.addr() == asked))
            && let Some(answer) = frame::answer(&heard, mac(at.wire))
        {
            self.send_frame(at, answer);
        }
    }

    /// Lets everybody find what is to be carried: longer than a speaker waits before its first claim, for better ones too.
    /// Meanwhile the client is heard asking for what is not there, which a node alone on its wire needs to know that its
    /// cable is in.
    pub fn settle(&mut self) {
        for _ in 0..24 {
            self.pass(MS * 500);
            for (wire, nobody) in [(0, "192.0.2.253"), (1, "198.51.100.253")] {
                self.send_frame(&station(wire), question(wire, ip(nobody)));
            }
        }
    }

    /// Sends a frame from the client's interface on the wire; answers what nodes say within a moment.
    pub fn exchange(&mut self, wire: LinkIndex, bytes: Vec<u8>) -> Vec<Said> {
        let before = self.said.len();
        self.send_frame(&station(wire), bytes);
        self.pass(ANSWER);
        self.said[before..].to_vec()
    }

    /// The MACs of all that answer for the address on the wire when somebody new asks.
    pub fn answers(&mut self, wire: LinkIndex, address: &str) -> Vec<MacAddr> {
        let said = self.exchange(wire, question(wire, ip(address)));
        let to = mac(wire);
        let answer = |said: &Said| {
            let (is_answer, about) = match said.heard {
                Heard::ArpReply { sender_ip, dst, .. } => (dst == to, IpAddr::V4(sender_ip)),
                Heard::NeighborAdvertisement { target, solicited, .. } => (solicited, IpAddr::V6(target)),
                Heard::ArpRequest { .. } | Heard::NeighborSolicitation { .. } => return None,
            };
            (is_answer && about == ip(address)).then_some(said.mac)
        };
        said.iter().filter_map(answer).collect()
    }

    /// The nodes that answer for the address on the wire of `eth0`.
    pub fn answering(&mut self, address: &str) -> Vec<String> {
        self.answering_on(LAN, address)
    }

    /// The nodes that answer for the address on the wire.
    pub fn answering_on(&mut self, wire: LinkIndex, address: &str) -> Vec<String> {
        let macs = self.answers(wire, address);
        let node = |mac: &MacAddr| {
            let MacAddr([.., on, number]) = *mac;
            assert_eq!(LinkIndex::from(on), wire, "it answers with the MAC of the wire that it was asked on");
            format!("n{number}")
        };
        macs.iter().map(node).collect()
    }

    /// The only node that answers for the address on the wire of `eth0`.
    pub fn owner(&mut self, address: &str) -> String {
        match &self.answering(address)[..] {
            [owner] => owner.clone(),
            others => panic!("{others:?} answer for {address}"),
        }
    }
}
