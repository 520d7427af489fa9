// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that come to a group while this node owns it: each is searched for like one that is used for the first time, and
//! not answered for before. The others of the group are served meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Effect, Election, Situation,
    search::{self, Progress},
};
use crate::{
    group::{Joining, Search, Voice},
    hello::Claim,
    identity::GroupId,
    rule::{self, Rule},
};

impl Election {
    /// After a change of a group that we own: what left is silenced; what came is announced at once if this node carried it
    /// before, in another group, and else searched for. Of a bound group everything is announced: its addresses are on the
    /// interface already.
    pub(super) fn readdress(
        &mut self,
        id: GroupId,
        before: &[IpAddr],
        carried: &BTreeSet<IpAddr>,
        s: Situation<'_>,
    ) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let now: BTreeSet<IpAddr> = group.intent.addresses.iter().copied().collect();
        let before: BTreeSet<IpAddr> = before.iter().copied().collect();
        let at_once = group.intent.bound || !rule::holds(Rule::FirstUse);
        let Some(tenure) = group.tenure_mut() else { return };
        let removed: Vec<IpAddr> = before.difference(&now).copied().collect();
        let (known, new): (Vec<IpAddr>, Vec<IpAddr>) =
            now.difference(&before).copied().partition(|address| at_once || carried.contains(address));
        if let Some(mut joining) = tenure.joining.take() {
            joining.addresses.retain(|address| now.contains(address));
            joining.stations.retain(|address, _| now.contains(address));
            tenure.joining = Some(joining).filter(|joining| !joining.addresses.is_empty());
        }
        if !new.is_empty() {
            let mut addresses = tenure.joining.take().map(|joining| joining.addresses).unwrap_or_default();
            addresses.extend(new);
            let search = Search::from(s.now);
            tenure.joining = Some(Box::new(Joining { addresses, search, stations: BTreeMap::new() }));
        }
        let claim = Claim { group: id, term: tenure.term };
        let loud = tenure.voice == Voice::Loud;
        if !removed.is_empty() {
            self.effects.push(Effect::Silence(removed));
        }
        if !known.is_empty() && loud {
            self.effects.push(Effect::Announce { claim, addresses: known, was_quiet: false });
        }
        self.go_on_joining(id, s);
        self.schedule(id);
    }

    /// Asks once more for what came to the group, or decides. What nobody else has is announced; what a stranger has is left
    /// alone, and searched for again later.
    pub(super) fn go_on_joining(&mut self, id: GroupId, s: Situation<'_>) {
        let Some(tenure) = self.groups.get_mut(&id).and_then(|group| group.tenure_mut()) else { return };
        let Some(joining) = tenure.joining.as_mut() else { return };
        match joining.search.advance(s, self.timing.ask_gap) {
            Progress::Waits => return,
            Progress::Asks => {
                self.joined.insert(id);
                return self.effects.push(Effect::Probe(joining.addresses.iter().copied().collect()));
            }
            Progress::Ends => {}
        }
        let stations = joining.search.strangers(s);
        if stations.is_empty() && !joining.search.was_heard(s) {
            joining.search = Search::from(s.now + search::LENGTH);
            return;
        }
        let (held, free): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) =
            joining.addresses.iter().copied().partition(|address| stations.contains_key(address));
        self.effects.extend(search::in_use(id, &stations));
        let claim = Claim { group: id, term: tenure.term };
        if !free.is_empty() && tenure.voice == Voice::Loud {
            let addresses = free.into_iter().collect();
            self.effects.push(Effect::Announce { claim, addresses, was_quiet: false });
        }
        let search = Search::from(s.now + search::PAUSE);
        tenure.joining = (!held.is_empty()).then(|| Box::new(Joining { addresses: held, search, stations }));
        self.joined.remove(&id);
    }
}
