// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which codes occurred, whatever a peer sends, in fixed room.

/// A set of octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeSet([u128; 2]);

impl CodeSet {
    /// Adds a code; `false` if it was in the set already.
    pub(crate) fn insert(&mut self, code: u8) -> bool {
        let new = !self.contains(code);
        let [low, high] = &mut self.0;
        let half = if code < 128 { low } else { high };
        *half |= 1 << (code % 128);
        new
    }

    /// Whether the code is in the set.
    pub fn contains(&self, code: u8) -> bool {
        let [low, high] = self.0;
        let half = if code < 128 { low } else { high };
        half & 1 << (code % 128) != 0
    }

    /// The codes, rising.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|code| self.contains(*code))
    }
}
