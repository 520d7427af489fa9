// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a node owns, in 16 bytes: two nodes that hold the same list of claims hold the same digest, in whatever order.

use sha2::{Digest as _, Sha256};

use crate::hello::Claim;

/// Order-free digest of a set of claims: the XOR of a hash of each. The empty set's is [`Digest::EMPTY`].
///
/// It detects differences between honest nodes; the hello's HMAC keeps others from choosing its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// Nothing is owned.
    pub const EMPTY: Self = Self(0);

    /// Adds the claim, or takes it out again if it was in.
    pub fn toggle(&mut self, claim: Claim) {
        let mut input = [0; 16];
        let fields = claim.group.0.to_be_bytes().into_iter().chain(claim.term.0.to_be_bytes());
        input.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        self.0 ^= u128::from_be_bytes(leading(Sha256::digest(input).into()));
    }

    /// As it stands on the wire: 16 bytes, big-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The digest that stood on the wire.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl FromIterator<Claim> for Digest {
    fn from_iter<I: IntoIterator<Item = Claim>>(claims: I) -> Self {
        let mut digest = Self::EMPTY;
        claims.into_iter().for_each(|claim| digest.toggle(claim));
        digest
    }
}

/// The first `N` bytes of a SHA-256, `N` at most 32.
pub(crate) fn leading<const N: usize>(hash: [u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut out = [0; N];
    out.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{GroupId, Term};

    fn claim(group: u64, term: u64) -> Claim {
        Claim { group: GroupId(group), term: Term(term) }
    }

    #[test]
    fn the_order_of_claims_does_not_matter() {
        let forth: Digest = [claim(1, 1), claim(2, 1), claim(3, 7)].into_iter().collect();
        let back: Digest = [claim(3, 7), claim(2, 1), claim(1, 1)].into_iter().collect();
        assert_eq!(forth, back);
        assert_ne!(forth, Digest::EMPTY);
    }

    #[test]
    fn toggling_twice_restores_what_was_before() {
        let mut digest: Digest = [claim(1, 1)].into_iter().collect();
        let before = digest;
        digest.toggle(claim(2, 5));
        assert_ne!(digest, before);
        digest.toggle(claim(2, 5));
        assert_eq!(digest, before);
    }

    #[test]
    fn group_and_term_are_not_interchangeable() {
        let one: Digest = [claim(1, 2)].into_iter().collect();
        let other: Digest = [claim(2, 1)].into_iter().collect();
        assert_ne!(one, other);
    }
}
