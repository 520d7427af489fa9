// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Adj-RIB-Out: what a peer shall know, what it was sent, and the messages between the two (RFC 4271, sections 3.2 and 9.2).

mod outbox;
mod plan;
mod unsendable;

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;

pub use unsendable::Unsendable;

use self::outbox::{Outboxes, Round};
use crate::{
    attributes::Attributes, family::Family, message::Message, negotiated::Negotiated, refresh::RouteRefresh,
    update::encode,
};

/// What a peer shall know. Routes that share an [`Arc`] are grouped without comparing their attributes.
pub type Routes = BTreeMap<IpNet, Arc<Attributes>>;

/// The routes of one session, from its beginning to its end.
///
/// Messages are taken one by one, whenever there is room for one. In between, what is desired may change any number of times: only
/// the last counts, so a peer that reads slowly is sent fewer changes and never a backlog. A route that goes before it was sent is
/// not sent at all.
///
/// The order: what is withdrawn first, then IPv4 routes, then IPv6 routes, each family closed by End-of-RIB the first time (RFC
/// 4724) and marked at both ends when it is repeated at the peer's request (RFC 7313).
#[derive(Clone, Debug)]
pub struct RibOut {
    session: Negotiated,
    /// `None` until it was said for the first time: nothing is sent before, no End-of-RIB either.
    desired: Option<Arc<Routes>>,
    sent: BTreeMap<IpNet, Sent>,
    outboxes: Outboxes,
    unsendable: BTreeMap<IpNet, Unsendable>,
}

/// What a message told the peer.
#[derive(Clone, Debug)]
struct Sent {
    attributes: Arc<Attributes>,
    /// It was sent since the peer last asked for everything.
    fresh: bool,
}

impl RibOut {
    /// A peer that was told nothing yet.
    pub fn new(session: Negotiated) -> Self {
        Self {
            session,
            desired: None,
            sent: BTreeMap::new(),
            outboxes: Outboxes::default(),
            unsendable: BTreeMap::new(),
        }
    }

    /// From now on the peer shall know exactly this; the order of n log n of its routes and those sent.
    pub fn set_desired(&mut self, desired: Arc<Routes>) {
        self.desired = Some(desired);
        self.plan();
    }

    /// The peer asks for all routes of a family (RFC 2918). Those of a repetition that is under way are sent to their end first, so
    /// that a peer which asks all the time gets one table after the other and no more.
    pub fn refresh(&mut self, family: Family) {
        if !self.session.families.contains(family) {
            return;
        }
        let outbox = self.outboxes.get_mut(family);
        match outbox.round {
            Round::Idle => self.begin_refresh(family),
            // RFC 7313, section 4: no mark before the End-of-RIB.
            Round::Initial | Round::Marked | Round::Repeating => outbox.again = true,
        }
    }

    /// Appends the next message; `false` if the peer knows all that it shall know. What the message says counts as sent.
    pub fn next_message(&mut self, out: &mut Vec<u8>) -> bool {
        if self.desired.is_none() {
            return false;
        }
        let families = self.session.families;
        families.iter().any(|family| self.mark_begin(family, out))
            || families.iter().any(|family| self.withdraw(family, out))
            || families.iter().any(|family| self.announce(family, out) || self.mark_end(family, out))
    }

    /// How many routes wait to be sent or withdrawn.
    pub fn waiting(&self) -> usize {
        self.session.families.iter().map(|family| self.outboxes.get(family).waiting()).sum()
    }

    /// What the peer knows once it has read all messages so far.
    pub fn sent(&self) -> impl Iterator<Item = (&IpNet, &Arc<Attributes>)> {
        self.sent.iter().map(|(prefix, sent)| (prefix, &sent.attributes))
    }

    /// How many routes the peer knows then.
    pub fn sent_count(&self) -> usize {
        self.sent.len()
    }

    /// Desired routes that this session cannot carry, and why.
    pub fn unsendable(&self) -> &BTreeMap<IpNet, Unsendable> {
        &self.unsendable
    }

    fn begin_refresh(&mut self, family: Family) {
        let outbox = self.outboxes.get_mut(family);
        outbox.again = false;
        outbox.round = if self.session.enhanced_route_refresh { Round::Marked } else { Round::Repeating };
        for (prefix, sent) in &mut self.sent {
            sent.fresh &= Family::of(prefix) != family;
        }
        self.plan();
    }

    fn mark_begin(&mut self, family: Family, out: &mut Vec<u8>) -> bool {
        let outbox = self.outboxes.get_mut(family);
        if outbox.round != Round::Marked {
            return false;
        }
        outbox.round = Round::Repeating;
        Message::RouteRefresh(RouteRefresh::Begin(family)).encode(out);
        true
    }

    fn withdraw(&mut self, family: Family, out: &mut Vec<u8>) -> bool {
        let withdrawals = &mut self.outboxes.get_mut(family).withdrawals;
        if withdrawals.is_empty() {
            return false;
        }
        let taken = encode::withdraw(out, &self.session, family, withdrawals.rest());
        for prefix in withdrawals.take(taken) {
            self.sent.remove(prefix);
        }
        true
    }

    fn announce(&mut self, family: Family, out: &mut Vec<u8>) -> bool {
        let Some(group) = self.outboxes.get_mut(family).next_group() else { return false };
        let taken = encode::announce(out, &self.session, family, &group.attributes, group.prefixes.rest());
        for prefix in group.prefixes.take(taken) {
            let sent = Sent { attributes: Arc::clone(&group.attributes), fresh: true };
            self.sent.insert(*prefix, sent);
        }
        true
    }

    /// All of the family is sent: says so, where that is said.
    fn mark_end(&mut self, family: Family, out: &mut Vec<u8>) -> bool {
        let outbox = self.outboxes.get_mut(family);
        let marked = match outbox.round {
            Round::Idle | Round::Marked => return false,
            Round::Initial => {
                encode::end_of_rib(out, family);
                true
            }
            Round::Repeating if self.session.enhanced_route_refresh => {
                Message::RouteRefresh(RouteRefresh::End(family)).encode(out);
                true
            }
            Round::Repeating => false,
        };
        outbox.round = Round::Idle;
        if outbox.again {
            self.begin_refresh(family);
            return marked || self.next_message(out);
        }
        marked
    }
}

#[cfg(test)]
mod tests;
