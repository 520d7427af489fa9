// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who speaks: autonomous system and router.

use std::{
    fmt,
    net::Ipv4Addr,
    num::{NonZeroU16, NonZeroU32},
};

/// Number of an autonomous system. 0 is nobody's (RFC 7607).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(NonZeroU32);

impl Asn {
    /// Stands in two-octet fields for numbers that do not fit there: AS_TRANS (RFC 6793, section 9).
    pub const TRANS: u16 = 23_456;

    /// `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// What a peer without four-octet numbers sees: the number if it fits, else [`Asn::TRANS`].
    pub fn two_octets(self) -> u16 {
        u16::try_from(self.get()).unwrap_or(Self::TRANS)
    }

    /// Whether the number needs four octets.
    pub fn is_wide(self) -> bool {
        self.get() > u32::from(u16::MAX)
    }
}

impl From<NonZeroU16> for Asn {
    fn from(number: NonZeroU16) -> Self {
        Self(number.into())
    }
}

impl From<NonZeroU32> for Asn {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// BGP identifier of a speaker: four octets written like an IPv4 address, never zero (RFC 6286). Ordered as the unsigned number
/// that decides collisions (RFC 4271, section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(NonZeroU32);

impl RouterId {
    /// `None` for 0.0.0.0.
    pub fn new(id: Ipv4Addr) -> Option<Self> {
        NonZeroU32::new(id.to_bits()).map(Self)
    }

    /// The identifier in the form that people write.
    pub fn get(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.get())
    }
}

impl From<NonZeroU32> for RouterId {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bgp_084_a_wide_number_is_as_trans_in_two_octets() {
        assert_eq!(Asn::new(65_001).unwrap().two_octets(), 65_001);
        assert_eq!(Asn::new(4_200_000_000).unwrap().two_octets(), 23_456);
        assert_eq!(Asn::new(0), None);
    }

    #[test]
    fn router_ids_are_ordered_as_unsigned_numbers() {
        let id = |text: &str| RouterId::new(text.parse().unwrap());
        assert!(id("10.0.0.9") < id("10.0.0.10"));
        assert!(id("127.0.0.1") < id("200.0.0.1"));
        assert_eq!(id("0.0.0.0"), None);
    }
}
