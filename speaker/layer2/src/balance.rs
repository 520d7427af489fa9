// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What has to move so that groups are where preferences and the load bound want them: pure.
//!
//! Owners keep what they have, so after a dark time, or after an edit of preferences, groups are not where new claims would
//! put them. This says which ones to move, and moves none that is well where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    load::cap,
    rule::{self, Rule},
};

/// A group that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<G, N> {
    /// Which.
    pub group: G,
    /// Who owns it.
    pub owner: N,
    /// Who could take it now, the owner included if it may stay, and how much each is preferred. Shared: thousands of groups
    /// have a few of them.
    pub able: Arc<BTreeMap<N, u32>>,
}

/// A group that should move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer<G, N> {
    /// Which.
    pub group: G,
    /// Who owns it.
    pub from: N,
    /// Who should.
    pub to: N,
    /// Why.
    pub why: Why,
}

/// Why a group should move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Another node is preferred.
    Preference,
    /// The owner holds more than its share, and a node that is preferred as much does not.
    Load,
}

/// What has to move, in an order in which it may. Once that is done, nothing more has to. Of `groups` there are so many,
/// those included that are not known to be owned by anybody: what is not known yet must not make a fair share look large.
pub fn transfers<G: Clone, N: Ord + Clone>(
    standings: &[Standing<G, N>],
    groups: usize,
) -> Vec<Transfer<G, N>> {
    let groups = groups.max(standings.len());
    let mut held: BTreeMap<N, usize> = BTreeMap::new();
    for standing in standings {
        *held.entry(standing.owner.clone()).or_default() += 1;
    }
    let mut owners: Vec<N> = standings.iter().map(|standing| standing.owner.clone()).collect();
    let mut transfers = Vec::new();
    for why in [Why::Preference, Why::Load] {
        for (standing, owner) in standings.iter().zip(&mut owners) {
            let Some(to) = better(standing, owner, why, groups, &held) else { continue };
            *held.entry(owner.clone()).or_default() -= 1;
            *held.entry(to.clone()).or_default() += 1;
            let from = std::mem::replace(owner, to.clone());
            transfers.push(Transfer { group: standing.group.clone(), from, to, why });
        }
    }
    transfers
}

/// Who should own the group instead of `owner`.
fn better<G, N: Ord + Clone>(
    standing: &Standing<G, N>,
    owner: &N,
    why: Why,
    groups: usize,
    held: &BTreeMap<N, usize>,
) -> Option<N> {
    let best = standing.able.values().max()?;
    let equals = || standing.able.iter().filter(|(_, preference)| *preference == best).map(|(node, _)| node);
    let holds = |node: &N| held.get(node).copied().unwrap_or_default();
    let least = equals().min_by_key(|node| holds(node))?;
    let is_well = standing.able.get(owner) == Some(best);
    let bound = cap(groups, equals().count());
    let bound = if rule::holds(Rule::Balance) { bound } else { holds(least).saturating_add(1) };
    let moves = match why {
        Why::Preference => !is_well,
        Why::Load => is_well && holds(owner) > bound && holds(least) < bound,
    };
    moves.then(|| least.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(group: usize, owner: u8, able: &[(u8, u32)]) -> Standing<usize, u8> {
        Standing { group, owner, able: Arc::new(able.iter().copied().collect()) }
    }

    fn after(mut standings: Vec<Standing<usize, u8>>) -> Vec<Standing<usize, u8>> {
        for transfer in transfers(&standings, 0) {
            let moved = standings.iter_mut().find(|standing| standing.group == transfer.group).unwrap();
            assert_eq!(moved.owner, transfer.from);
            moved.owner = transfer.to;
        }
        standings
    }

    fn loads(standings: &[Standing<usize, u8>]) -> Vec<usize> {
        let of = |node| standings.iter().filter(|standing| standing.owner == node).count();
        (1..=3).map(of).collect()
    }

    #[test]
    fn what_one_node_took_in_a_dark_time_is_shared_out_within_the_bound_and_no_further() {
        let all = [(1, 0), (2, 0), (3, 0)];
        let alone: Vec<_> = (0..12).map(|group| standing(group, 1, &all)).collect();
        let moved = transfers(&alone, 0);
        assert!(moved.iter().all(|transfer| transfer.why == Why::Load));
        assert_eq!(moved.len(), 7, "five may stay: a quarter more than the mean");
        let after = after(alone);
        assert_eq!(loads(&after), [5, 4, 3]);
        assert_eq!(transfers(&after, 0), [], "then all is well");
    }

    #[test]
    fn whoever_holds_its_share_keeps_it_while_the_owners_of_the_rest_are_not_known() {
        let mine: Vec<_> = (0..2).map(|group| standing(group, 1, &[(1, 0), (2, 0), (3, 0)])).collect();
        assert_eq!(transfers(&mine, 4), []);
        assert_eq!(transfers(&mine, 2).len(), 1);
    }

    #[test]
    fn a_preferred_node_gets_its_groups_and_the_load_counts_among_equals_only() {
        let two_preferred = [(1, 0), (2, 50), (3, 50)];
        let after = after((0..10).map(|group| standing(group, 1, &two_preferred)).collect());
        assert_eq!(loads(&after), [0, 5, 5]);
        let one_preferred = [(1, 0), (2, 80), (3, 50)];
        let all: Vec<_> = (0..10).map(|group| standing(group, 2, &one_preferred)).collect();
        assert_eq!(transfers(&all, 0), [], "whoever is preferred alone takes everything");
    }

    #[test]
    fn what_cannot_be_better_stays() {
        assert_eq!(transfers(&[standing(0, 1, &[(1, 0)]), standing(1, 1, &[])], 0), []);
        let uneven: Vec<_> =
            (0..5).map(|group| standing(group, 1 + u8::from(group > 2), &[(1, 0), (2, 0)])).collect();
        assert_eq!(transfers(&uneven, 0), [], "three and two are within the bound");
    }
}
