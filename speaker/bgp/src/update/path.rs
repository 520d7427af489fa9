// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! AS_PATH as it comes in (RFC 4271, section 4.3).

use crate::reader::Reader;

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

/// A part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Whether its order counts.
    pub kind: SegmentKind,
    numbers: &'a [u8],
    width: Width,
}

/// Whether the order of a segment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// It does not.
    Set,
    /// It does: nearest first.
    Sequence,
}

impl<'a> AsPath<'a> {
    /// `None` if it is malformed (RFC 7606, section 7.2): a segment of unknown type, empty, or cut. Segments of confederations are
    /// unknown types here: this speaker is in none (RFC 5065, section 5).
    pub(super) fn read(bytes: &'a [u8], width: Width) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        while !rest.is_empty() {
            next(&mut rest, width)?;
        }
        Some(Self { bytes, width })
    }

    /// Its segments, nearest first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let (width, mut rest) = (self.width, Reader::new(self.bytes));
        std::iter::from_fn(move || next(&mut rest, width))
    }
}

impl<'a> Segment<'a> {
    /// Numbers of autonomous systems.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (width, mut rest) = (self.width, Reader::new(self.numbers));
        std::iter::from_fn(move || match width {
            Width::Two => rest.u16().map(u32::from),
            Width::Four => rest.u32(),
        })
    }
}

fn next<'a>(rest: &mut Reader<'a>, width: Width) -> Option<Segment<'a>> {
    let kind = match rest.u8()? {
        1 => SegmentKind::Set,
        2 => SegmentKind::Sequence,
        _ => return None,
    };
    let count = usize::from(rest.u8()?);
    let octets = match width {
        Width::Two => 2,
        Width::Four => 4,
    };
    let numbers = rest.bytes(count * octets)?;
    (count > 0).then_some(Segment { kind, numbers, width })
}
