// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Communities: labels on routes that routers act on. Written and ordered as people write them.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A standard community (RFC 1997), written `65000:100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Prefer another path: this one is about to go (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// Do not pass on to other autonomous systems (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// Do not pass on to anybody (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);

    /// `high:low`.
    pub fn new(high: u16, low: u16) -> Self {
        Self(u32::from(high) << 16 | u32::from(low))
    }
}

/// An extended community (RFC 4360): eight octets, type first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// A large community (RFC 8092), written `large:65000:1:2` in configuration and `65000:1:2` by routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// Global administrator: the autonomous system that defines the meaning.
    pub global: u32,
    /// First part of its meaning.
    pub data1: u32,
    /// Second part of its meaning.
    pub data2: u32,
}

/// Why a text is not a community.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotACommunity {
    /// Not two numbers from 0 to 65,535 with a colon between.
    #[error("{0:?} is not a community: write two numbers up to 65535 with a colon between, as 65000:100")]
    Standard(String),
    /// Not three numbers of 32 bits.
    #[error("{0:?} is not a large community: write three numbers, as large:65000:1:2")]
    Large(String),
}

impl FromStr for Community {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let numbers =
            text.split_once(':').and_then(|(high, low)| Some((high.parse().ok()?, low.parse().ok()?)));
        let (high, low) = numbers.ok_or_else(|| NotACommunity::Standard(text.to_owned()))?;
        Ok(Self::new(high, low))
    }
}

impl FromStr for LargeCommunity {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let numbers = text.strip_prefix("large:").unwrap_or(text);
        let parsed: Result<Vec<u32>, _> = numbers.splitn(4, ':').map(str::parse).collect();
        match parsed.as_deref() {
            Ok(&[global, data1, data2]) => Ok(Self { global, data1, data2 }),
            _ => Err(NotACommunity::Large(text.to_owned())),
        }
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.data1, self.data2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conf_060_large_communities_have_three_numeric_parts() {
        let expected = LargeCommunity { global: 123, data1: 64_512, data2: 1_234 };
        assert_eq!("large:123:64512:1234".parse(), Ok(expected));
        assert_eq!(expected.to_string(), "123:64512:1234");
        for wrong in ["larg:1:2:3", "large:1:2", "large:1:2:3:4", "large:1:x:3", "large:1:2:4294967296", ""] {
            assert!(wrong.parse::<LargeCommunity>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn standard_communities_have_two_parts_of_sixteen_bits() {
        assert_eq!("65535:0".parse(), Ok(Community::GRACEFUL_SHUTDOWN));
        assert_eq!("65535:65281".parse(), Ok(Community::NO_EXPORT));
        assert_eq!(Community::new(65_531, 65_281).to_string(), "65531:65281");
        for wrong in ["65536:1", "1:65536", "1:2:3", "a:b", ":", "-1:2", "6553600"] {
            assert!(wrong.parse::<Community>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn conf_061_communities_are_ordered_by_their_numbers() {
        assert!(Community::new(9, 1) < Community::new(10, 0));
        assert!(
            LargeCommunity { global: 2, data1: 9, data2: 0 }
                < LargeCommunity { global: 10, data1: 0, data2: 0 }
        );
    }
}
