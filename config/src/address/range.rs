// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One range of addresses, as people write it: a CIDR, two addresses with a dash, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use thiserror::Error;

use super::Family;
use super::interval::Interval;

/// Addresses of one family from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    family: Family,
    interval: Interval,
}

/// What a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The range; of a CIDR with host bits set, the whole network.
    pub range: Range,
    /// Whether the text was a CIDR with host bits set (`192.0.2.7/24`), worth a warning.
    pub host_bits: bool,
}

/// Why a text is not a range. The message names the text; [`RangeError::remedy`] says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Nothing but white space.
    #[error("the range is empty")]
    Empty,
    /// Something that should be an address is none.
    #[error("\"{0}\" is not an IP address")]
    NotAnAddress(String),
    /// The part after the slash is no prefix length of the family.
    #[error("\"{text}\" has the prefix length \"{length}\", and {family} allows 0 to {most}")]
    PrefixLength {
        /// The whole text.
        text: String,
        /// What stands after the slash.
        length: String,
        /// The family of the part before the slash.
        family: Family,
        /// The longest prefix of the family.
        most: u8,
    },
    /// The first address comes after the last one.
    #[error("\"{text}\" is upside down: {first} comes after {last}")]
    UpsideDown {
        /// The whole text.
        text: String,
        /// The address before the dash.
        first: IpAddr,
        /// The address after the dash.
        last: IpAddr,
    },
    /// One end is IPv4 and the other IPv6.
    #[error("\"{text}\" mixes IPv4 and IPv6")]
    MixedFamilies {
        /// The whole text.
        text: String,
    },
}

impl RangeError {
    /// What the user can write instead, in a sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::UpsideDown { first, last, .. } => format!("Write {last}-{first}."),
            Self::PrefixLength { most, .. } => format!("Write a prefix length from 0 to {most} after the slash."),
            Self::MixedFamilies { .. } => "Write one range for each family.".to_owned(),
            Self::Empty | Self::NotAnAddress(_) => {
                "Write a CIDR (192.0.2.0/24), two addresses with a dash (192.0.2.10-192.0.2.20) or one address.".to_owned()
            }
        }
    }
}

impl Range {
    /// The range from `first` to `last`; `None` when they are of two families or upside down.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let family = Family::of(first);
        let interval = Interval { first: to_number(first), last: to_number(last) };
        (family == Family::of(last) && interval.first <= interval.last).then_some(Self { family, interval })
    }

    pub(super) fn from_interval(family: Family, interval: Interval) -> Self {
        Self { family, interval }
    }

    pub(super) fn interval(self) -> Interval {
        self.interval
    }

    /// The family of both ends.
    pub fn family(self) -> Family {
        self.family
    }

    /// The lowest address.
    pub fn first(self) -> IpAddr {
        to_address(self.family, self.interval.first)
    }

    /// The highest address.
    pub fn last(self) -> IpAddr {
        to_address(self.family, self.interval.last)
    }

    /// Whether `address` lies in the range, its ends included.
    pub fn contains(self, address: IpAddr) -> bool {
        let number = to_number(address);
        Family::of(address) == self.family && self.interval.first <= number && number <= self.interval.last
    }

    /// Reads `192.0.2.0/24`, `192.0.2.10-192.0.2.20` (white space round the dash is fine) or `192.0.2.10`.
    ///
    /// # Errors
    /// When the text is none of these; the error names what is wrong.
    pub fn parse(text: &str) -> Result<Parsed, RangeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(RangeError::Empty);
        }
        if let Some((address, length)) = text.split_once('/') {
            return parse_cidr(text, address, length);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_address(first)?, parse_address(last)?);
        match Self::new(first, last) {
            Some(range) => Ok(Parsed { range, host_bits: false }),
            None if Family::of(first) != Family::of(last) => {
                Err(RangeError::MixedFamilies { text: text.to_owned() })
            }
            None => Err(RangeError::UpsideDown { text: text.to_owned(), first, last }),
        }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, RangeError> {
    text.trim().parse().map_err(|_| RangeError::NotAnAddress(text.trim().to_owned()))
}

fn parse_cidr(text: &str, address: &str, length: &str) -> Result<Parsed, RangeError> {
    let address = parse_address(address)?;
    let family = Family::of(address);
    let wrong_length = || RangeError::PrefixLength {
        text: text.to_owned(),
        length: length.trim().to_owned(),
        family,
        most: match family {
            Family::V4 => 32,
            Family::V6 => 128,
        },
    };
    // `u8::from_str` takes a leading plus sign, which no CIDR has.
    let digits = length.trim();
    let length = digits.parse().ok().filter(|_| !digits.starts_with('+')).ok_or_else(wrong_length)?;
    let net = IpNet::new(address, length).map_err(|_| wrong_length())?;
    let (first, last) = (net.network(), net.broadcast());
    let interval = Interval { first: to_number(first), last: to_number(last) };
    Ok(Parsed { range: Range { family, interval }, host_bits: first != address })
}

pub(super) fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of `family` with this number; numbers of IPv4 intervals fit in 32 bits by construction.
pub(super) fn to_address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

impl fmt::Display for Range {
    /// The shortest form that [`Range::parse`] reads back: an address, a CIDR where one fits, two addresses otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first(), self.last());
        if first == last {
            return write!(f, "{first}");
        }
        let bits = match self.family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        let differing = 128 - (self.interval.first ^ self.interval.last).leading_zeros();
        let length = u8::try_from(differing).ok().and_then(|differing| u8::checked_sub(bits, differing));
        let net = length.and_then(|length| IpNet::new(first, length).ok());
        match net.filter(|net| net.network() == first && net.broadcast() == last) {
            Some(net) => write!(f, "{net}"),
            None => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> (String, String) {
        let range = Range::parse(text).unwrap().range;
        (range.first().to_string(), range.last().to_string())
    }

    #[test]
    fn ipam_026_027_a_cidr_a_dash_and_one_address_are_ranges() {
        for (text, first, last) in [
            ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("192.168.0.1/24", "192.168.0.0", "192.168.0.255"),
            ("192.0.2.10-192.0.2.20", "192.0.2.10", "192.0.2.20"),
            (" 192.0.2.10 - 192.0.2.20 ", "192.0.2.10", "192.0.2.20"),
            ("192.0.2.10", "192.0.2.10", "192.0.2.10"),
            ("2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
            ("2001:db8::1-2001:db8::9", "2001:db8::1", "2001:db8::9"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(ends(text), (first.to_owned(), last.to_owned()), "{text}");
        }
    }

    #[test]
    fn host_bits_are_told_and_the_whole_network_is_meant() {
        assert!(Range::parse("192.0.2.7/24").unwrap().host_bits);
        assert!(!Range::parse("192.0.2.0/24").unwrap().host_bits);
        assert!(!Range::parse("192.0.2.7/32").unwrap().host_bits);
        assert!(Range::parse("2001:db8::1/64").unwrap().host_bits);
    }

    #[test]
    fn conf_002_003_a_wrong_range_names_its_fault_and_the_remedy() {
        for (text, message, remedy) in [
            ("1.2.3.10-1.2.3.1", "upside down", "Write 1.2.3.1-1.2.3.10."),
            ("1.2.3.0/33", "prefix length \"33\"", "0 to 32"),
            ("1.2.3.0/+8", "prefix length \"+8\"", "0 to 32"),
            ("1.2.3.0/255.255.255.0", "prefix length", "0 to 32"),
            ("100.200.300.400/24", "\"100.200.300.400\" is not an IP address", "Write a CIDR"),
            ("1.2.3.4-5-6", "\"5-6\" is not an IP address", "Write a CIDR"),
            ("1.2.3.4-::1", "mixes", "each family"),
            ("", "empty", "Write a CIDR"),
            ("yes", "\"yes\" is not", "Write a CIDR"),
        ] {
            let error = Range::parse(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.remedy().contains(remedy), "{text}: {}", error.remedy());
        }
    }

    #[test]
    fn a_range_prints_in_the_shortest_form_that_reads_back() {
        for text in [
            "192.0.2.0/24",
            "192.0.2.1-192.0.2.2",
            "192.0.2.1",
            "2001:db8::/64",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::-2001:db8::2",
        ] {
            assert_eq!(Range::parse(text).unwrap().range.to_string(), text);
        }
        assert_eq!(Range::parse("10.0.0.0-10.255.255.255").unwrap().range.to_string(), "10.0.0.0/8");
    }
}
