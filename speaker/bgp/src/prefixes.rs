// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Prefixes on the wire: a length in bits, then as many octets as these need (RFC 4271, section 4.3; RFC 4760, section 5).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{family::Family, fault::Fault, reader::Reader};

/// A list of prefixes as it came in. Each was checked when it was read, so that iterating cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes<'a> {
    family: Family,
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Prefixes<'a> {
    pub(crate) fn read(family: Family, bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut rest = Reader::new(bytes);
        let mut count = 0;
        while !rest.is_empty() {
            next(&mut rest, family).ok_or(Fault::Prefix(family))?;
            count += 1;
        }
        Ok(Self { family, bytes, count })
    }

    /// Their family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The prefixes, without the bits that may follow them in their last octet.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> + use<'a> {
        let (family, mut rest) = (self.family, Reader::new(self.bytes));
        std::iter::from_fn(move || next(&mut rest, family))
    }
}

/// Most octets that a prefix of the family takes.
pub(crate) fn max_len(family: Family) -> usize {
    1 + usize::from(family.bits() / 8)
}

fn octets(bits: u8) -> usize {
    usize::from(bits.div_ceil(8))
}

fn next(rest: &mut Reader<'_>, family: Family) -> Option<IpNet> {
    let bits = rest.u8()?;
    let network = rest.bytes(octets(bits))?;
    let mut address = [0; 16];
    address.get_mut(..network.len())?.copy_from_slice(network);
    let prefix: IpNet = match (family, address) {
        (Family::Ipv4Unicast, [a, b, c, d, ..]) => Ipv4Net::new(Ipv4Addr::new(a, b, c, d), bits).ok()?.into(),
        (Family::Ipv6Unicast, address) => Ipv6Net::new(Ipv6Addr::from(address), bits).ok()?.into(),
    };
    Some(prefix.trunc())
}

/// Appends as many of the prefixes as fit before `out` has `end` octets; returns how many.
pub(crate) fn fill(out: &mut Vec<u8>, end: usize, prefixes: &[IpNet]) -> usize {
    let mut taken = 0;
    for prefix in prefixes {
        let length = octets(prefix.prefix_len());
        if out.len() + 1 + length > end {
            break;
        }
        out.push(prefix.prefix_len());
        match prefix.network() {
            std::net::IpAddr::V4(network) => out.extend(network.octets().into_iter().take(length)),
            std::net::IpAddr::V6(network) => out.extend(network.octets().into_iter().take(length)),
        }
        taken += 1;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn prefixes_both_ways() {
        let four = nets(&["0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/25", "198.51.100.7/32"]);
        let bytes = [0, 8, 10, 25, 192, 0, 2, 0, 32, 198, 51, 100, 7];
        let mut out = Vec::new();
        assert_eq!(fill(&mut out, 100, &four), 4);
        assert_eq!(out, bytes);
        let read = Prefixes::read(Family::Ipv4Unicast, &bytes).unwrap();
        assert_eq!((read.len(), read.iter().collect::<Vec<_>>()), (4, four));

        let six = nets(&["::/0", "2001:db8::/33", "2001:db8::1/128"]);
        let mut out = Vec::new();
        fill(&mut out, 100, &six);
        assert_eq!(out[..8], [0, 33, 0x20, 0x01, 0x0d, 0xb8, 0, 128]);
        assert_eq!(Prefixes::read(Family::Ipv6Unicast, &out).unwrap().iter().collect::<Vec<_>>(), six);
    }

    #[test]
    fn bits_behind_a_prefix_do_not_count() {
        // RFC 4271, section 4.3: the value of trailing bits is irrelevant.
        let read = Prefixes::read(Family::Ipv4Unicast, &[9, 10, 0xff]).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), nets(&["10.128.0.0/9"]));
    }

    #[test]
    fn prefixes_that_are_too_long_or_cut_are_refused() {
        for bytes in [&[33, 1, 2, 3, 4, 5][..], &[8], &[0, 24, 1, 2], &[255]] {
            let refused = Prefixes::read(Family::Ipv4Unicast, bytes);
            assert_eq!(refused, Err(Fault::Prefix(Family::Ipv4Unicast)), "{bytes:?}");
        }
        assert!(Prefixes::read(Family::Ipv6Unicast, &[129; 20]).is_err());
    }

    #[test]
    fn no_more_is_written_than_fits() {
        let four = nets(&["10.0.0.0/8", "192.0.2.1/32", "10.0.0.0/8"]);
        let mut out = vec![9; 3];
        assert_eq!(fill(&mut out, 9, &four), 1, "what does not fit ends the list");
        assert_eq!(fill(&mut out, 10, &four[1..]), 1);
        assert_eq!(out.len(), 10);
    }
}
