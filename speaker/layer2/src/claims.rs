// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What every peer says it owns, kept in step with its digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    by_id::ByNode,
    digest::Digest,
    hello::{Claim, Delta, Hello, Outline, Quiet},
    identity::{GroupId, NodeId, Term},
    rank::Key,
};

/// The claims of all peers, also of those that are silent for now.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    peers: ByNode<Told>,
    claimants: BTreeMap<GroupId, BTreeSet<NodeId>>,
    /// The highest term seen per group, whoever claimed it and whether or not the claim still stands.
    terms: BTreeMap<GroupId, Term>,
}

/// What one peer told.
#[derive(Debug)]
struct Told {
    held: BTreeMap<GroupId, Held>,
    /// Of `held`.
    digest: Digest,
    /// The peer's own digest, as of its newest hello.
    announced: Digest,
    /// When both digests were last equal: that confirms every claim.
    equal_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    term: Term,
    /// When it was last listed.
    listed: Instant,
}

/// A change in what a peer owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) group: GroupId,
    pub(crate) kind: ChangeKind,
}

/// How it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// It says it owns the group, under this term for the first time.
    Claimed,
    /// It gave the group up.
    Resigned,
    /// It stopped listing the group.
    Lapsed,
}

impl Claims {
    /// Takes in a believed hello of a peer. A claim that a peer does not confirm for `patience` times the number of slices,
    /// though its digest says that something differs, lapses.
    pub(crate) fn hear(&mut self, hello: &Hello, received: Instant, patience: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for delta in &hello.deltas {
            match *delta {
                Delta::Claim(claim) | Delta::HandOver { claim, .. } => {
                    self.hold(hello.node, claim, received, &mut changes);
                }
                Delta::Resign(claim) => self.resign(hello.node, claim, &mut changes),
                // No claim of its own.
                Delta::Relayed { .. } => {}
            }
        }
        for claim in &hello.claims {
            self.hold(hello.node, *claim, received, &mut changes);
        }
        self.compare(hello, received, patience, &mut changes);
        changes
    }

    /// Whether a hello without deltas says nothing new, as nearly all do; then it confirms everything.
    pub(crate) fn confirm(&mut self, outline: &Outline<'_>, quiet: Quiet<'_>, received: Instant) -> bool {
        let Some(told) = self.peers.get_mut(&outline.node) else { return false };
        let holds = |claim: Claim| told.held.get(&claim.group).is_some_and(|held| held.term == claim.term);
        let known =
            told.digest == outline.digest && told.announced == outline.digest && quiet.claims().all(holds);
        if known {
            told.equal_at = Some(received);
        }
        known
    }

    fn hold(&mut self, node: NodeId, claim: Claim, listed: Instant, changes: &mut Vec<Change>) {
        self.see_term(claim);
        let told = self.peers.entry(node).or_insert_with(Told::nothing);
        match told.held.insert(claim.group, Held { term: claim.term, listed }) {
            Some(before) if before.term == claim.term => return,
            Some(before) => told.digest.toggle(Claim { group: claim.group, term: before.term }),
            None => {
                self.claimants.entry(claim.group).or_default().insert(node);
            }
        }
        told.digest.toggle(claim);
        changes.push(Change { group: claim.group, kind: ChangeKind::Claimed });
    }

    fn resign(&mut self, node: NodeId, claim: Claim, changes: &mut Vec<Change>) {
        self.see_term(claim);
        let held = self.peers.get(&node).and_then(|told| told.held.get(&claim.group));
        if held.is_some_and(|held| held.term <= claim.term) {
            self.remove(node, claim.group);
            changes.push(Change { group: claim.group, kind: ChangeKind::Resigned });
        }
    }

    fn compare(&mut self, hello: &Hello, received: Instant, patience: Duration, changes: &mut Vec<Change>) {
        let told = self.peers.entry(hello.node).or_insert_with(Told::nothing);
        told.announced = hello.digest;
        if told.digest == told.announced {
            told.equal_at = Some(received);
            return;
        }
        let patience = patience * u32::from(hello.slice.of());
        let equal_at = told.equal_at;
        // All were confirmed then. Thousands that move cost hundreds of hellos with another digest, and are not all looked at
        // for each of them.
        if equal_at.is_some_and(|at| received.saturating_duration_since(at) < patience) {
            return;
        }
        let lapsed: Vec<GroupId> = told
            .held
            .iter()
            .filter(|(_, held)| {
                let confirmed = equal_at.map_or(held.listed, |at| at.max(held.listed));
                received.saturating_duration_since(confirmed) >= patience
            })
            .map(|(group, _)| *group)
            .collect();
        for group in lapsed {
            self.remove(hello.node, group);
            changes.push(Change { group, kind: ChangeKind::Lapsed });
        }
    }

    /// A third party says that the peer holds this, or does so no more. Whether that is news.
    pub(crate) fn hear_relayed(
        &mut self,
        node: NodeId,
        claim: Claim,
        stands: bool,
        received: Instant,
    ) -> bool {
        let mut changes = Vec::new();
        let held = self.peers.get(&node).and_then(|told| told.held.get(&claim.group));
        match (stands, held) {
            (true, Some(held)) if held.term >= claim.term => {}
            (true, _) => self.hold(node, claim, received, &mut changes),
            (false, _) => self.resign(node, claim, &mut changes),
        }
        !changes.is_empty()
    }

    /// Whether several of the peers that `counts` accepts hold the group.
    pub(crate) fn is_disputed(&self, group: GroupId, counts: impl Fn(NodeId) -> bool) -> bool {
        let nodes = self.claimants.get(&group);
        nodes.is_some_and(|nodes| nodes.iter().filter(|node| counts(**node)).nth(1).is_some())
    }

    /// Whether a peer that `counts` accepts, other than `best`, has confirmed since then that it holds the group.
    pub(crate) fn is_defied(
        &self,
        group: GroupId,
        best: NodeId,
        since: Instant,
        counts: impl Fn(NodeId) -> bool,
    ) -> bool {
        let confirms = |node: &NodeId| {
            let told = self.peers.get(node)?;
            let listed = told.held.get(&group)?.listed;
            let equal = told.equal_at.filter(|_| told.digest == told.announced);
            Some(listed.max(equal.unwrap_or(listed)) >= since)
        };
        let mut nodes = self.claimants.get(&group).into_iter().flatten();
        nodes.any(|node| *node != best && counts(*node) && confirms(node).unwrap_or(false))
    }

    /// Everything that the peer held is void. Names the groups concerned.
    pub(crate) fn forget(&mut self, node: NodeId) -> Vec<GroupId> {
        let groups = self.held_by(node);
        for group in &groups {
            self.remove(node, *group);
        }
        self.peers.remove(&node);
        groups
    }

    fn remove(&mut self, node: NodeId, group: GroupId) {
        if let Some(told) = self.peers.get_mut(&node)
            && let Some(held) = told.held.remove(&group)
        {
            told.digest.toggle(Claim { group, term: held.term });
        }
        if let Some(nodes) = self.claimants.get_mut(&group) {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.claimants.remove(&group);
            }
        }
    }

    /// The groups that the peer says it owns.
    pub(crate) fn held_by(&self, node: NodeId) -> Vec<GroupId> {
        self.peers.get(&node).map(|told| told.held.keys().copied().collect()).unwrap_or_default()
    }

    /// Whether everything that the peer owns was learned.
    pub(crate) fn complete(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|told| told.digest == told.announced)
    }

    /// The highest claim among the peers that `counts` accepts.
    pub(crate) fn best(&self, group: GroupId, counts: impl Fn(NodeId) -> bool) -> Option<Key> {
        let nodes = self.claimants.get(&group)?;
        let term_of = |node: &NodeId| Some(self.peers.get(node)?.held.get(&group)?.term);
        nodes
            .iter()
            .filter(|node| counts(**node))
            .filter_map(|node| Some(Key::of(group, *node, term_of(node)?)))
            .max()
    }

    /// The highest term seen for the group; 0 if none was.
    pub(crate) fn term(&self, group: GroupId) -> Term {
        self.terms.get(&group).copied().unwrap_or_default()
    }

    /// Remembers the term of a claim, ours included.
    pub(crate) fn see_term(&mut self, claim: Claim) {
        let term = self.terms.entry(claim.group).or_default();
        *term = (*term).max(claim.term);
    }

    /// Forgets the terms of groups that are neither wanted nor claimed by anybody.
    pub(crate) fn keep_terms_of(&mut self, wanted: impl Fn(GroupId) -> bool) {
        let claimants = &self.claimants;
        self.terms.retain(|group, _| wanted(*group) || claimants.contains_key(group));
    }
}

impl Told {
    fn nothing() -> Self {
        Self { held: BTreeMap::new(), digest: Digest::EMPTY, announced: Digest::EMPTY, equal_at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hello::{Flags, Slice, UpTo},
        identity::{ClusterId, Incarnation},
    };

    const PATIENCE: Duration = Duration::from_millis(275);

    fn claim(group: u64, term: u64) -> Claim {
        Claim { group: GroupId(group), term: Term(term) }
    }

    fn hello(owned: &[Claim], listed: &[Claim], deltas: &[Delta], slices: u16) -> Hello {
        Hello {
            cluster: ClusterId(1),
            node: peer(),
            incarnation: Incarnation::from_random(5),
            seq: 1,
            interval: Duration::from_millis(75),
            dead: PATIENCE,
            flags: Flags::default(),
            owned: u32::try_from(owned.len()).unwrap(),
            digest: owned.iter().copied().collect(),
            slice: Slice::new(0, slices).unwrap(),
            claims: UpTo::first_of(listed.iter().copied()),
            deltas: UpTo::first_of(deltas.iter().copied()),
            echoes: UpTo::new(),
        }
    }

    fn peer() -> NodeId {
        NodeId::of("test", "peer")
    }

    fn owner(claims: &Claims, group: u64) -> Option<Term> {
        claims.best(GroupId(group), |_| true).map(|key| key.term)
    }

    #[test]
    fn claims_listed_or_told_as_news_are_held_and_complete_when_the_digest_agrees() {
        let (now, mut claims) = (Instant::now(), Claims::default());
        let both = [claim(1, 3), claim(2, 1)];
        let changes = claims.hear(&hello(&both, &both[..1], &[], 1), now, PATIENCE);
        assert_eq!(changes, [Change { group: GroupId(1), kind: ChangeKind::Claimed }]);
        assert!(!claims.complete(peer()));
        claims.hear(&hello(&both, &[], &[Delta::Claim(both[1])], 1), now, PATIENCE);
        assert!(claims.complete(peer()));
        assert_eq!(
            (owner(&claims, 1), owner(&claims, 2), owner(&claims, 3)),
            (Some(Term(3)), Some(Term(1)), None)
        );
    }

    #[test]
    fn an_equal_digest_confirms_claims_that_are_not_listed() {
        let (start, mut claims) = (Instant::now(), Claims::default());
        let one = [claim(1, 3)];
        claims.hear(&hello(&one, &one, &[], 1), start, PATIENCE);
        for step in 1..100 {
            claims.hear(&hello(&one, &[], &[], 1), start + PATIENCE * step, PATIENCE);
        }
        assert_eq!(owner(&claims, 1), Some(Term(3)));
    }

    #[test]
    fn a_claim_that_is_no_longer_confirmed_lapses_after_the_patience_for_all_slices() {
        let (start, mut claims) = (Instant::now(), Claims::default());
        claims.hear(&hello(&[claim(1, 3)], &[claim(1, 3)], &[], 1), start, PATIENCE);
        let other = hello(&[claim(2, 1)], &[claim(2, 1)], &[], 2);
        claims.hear(&other, start + PATIENCE, PATIENCE);
        assert_eq!(owner(&claims, 1), Some(Term(3)), "two slices: twice the patience");
        let changes = claims.hear(&other, start + PATIENCE * 2, PATIENCE);
        assert_eq!(changes, [Change { group: GroupId(1), kind: ChangeKind::Lapsed }]);
        assert_eq!((owner(&claims, 1), claims.term(GroupId(1))), (None, Term(3)));
    }

    #[test]
    fn a_resignation_ends_the_claim_but_not_the_memory_of_its_term() {
        let (now, mut claims) = (Instant::now(), Claims::default());
        claims.hear(&hello(&[claim(1, 3)], &[claim(1, 3)], &[], 1), now, PATIENCE);
        let late = hello(&[claim(1, 3)], &[], &[Delta::Resign(claim(1, 2))], 1);
        assert_eq!(claims.hear(&late, now, PATIENCE), [], "of an older claim of the same peer");
        let changes = claims.hear(&hello(&[], &[], &[Delta::Resign(claim(1, 3))], 1), now, PATIENCE);
        assert_eq!(changes, [Change { group: GroupId(1), kind: ChangeKind::Resigned }]);
        assert!(claims.complete(peer()));
        assert_eq!((owner(&claims, 1), claims.term(GroupId(1))), (None, Term(3)));
    }

    #[test]
    fn a_forgotten_peer_leaves_nothing_but_terms_of_wanted_groups() {
        let (now, mut claims) = (Instant::now(), Claims::default());
        let both = [claim(1, 3), claim(2, 7)];
        claims.hear(&hello(&both, &both, &[], 1), now, PATIENCE);
        assert_eq!(claims.forget(peer()), [GroupId(1), GroupId(2)]);
        claims.keep_terms_of(|group| group == GroupId(1));
        assert_eq!((claims.term(GroupId(1)), claims.term(GroupId(2))), (Term(3), Term(0)));
        assert!(claims.claimants.is_empty());
        assert!(claims.peers.is_empty());
    }

    #[test]
    fn claims_of_peers_that_do_not_count_are_remembered_but_decide_nothing() {
        let (now, mut claims) = (Instant::now(), Claims::default());
        claims.hear(&hello(&[claim(1, 3)], &[claim(1, 3)], &[], 1), now, PATIENCE);
        assert_eq!(claims.best(GroupId(1), |_| false), None);
        assert_eq!(owner(&claims, 1), Some(Term(3)));
    }
}
