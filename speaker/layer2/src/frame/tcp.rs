// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether a TCP port answers (RFC 9293, section 3.5), asked in whole frames: a socket's connect would be translated by
//! the asking node's own rules and never reach the wire. The asker resets what the answer would open, so that no
//! application sees a connection.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TcpHeader, TransportSlice};

use crate::identity::MacAddr;

/// The TCP port that questions come from and answers go to; that of the hellos, so that one number names the protocol.
pub const SOURCE_PORT: u16 = 7948;

const HOPS: u8 = 64;
const WINDOW: u16 = 1024;

/// Who asks whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    /// The asking station.
    pub own_mac: MacAddr,
    /// Its own address.
    pub own_ip: IpAddr,
    /// The station that is asked.
    pub to_mac: MacAddr,
    /// The port in question.
    pub target: SocketAddr,
}

/// What a port says to a [`Knock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The station that it came from.
    pub station: MacAddr,
    /// The port that speaks.
    pub from: SocketAddr,
    /// Whom it speaks to.
    pub to: IpAddr,
    /// The sequence number that it acknowledges.
    pub acknowledged: u32,
    /// It is open (SYN and ACK); otherwise it refuses (RST).
    pub open: bool,
}

/// "May I connect?" `None` if the addresses are of two families.
pub fn syn(knock: &Knock, sequence: u32) -> Option<Vec<u8>> {
    frame(addressed(knock)?.tcp(SOURCE_PORT, knock.target.port(), sequence, WINDOW).syn())
}

/// "I changed my mind", after an answer that opened something.
pub fn reset(knock: &Knock, sequence: u32) -> Option<Vec<u8>> {
    frame(addressed(knock)?.tcp(SOURCE_PORT, knock.target.port(), sequence, 0).rst())
}

/// Reads an answer; `None` is a frame of no concern here. Checksums are not looked at: within one machine the kernel
/// leaves them to a card that the frame never passes.
pub fn parse(frame: &[u8]) -> Option<Answer> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match packet.net? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
    let open = tcp.syn() && tcp.ack() && !tcp.rst();
    if tcp.destination_port() != SOURCE_PORT || !(open || tcp.rst()) {
        return None;
    }
    let (_, rest) = frame.split_first_chunk::<6>()?;
    let (station, _) = rest.split_first_chunk::<6>()?;
    Some(Answer {
        station: MacAddr(*station),
        from: SocketAddr::new(source, tcp.source_port()),
        to: destination,
        acknowledged: tcp.acknowledgment_number(),
        open,
    })
}

fn addressed(knock: &Knock) -> Option<PacketBuilderStep<etherparse::IpHeaders>> {
    let ethernet = PacketBuilder::ethernet2(knock.own_mac.0, knock.to_mac.0);
    match (knock.own_ip, knock.target.ip()) {
        (IpAddr::V4(own), IpAddr::V4(target)) => Some(ethernet.ipv4(own.octets(), target.octets(), HOPS)),
        (IpAddr::V6(own), IpAddr::V6(target)) => Some(ethernet.ipv6(own.octets(), target.octets(), HOPS)),
        _ => None,
    }
}

fn frame(packet: PacketBuilderStep<TcpHeader>) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(packet.size(0));
    packet.write(&mut frame, &[]).ok()?;
    Some(frame)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ASKER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OWNER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn knock(own: &str, target: &str) -> Knock {
        let (own_ip, target) = (own.parse().unwrap(), target.parse().unwrap());
        Knock { own_mac: ASKER, own_ip, to_mac: OWNER, target }
    }

    /// What a host answers to a SYN.
    fn answered(frame: &[u8], acknowledged: u32, open: bool) -> Vec<u8> {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
        assert!(tcp.syn() && !tcp.ack());
        let ethernet = PacketBuilder::ethernet2(OWNER.0, ASKER.0);
        let ip = match packet.net.unwrap() {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                assert!(
                    tcp.to_header().calc_checksum_ipv4(&header.to_header(), &[]).unwrap() == tcp.checksum()
                );
                ethernet.ipv4(header.destination(), header.source(), HOPS)
            }
            NetSlice::Ipv6(ip) => ethernet.ipv6(ip.header().destination(), ip.header().source(), HOPS),
            NetSlice::Arp(_) => panic!("ARP"),
        };
        let tcp = ip.tcp(tcp.destination_port(), tcp.source_port(), 77, WINDOW);
        let tcp = if open { tcp.syn() } else { tcp.rst() };
        super::frame(tcp.ack(acknowledged)).unwrap()
    }

    /// What a host answers to the SYN `frame`.
    pub(crate) fn answer_to(frame: &[u8], open: bool) -> Vec<u8> {
        match SlicedPacket::from_ethernet(frame).unwrap().transport {
            Some(TransportSlice::Tcp(tcp)) if tcp.syn() => {
                answered(frame, tcp.sequence_number().wrapping_add(1), open)
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_open_and_a_refusing_port_are_told_apart_in_both_families() {
        for (own, target) in [("192.0.2.1", "192.0.2.100:80"), ("2001:db8::1", "[2001:db8::100]:80")] {
            let knock = knock(own, target);
            for open in [true, false] {
                let answer = parse(&answered(&syn(&knock, 7).unwrap(), 8, open)).unwrap();
                let Knock { own_ip: to, target: from, .. } = knock;
                assert_eq!(answer, Answer { station: OWNER, from, to, acknowledged: 8, open });
            }
        }
    }

    #[test]
    fn questions_and_what_is_no_tcp_are_no_answers() {
        let knock = knock("192.0.2.1", "192.0.2.100:80");
        let question = syn(&knock, 7).unwrap();
        assert_eq!(parse(&question), None);
        assert!(parse(&reset(&knock, 8).unwrap()).is_none(), "it goes to the port, not to the asker");
        for length in 0..question.len() {
            assert_eq!(parse(&question[..length]), None);
        }
        assert_eq!(syn(&Knock { own_ip: "2001:db8::1".parse().unwrap(), ..knock }, 7), None);
    }
}
