// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whom a hello echoes. Few nodes echo each other in every hello. Among many that would be most of what a hello costs, and each
//! would be echoed far more often than it needs: so each echoes those that follow it in the ring of ids, and one more in turn.
//! Then each is echoed in each interval by as many as among four nodes, whose ids nobody chose.

#[cfg(test)]
mod tests;

use std::time::Instant;

use super::Membership;
use crate::{
    hello::{Echo, MAX_ECHOES, UpTo},
    identity::{Incarnation, NodeId},
    peer::Peer,
};

/// More peers than this are many.
const FEW: usize = 63;
/// So many that follow in the ring are echoed in each hello among many …
const SUCCESSORS: usize = 3;
/// … and so many of all others in turn.
const IN_TURN: usize = 1;

/// Echoes in a hello among many nodes.
pub const ECHOES_AMONG_MANY: usize = SUCCESSORS + IN_TURN;

/// A peer that can be echoed.
struct Entry<'a> {
    node: NodeId,
    echo: Echo,
    peer: &'a mut Peer,
}

impl Membership {
    /// Our echoes: some of the strangers, then whoever returns after an absence, then the others, of each those first that were
    /// not echoed for longest. A stranger, perhaps a recording, never keeps us from echoing the process that is believed.
    ///
    /// Where many start at once, each believes half of the others before it has echoed them, and they wait for that: among many,
    /// too, whoever was never echoed gets what room there is.
    pub(crate) fn echoes(&mut self, now: Instant) -> UpTo<MAX_ECHOES, Echo> {
        let (me, window) = (self.me, self.timing.dead);
        let most = usize::from(MAX_ECHOES);
        let echo = |(incarnation, seq, heard): (Incarnation, u64, Instant)| {
            let age = now.saturating_duration_since(heard);
            (age <= window).then_some(Echo { incarnation, seq, age })
        };
        let waiting = self.peers.iter_mut().filter_map(|(node, peer)| {
            let echo = peer.stranger_to_echo().and_then(echo)?;
            Some(Entry { node: *node, echo, peer })
        });
        let mut waiting: Vec<Entry<'_>> = waiting.collect();
        partition(&mut waiting, most / 2, |entry| (entry.peer.stranger_echoed(), distance(me, entry.node)));
        waiting.truncate(most / 2);
        let mut echoes = Vec::with_capacity(most);
        for entry in waiting {
            entry.peer.echo_stranger(now);
            echoes.push(entry.echo);
        }
        let believed = self.peers.iter_mut().filter_map(|(node, peer)| {
            let echo = peer.to_echo().and_then(echo)?;
            Some(Entry { node: *node, echo, peer })
        });
        let mut believed: Vec<Entry<'_>> = believed.collect();
        let room = most.saturating_sub(echoes.len());
        let (always, in_turn) = if believed.len() > FEW {
            let never = believed.iter().filter(|entry| entry.peer.echoed.is_none()).count();
            (SUCCESSORS, never.min(room.saturating_sub(SUCCESSORS)).max(IN_TURN))
        } else {
            (0, room)
        };
        // Who was absent is believed again once it hears its echo.
        let is_absent = |entry: &Entry<'_>| entry.peer.alive().is_none();
        let rest = partition(&mut believed, always, |entry| (is_absent(entry), distance(me, entry.node)));
        let turn = |entry: &Entry<'_>| (!is_absent(entry), entry.peer.echoed, distance(me, entry.node));
        partition(rest, in_turn, turn);
        believed.truncate(always.saturating_add(in_turn));
        for entry in believed {
            entry.peer.echoed = Some(now);
            echoes.push(entry.echo);
        }
        UpTo::first_of(echoes)
    }

    /// Puts the peer first in the next echoes.
    pub(crate) fn echo_next(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.echoed = None;
        }
    }
}

/// How far `node` is from `me` on the way up and around: all begin elsewhere, so that nobody is echoed by all at once.
fn distance(me: NodeId, node: NodeId) -> u128 {
    u128::from_be_bytes(node.0).wrapping_sub(u128::from_be_bytes(me.0))
}

/// Brings the `count` entries with the lowest keys to the front, in order, and gives back the others. Among a thousand, sorting
/// all to find a few would cost as much as hearing hundreds of hellos.
fn partition<'e, 'a, K: Ord>(
    entries: &'e mut [Entry<'a>],
    count: usize,
    key: impl Fn(&Entry<'a>) -> K,
) -> &'e mut [Entry<'a>] {
    let count = count.min(entries.len());
    if let Some(last) = count.checked_sub(1) {
        entries.select_nth_unstable_by_key(last, &key);
    }
    let (first, rest) = entries.split_at_mut(count);
    first.sort_unstable_by_key(key);
    rest
}
