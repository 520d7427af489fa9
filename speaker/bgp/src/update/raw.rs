// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One path attribute of a list: flags, type, length, value.

use crate::{
    attributes::{AttributeKind, EXTENDED_LENGTH, OPTIONAL, TRANSITIVE},
    reader::Reader,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    flags: u8,
    pub(super) kind: AttributeKind,
    pub(super) value: &'a [u8],
    /// Header and value, for a NOTIFICATION.
    pub(super) whole: &'a [u8],
}

/// The list ends within an attribute: of this type, if it came that far.
pub(super) struct Cut(pub(super) Option<AttributeKind>);

impl<'a> Raw<'a> {
    pub(super) fn next(list: &mut Reader<'a>) -> Result<Self, Cut> {
        let before = *list;
        let flags = list.u8().ok_or(Cut(None))?;
        let kind = AttributeKind(list.u8().ok_or(Cut(None))?);
        let value = if flags & EXTENDED_LENGTH == 0 { list.counted8() } else { list.counted16() };
        let value = value.ok_or(Cut(Some(kind)))?;
        let length = before.rest().len() - list.rest().len();
        let whole = before.rest().get(..length).unwrap_or_default();
        Ok(Self { flags, kind, value, whole })
    }

    /// Whether somebody may not know it.
    pub(super) fn is_optional(&self) -> bool {
        self.flags & OPTIONAL != 0
    }

    /// The bits that a specification demands.
    pub(super) fn class(&self) -> u8 {
        self.flags & (OPTIONAL | TRANSITIVE)
    }
}
