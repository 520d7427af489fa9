// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Router advertisements and solicitations (RFC 4861, sections 4.1 and 4.2), as ICMPv6 messages without the header before them.

use std::net::Ipv6Addr;

use thiserror::Error;

/// The type of a solicitation.
const SOLICITATION: u8 = 133;
/// The type of an advertisement.
const ADVERTISEMENT: u8 = 134;
/// Nobody beyond the link can send more.
const HOP_LIMIT: u8 = 255;
/// What stands before the options.
const FIXED: usize = 16;
/// The option with the sender's link-layer address.
const SOURCE_LINK_LAYER: u8 = 1;

/// A router says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// Its link-local address.
    pub router: Ipv6Addr,
    /// For how many seconds it is a default router; 0: it is none. It may be a router all the same.
    pub lifetime: u16,
}

/// Why an advertisement is none (RFC 4861, section 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadAdvertisement {
    /// It is some other message.
    #[error("ICMPv6 type {0:?} is no router advertisement")]
    Type(Option<u8>),
    /// It has a code other than 0.
    #[error("a router advertisement with the code {0}")]
    Code(u8),
    /// Somebody beyond the link may have sent it.
    #[error("a router advertisement with the hop limit {0} in place of 255")]
    HopLimit(u8),
    /// The sender's address is of no use to speak to it.
    #[error("a router advertisement from {0}, which is not link-local")]
    Source(Ipv6Addr),
    /// It ends too early.
    #[error("a router advertisement of {0} octets")]
    Short(usize),
    /// The options do not fit together.
    #[error("a router advertisement with a broken option")]
    Option,
}

impl RouterAdvertisement {
    /// Reads what came from `source` with this hop limit. The kernel has seen to the checksum.
    ///
    /// # Errors
    /// It is to be ignored.
    pub fn decode(message: &[u8], source: Ipv6Addr, hop_limit: u8) -> Result<Self, BadAdvertisement> {
        if message.first() != Some(&ADVERTISEMENT) {
            return Err(BadAdvertisement::Type(message.first().copied()));
        }
        if hop_limit != HOP_LIMIT {
            return Err(BadAdvertisement::HopLimit(hop_limit));
        }
        if !source.is_unicast_link_local() {
            return Err(BadAdvertisement::Source(source));
        }
        let (fixed, options) =
            message.split_first_chunk::<FIXED>().ok_or(BadAdvertisement::Short(message.len()))?;
        let [_, code, _, _, _hops, _flags, high, low, ..] = *fixed;
        if code != 0 {
            return Err(BadAdvertisement::Code(code));
        }
        check(options)?;
        Ok(Self { router: source, lifetime: u16::from_be_bytes([high, low]) })
    }
}

/// Each option says how many times eight octets it takes; none takes nothing.
fn check(mut options: &[u8]) -> Result<(), BadAdvertisement> {
    while !options.is_empty() {
        let length = options.get(1).map_or(0, |eights| usize::from(*eights) * 8);
        let rest = options.get(length..).filter(|_| length > 0);
        options = rest.ok_or(BadAdvertisement::Option)?;
    }
    Ok(())
}

/// What is to be said on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Routers shall advertise themselves now.
    Solicitation,
    /// We are there, and no default router.
    Advertisement,
}

impl Say {
    /// The message, with our link-layer address if there is one. The kernel fills in the checksum.
    pub fn encode(self, mac: Option<[u8; 6]>) -> Vec<u8> {
        let mut message = match self {
            Self::Solicitation => vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0],
            Self::Advertisement => {
                let mut message = vec![0; FIXED];
                message.splice(..1, [ADVERTISEMENT]);
                message
            }
        };
        if let Some(mac) = mac {
            message.extend([SOURCE_LINK_LAYER, 1]);
            message.extend(mac);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A hop limit of 64 for hosts, a lifetime of 1800 s, and the router's MAC address.
    const MESSAGE: [u8; 24] =
        [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 2];

    fn router() -> Ipv6Addr {
        "fe80::ff:fe00:2".parse().unwrap()
    }

    #[test]
    fn a_router_is_its_sender_for_as_long_as_it_says() {
        let read = RouterAdvertisement::decode(&MESSAGE, router(), 255);
        assert_eq!(read, Ok(RouterAdvertisement { router: router(), lifetime: 1800 }));
    }

    #[test]
    fn what_may_come_from_elsewhere_is_not_believed() {
        let far = RouterAdvertisement::decode(&MESSAGE, router(), 254);
        assert_eq!(far, Err(BadAdvertisement::HopLimit(254)));
        let global: Ipv6Addr = "2001:db8::2".parse().unwrap();
        let other = RouterAdvertisement::decode(&MESSAGE, global, 255);
        assert_eq!(other, Err(BadAdvertisement::Source(global)));
    }

    #[test]
    fn broken_messages_have_a_reason_each() {
        let decode = |message: &[u8]| RouterAdvertisement::decode(message, router(), 255);
        let with = |place: usize, octet: u8| {
            let mut message = MESSAGE;
            message[place] = octet;
            decode(&message).unwrap_err()
        };
        assert_eq!(decode(&[]), Err(BadAdvertisement::Type(None)));
        assert_eq!(with(0, 133), BadAdvertisement::Type(Some(133)));
        assert_eq!(with(1, 3), BadAdvertisement::Code(3));
        assert_eq!(decode(&MESSAGE[..15]), Err(BadAdvertisement::Short(15)));
        assert_eq!(with(17, 0), BadAdvertisement::Option, "it would never end");
        assert_eq!(with(17, 2), BadAdvertisement::Option, "it goes beyond the message");
        assert_eq!(decode(&MESSAGE[..17]), Err(BadAdvertisement::Option));
        assert!(decode(&MESSAGE[..16]).is_ok(), "options may be missing");
    }

    #[test]
    fn what_we_say_tells_our_mac_address() {
        assert_eq!(Say::Solicitation.encode(None), [133, 0, 0, 0, 0, 0, 0, 0]);
        let signed = Say::Solicitation.encode(Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(signed, [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn nobody_takes_us_for_a_default_router() {
        let said = Say::Advertisement.encode(Some([2, 0, 0, 0, 0, 1]));
        let read = RouterAdvertisement::decode(&said, router(), 255);
        assert_eq!(read, Ok(RouterAdvertisement { router: router(), lifetime: 0 }));
        assert_eq!(said[4..16], [0; 12], "nor sets anything of a host");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(mut octets: Vec<u8>, like: bool) {
            if like && let Some(first) = octets.first_mut() {
                *first = ADVERTISEMENT;
            }
            if let Ok(read) = RouterAdvertisement::decode(&octets, router(), 255) {
                prop_assert!(octets.len() >= FIXED);
                prop_assert_eq!(read.router, router());
            }
        }
    }
}
