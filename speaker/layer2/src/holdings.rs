// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node owns, in the form in which hellos tell it.

use std::collections::BTreeMap;

use crate::{
    digest::Digest,
    hello::{Claim, MAX_CLAIMS, Slice, UpTo},
    identity::{GroupId, Term},
};

/// Our claims and their digest.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    terms: BTreeMap<GroupId, Term>,
    digest: Digest,
    /// Which slice the next hello lists.
    slice: u16,
}

impl Holdings {
    pub(crate) fn insert(&mut self, claim: Claim) {
        self.remove(claim.group);
        self.terms.insert(claim.group, claim.term);
        self.digest.toggle(claim);
    }

    pub(crate) fn remove(&mut self, group: GroupId) {
        if let Some(term) = self.terms.remove(&group) {
            self.digest.toggle(Claim { group, term });
        }
    }

    /// Whether exactly this claim is ours.
    pub(crate) fn has(&self, claim: Claim) -> bool {
        self.terms.get(&claim.group) == Some(&claim.term)
    }

    /// Whether the group is ours, under whatever term.
    pub(crate) fn contains(&self, group: GroupId) -> bool {
        self.terms.contains_key(&group)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.terms.keys().copied()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.terms.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The next part of the list goes to all; the one after it is next.
    pub(crate) fn next_slice(&mut self) -> (Slice, UpTo<MAX_CLAIMS, Claim>) {
        let next = self.slice();
        self.slice = next.0.index().saturating_add(1);
        next
    }

    /// The next part of the list; all parts come in turn.
    pub(crate) fn slice(&self) -> (Slice, UpTo<MAX_CLAIMS, Claim>) {
        let parts = self.terms.len().div_ceil(usize::from(MAX_CLAIMS));
        let of = u16::try_from(parts).unwrap_or(u16::MAX).max(1);
        let index = if self.slice < of { self.slice } else { 0 };
        let from = usize::from(index) * usize::from(MAX_CLAIMS);
        let claims = self.terms.iter().skip(from).map(|(group, term)| Claim { group: *group, term: *term });
        (Slice::new(index, of).unwrap_or(Slice::WHOLE), UpTo::first_of(claims))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_slices_in_turn_list_everything_exactly_once() {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.next_slice(), (Slice::WHOLE, UpTo::new()));
        (0..100).for_each(|g| holdings.insert(Claim { group: GroupId(g), term: Term(1) }));
        let parts: Vec<_> = (0..3).map(|_| holdings.next_slice()).collect();
        assert!(parts.iter().all(|(slice, _)| slice.of() == 3));
        let listed: Vec<u64> =
            parts.iter().flat_map(|(_, claims)| claims.iter().map(|c| c.group.0)).collect();
        assert_eq!(listed.len(), 100);
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), (0..100).collect());
        assert_eq!(holdings.next_slice().0, parts[0].0, "and begin again");
    }

    #[test]
    fn the_digest_follows_claims_and_terms() {
        let claim = |term| Claim { group: GroupId(1), term: Term(term) };
        let mut holdings = Holdings::default();
        holdings.insert(claim(1));
        holdings.insert(claim(2));
        assert_eq!(holdings.digest(), [claim(2)].into_iter().collect());
        assert!(holdings.has(claim(2)) && !holdings.has(claim(1)));
        holdings.remove(GroupId(1));
        assert_eq!(holdings.digest(), Digest::EMPTY);
        assert_eq!(holdings.len(), 0);
    }
}
