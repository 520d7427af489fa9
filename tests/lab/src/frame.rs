// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The few frames that the lab itself speaks and reads: ARP (RFC 826), neighbour discovery (RFC 4861) and the adverts of those it
//! measures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Mac;
use crate::packet_socket::{ARP, IPV6};

const IPV4: u16 = 0x0800;

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Who speaks.
    pub sender_mac: Mac,
    /// What address it says it has.
    pub sender: Ipv4Addr,
    /// To whom; zero in a question.
    pub target_mac: Mac,
    /// The address asked for.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Whether it announces: sender and target address are the same.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// A neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address it is about.
    pub target: Ipv6Addr,
    /// The target link-layer address option, or the frame's source.
    pub mac: Mac,
    /// Sent in answer to a solicitation.
    pub solicited: bool,
}

/// What the lab makes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// ARP.
    Arp(Arp),
    /// Neighbour advertisement.
    Advertisement(Advertisement),
    /// UDP.
    Udp {
        /// Sender.
        from: IpAddr,
        /// Receiver.
        to: IpAddr,
        /// Receiver's port.
        port: u16,
    },
    /// A VRRP advert (RFC 9568).
    Vrrp {
        /// Sender.
        from: IpAddr,
    },
    /// Anything else.
    Other,
}

/// A frame's source and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// What is in it.
    pub content: Content,
}

/// Reads a frame; `None` if it is too short to be one.
pub fn read(bytes: &[u8]) -> Option<Frame> {
    let destination = Mac(*bytes.first_chunk()?);
    let source = Mac(*bytes.get(6..)?.first_chunk()?);
    let body = bytes.get(14..)?;
    let content = match u16_at(bytes, 12)? {
        ARP => read_arp(body),
        IPV4 => read_ipv4(body),
        IPV6 => read_ipv6(body, source),
        _ => None,
    };
    Some(Frame { destination, source, content: content.unwrap_or(Content::Other) })
}

fn read_arp(body: &[u8]) -> Option<Content> {
    Some(Content::Arp(Arp {
        operation: u16_at(body, 6)?,
        sender_mac: Mac(chunk(body, 8)?),
        sender: Ipv4Addr::from(chunk::<4>(body, 14)?),
        target_mac: Mac(chunk(body, 18)?),
        target: Ipv4Addr::from(chunk::<4>(body, 24)?),
    }))
}

fn read_ipv4(body: &[u8]) -> Option<Content> {
    let header = usize::from(body.first()? & 0x0f) * 4;
    let from = IpAddr::from(chunk::<4>(body, 12)?);
    let to = IpAddr::from(chunk::<4>(body, 16)?);
    transport(*body.get(9)?, from, to, body.get(header..)?)
}

fn read_ipv6(body: &[u8], source: Mac) -> Option<Content> {
    let from = IpAddr::from(chunk::<16>(body, 8)?);
    let to = IpAddr::from(chunk::<16>(body, 24)?);
    let payload = body.get(40..)?;
    let next = *body.get(6)?;
    if next == 58 && payload.first() == Some(&136) {
        return Some(Content::Advertisement(Advertisement {
            target: Ipv6Addr::from(chunk::<16>(payload, 8)?),
            mac: if payload.get(24..26) == Some(&[2, 1]) { Mac(chunk(payload, 26)?) } else { source },
            solicited: payload.get(4)? & 0x40 != 0,
        }));
    }
    transport(next, from, to, payload)
}

fn transport(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> Option<Content> {
    match protocol {
        17 => Some(Content::Udp { from, to, port: u16_at(payload, 2)? }),
        112 => Some(Content::Vrrp { from }),
        _ => None,
    }
}

/// A broadcast question for `target`, from a station with `mac` and `sender`.
pub fn arp_question(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(Mac::BROADCAST, mac, ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// A neighbour solicitation to the solicited-node group of `target` (RFC 4861 section 4.3).
pub fn solicitation(mac: Mac, sender: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend([1, 1]);
    message.extend(mac.0);
    let sum = icmpv6_checksum(sender, group, &message);
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    let mut frame = ethernet(Mac([0x33, 0x33, 0xff, a, b, c]), mac, IPV6);
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(sender.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}

/// RFC 4443 section 2.3, over a message whose own checksum field is zero.
fn icmpv6_checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks(2)
            .map(|pair| {
                u32::from(pair.first().copied().unwrap_or(0)) << 8
                    | u32::from(pair.get(1).copied().unwrap_or(0))
            })
            .sum()
    };
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut sum = words(&from.octets()) + words(&to.octets()) + length + 58 + words(message);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

fn ethernet(to: Mac, from: Mac, ether_type: u16) -> Vec<u8> {
    [to.0.as_slice(), &from.0, &ether_type.to_be_bytes()].concat()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(chunk(bytes, at)?))
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    #[test]
    fn a_question_reads_back_as_what_was_asked() {
        let place = Place::Newcomer;
        let target = Ipv4Addr::new(198, 51, 100, 100);
        let frame = read(&arp_question(place.mac(), place.ipv4(), target)).expect("a frame");
        assert_eq!(frame.destination, Mac::BROADCAST);
        let Content::Arp(arp) = frame.content else { panic!("not ARP: {frame:?}") };
        assert_eq!((arp.operation, arp.sender_mac, arp.target), (1, place.mac(), target));
        assert!(!arp.is_gratuitous());
    }

    #[test]
    fn a_solicitation_carries_a_checksum_that_adds_up() {
        let target: Ipv6Addr = "2001:db8:1::100".parse().expect("an address");
        let bytes = solicitation(Place::Newcomer.mac(), Place::Newcomer.ipv6(), target);
        assert_eq!(bytes.len(), 14 + 40 + 32);
        let group = Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[38..54]).expect("16 bytes"));
        assert_eq!(group, "ff02::1:ff00:100".parse::<Ipv6Addr>().expect("an address"));
        // Summed with its own checksum in place, a message gives zero.
        assert_eq!(icmpv6_checksum(Place::Newcomer.ipv6(), group, &bytes[54..]), 0);
    }

    #[test]
    fn an_advertisement_names_the_mac_in_its_option() {
        let mut bytes = ethernet(Mac([1; 6]), Mac([2; 6]), IPV6);
        bytes.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
        bytes.extend([0; 32]);
        bytes.extend([136, 0, 0, 0, 0x60, 0, 0, 0]);
        let target: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        bytes.extend(target.octets());
        bytes.extend([2, 1, 9, 9, 9, 9, 9, 9]);
        let frame = read(&bytes).expect("a frame");
        let expected = Advertisement { target, mac: Mac([9; 6]), solicited: true };
        assert_eq!(frame.content, Content::Advertisement(expected));
    }

    #[test]
    fn a_cut_off_frame_is_nothing_or_other() {
        let whole = arp_question(Place::Client.mac(), Place::Client.ipv4(), Place::Node(1).ipv4());
        for length in 0..whole.len() {
            match read(&whole[..length]) {
                None => assert!(length < 14),
                Some(frame) => assert_eq!(frame.content, Content::Other, "{length}"),
            }
        }
    }
}
