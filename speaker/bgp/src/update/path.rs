// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! AS_PATH as it comes in (RFC 4271, section 4.3).

use crate::reader::Reader;

const AS_SEQUENCE: u8 = 2;

/// A path whose segments were all checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsPath<'a> {
    bytes: &'a [u8],
    width: Width,
}

/// Octets of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Two,
    Four,
}

impl<'a> AsPath<'a> {
    /// `None` if it is malformed (RFC 7606, section 7.2): a segment that is empty, cut or of an unknown type. Sets count as such (RFC
    /// 9774, section 3), and so do segments of confederations: this speaker is in none (RFC 5065, section 5).
    pub(super) fn read(bytes: &'a [u8], width: Width) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        while !rest.is_empty() {
            segment(&mut rest, width)?;
        }
        Some(Self { bytes, width })
    }

    /// The autonomous systems that it leads through, nearest first.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (width, mut rest) = (self.width, Reader::new(self.bytes));
        let segments = std::iter::from_fn(move || segment(&mut rest, width));
        segments.flat_map(move |mut segment| std::iter::from_fn(move || number(&mut segment, width)))
    }
}

/// The numbers of the next segment.
fn segment<'a>(rest: &mut Reader<'a>, width: Width) -> Option<Reader<'a>> {
    let (kind, count) = (rest.u8()?, usize::from(rest.u8()?));
    let octets = match width {
        Width::Two => 2,
        Width::Four => 4,
    };
    let numbers = rest.bytes(count * octets)?;
    (kind == AS_SEQUENCE && count > 0).then(|| Reader::new(numbers))
}

fn number(segment: &mut Reader<'_>, width: Width) -> Option<u32> {
    match width {
        Width::Two => segment.u16().map(u32::from),
        Width::Four => segment.u32(),
    }
}
