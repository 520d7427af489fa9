// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which groups there are: the complete list, or part by part what differs from it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{Election, Situation};
use crate::{
    group::Group,
    identity::GroupId,
    input::GroupIntent,
    output::Cause,
    rule::{self, Rule},
};

/// For so long it is remembered that the cluster held a group that left the list: who loses all endpoints for a moment does not
/// wait for a search.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Election {
    /// What was last told of a group.
    pub(crate) fn intent(&self, group: GroupId) -> Option<&GroupIntent> {
        self.groups.get(&group).map(|group| &group.intent)
    }

    /// The groups from `first` on.
    pub(crate) fn groups_from(&self, first: GroupId) -> impl Iterator<Item = GroupId> {
        self.groups.range(first..).map(|(id, _)| *id)
    }

    /// Takes the list of groups for the complete one.
    pub(crate) fn set_groups(&mut self, intents: Vec<GroupIntent>, s: Situation<'_>) {
        let wanted: BTreeSet<GroupId> = intents.iter().map(|intent| intent.id).collect();
        let gone = self.groups.keys().filter(|id| !wanted.contains(*id)).copied().collect();
        self.change_groups(intents, gone, s);
        self.forget_unlisted(s.now);
    }

    /// The list is complete: what was heard of other groups is forgotten, in a while if they were in the list. Not sooner:
    /// as long as parts are missing, the next may name what peers claimed meanwhile.
    pub(crate) fn forget_unlisted(&mut self, now: Instant) {
        let (groups, left) = (&self.groups, &mut self.left);
        left.retain(|id, at| !groups.contains_key(id) && now.saturating_duration_since(*at) < REMEMBERED);
        self.claims.keep_terms_of(|id| groups.contains_key(&id) || left.contains_key(&id));
    }

    /// Takes a part of what differs from the list of groups.
    pub(crate) fn change_groups(&mut self, set: Vec<GroupIntent>, gone: Vec<GroupId>, s: Situation<'_>) {
        let addresses = set.iter().flat_map(|intent| &intent.addresses).copied();
        let carried: BTreeSet<IpAddr> =
            addresses.filter(|address| self.by_address.contains_key(address)).collect();
        for id in gone {
            self.yield_group(id, None, Cause::NotEligible, true, s.now);
            self.stand_by(id);
            if let Some(group) = self.groups.remove(&id) {
                self.unlist(&group.intent);
            }
            self.left.insert(id, s.now);
            self.schedule(id);
        }
        for intent in set {
            let id = intent.id;
            if let Some(group) = self.groups.get_mut(&id) {
                let before = std::mem::replace(&mut group.intent, intent);
                if group.intent.addresses != before.addresses && group.tenure().is_none() {
                    // What is searched for is something else now.
                    self.stand_by(id);
                }
                self.unlist(&before);
                self.list(id);
                self.readdress(id, &before.addresses, &carried, s);
                self.recheck_eligibility(id);
            } else {
                self.groups.insert(id, Group::new(intent, s.now));
                self.list(id);
                self.doubt_claims(id, s);
            }
            self.evaluate(id, Cause::FirstUse, s);
        }
        if !rule::holds(Rule::Memory) {
            self.forget_unlisted(s.now);
        }
    }

    fn list(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get(&id) {
            self.by_address.extend(group.intent.addresses.iter().map(|address| (*address, id)));
        }
    }

    /// An address may have gone to another group meanwhile.
    fn unlist(&mut self, before: &GroupIntent) {
        for address in &before.addresses {
            if self.by_address.get(address) == Some(&before.id) {
                self.by_address.remove(address);
            }
        }
    }
}
