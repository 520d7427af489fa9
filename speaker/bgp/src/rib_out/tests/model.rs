// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A peer that reads what it is sent and does what it says, as a router does.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::{
    Attributes, Community, ExtendedCommunity, Family, Framer, LargeCommunity, Message, Negotiated, NextHop,
    Origin, RibOut, RouteRefresh, Update,
};

/// The routes of a router, and a log of what it was told.
pub(super) struct Peer {
    session: Negotiated,
    held: BTreeMap<IpNet, Held>,
    /// What has not come again since the repetition of its family began (RFC 7313, section 4).
    stale: BTreeSet<IpNet>,
    log: Vec<String>,
    pub(super) messages: usize,
}

/// A route, as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    next_hop: NextHop,
    origin: Origin,
    med: Option<u32>,
    communities: BTreeSet<Community>,
    extended_communities: BTreeSet<ExtendedCommunity>,
    large_communities: BTreeSet<LargeCommunity>,
}

impl From<&Attributes> for Held {
    fn from(sent: &Attributes) -> Self {
        Self {
            next_hop: sent.next_hop,
            origin: sent.origin,
            med: sent.med,
            communities: sent.communities.clone(),
            extended_communities: sent.extended_communities.clone(),
            large_communities: sent.large_communities.clone(),
        }
    }
}

impl Peer {
    pub(super) fn new(session: Negotiated) -> Self {
        Self { session, held: BTreeMap::new(), stale: BTreeSet::new(), log: Vec::new(), messages: 0 }
    }

    pub(super) fn held(&self) -> &BTreeMap<IpNet, Held> {
        &self.held
    }

    /// What it was told since the last call.
    pub(super) fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn read_all(&mut self, rib: &mut RibOut) {
        while self.read_one(rib) {}
        assert_eq!(rib.waiting(), 0);
    }

    pub(super) fn read_one(&mut self, rib: &mut RibOut) -> bool {
        let mut bytes = b"before".to_vec();
        if !rib.next_message(&mut bytes) {
            assert_eq!(bytes, b"before");
            return false;
        }
        let message = &bytes[b"before".len()..];
        assert!(message.len() <= self.session.max_len(), "{} octets", message.len());
        self.messages += 1;
        self.read(message);
        true
    }

    fn read(&mut self, message: &[u8]) {
        let mut framer = Framer::new();
        if self.session.extended_message {
            framer.allow_extended();
        }
        framer.room()[..message.len()].copy_from_slice(message);
        framer.filled(message.len());
        let frame = framer.next_frame().unwrap().expect("it is complete");
        assert_eq!(frame.message(), message, "one message at a time");
        match Message::decode(frame).unwrap() {
            Message::Update(update) => self.update(&update.read(&self.session).unwrap()),
            Message::RouteRefresh(RouteRefresh::Begin(family)) => {
                self.stale.extend(self.held.keys().filter(|prefix| Family::of(prefix) == family));
                self.log.push(format!("begin {}", digit(family)));
            }
            Message::RouteRefresh(RouteRefresh::End(family)) => {
                for prefix in self.stale.extract_if(.., |prefix| Family::of(prefix) == family) {
                    self.held.remove(&prefix);
                }
                self.log.push(format!("done {}", digit(family)));
            }
            other => panic!("told {other:?}"),
        }
    }

    fn update(&mut self, update: &Update<'_>) {
        assert_eq!((update.fault(), update.discarded()), (None, [].as_slice()));
        if let Some(family) = update.end_of_rib() {
            self.log.push(format!("end {}", digit(family)));
        }
        for prefix in update.withdrawn() {
            self.stale.remove(&prefix);
            assert!(self.held.remove(&prefix).is_some(), "{prefix} was not there");
            self.log.push(format!("-{prefix}"));
        }
        let attributes = update.attributes();
        for prefix in update.announced() {
            let reachable =
                update.reachable().filter(|reachable| reachable.prefixes.family() == Family::of(&prefix));
            let next_hop = match reachable {
                Some(reachable) => reachable.next_hop,
                None => NextHop::V4(attributes.next_hop.unwrap()),
            };
            let route = Held {
                next_hop,
                origin: attributes.origin.unwrap(),
                med: attributes.med,
                communities: attributes.communities().collect(),
                extended_communities: attributes.extended_communities().collect(),
                large_communities: attributes.large_communities().collect(),
            };
            let repeated = self.stale.remove(&prefix) || !self.session.enhanced_route_refresh;
            let before = self.held.insert(prefix, route.clone());
            assert!(repeated || before != Some(route), "{prefix} was told already");
            self.log.push(format!("+{prefix}"));
        }
    }
}

fn digit(family: Family) -> u8 {
    match family {
        Family::Ipv4Unicast => 4,
        Family::Ipv6Unicast => 6,
    }
}
