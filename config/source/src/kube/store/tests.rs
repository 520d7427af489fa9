// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use ferrolb_config::api::VirtualIP;
use serde_json::json;

use super::*;
use crate::kube::decode;
use crate::kube::prune::Reader;

const KIND: Kind = Kind::VirtualIP;

fn virtual_ip(name: &str, uid: &str, version: u64) -> Object {
    let raw = json!({
        "metadata": {"name": name, "uid": uid, "resourceVersion": version.to_string()},
        "spec": {"address": name, "pool": "a", "consumers": []},
    });
    decode::object(KIND, &raw.to_string(), Reader::Controller).unwrap()
}

fn name(name: &str) -> Name {
    Name { namespace: String::new(), name: name.to_owned() }
}

fn listing(version: u64, objects: impl IntoIterator<Item = Object>) -> Listing {
    let mut listing = Listing { version: version.to_string(), ..Listing::default() };
    objects.into_iter().for_each(|object| listing.objects.insert(object));
    listing
}

/// A store of one kind, with the clock that its tests pass in.
struct Rig {
    store: Store,
    now: Instant,
}

impl Rig {
    fn listed(version: u64, objects: impl IntoIterator<Item = Object>) -> Self {
        let mut rig = Self { store: Store::new(&[KIND]), now: Instant::now() };
        rig.list(version, objects);
        rig
    }

    fn list(&mut self, version: u64, objects: impl IntoIterator<Item = Object>) {
        self.store.listed(KIND, listing(version, objects), self.now);
    }

    fn removed(&mut self, of: &str, version: u64) {
        self.store.removed(KIND, &name(of), Some(version.to_string()), self.now);
    }

    fn reached(&mut self, version: u64) {
        self.store.reached(KIND, Some(&version.to_string()), self.now);
    }

    fn version_of(&mut self, of: &str) -> Option<u64> {
        let view = self.store.view(self.now);
        number(view.virtual_ips.get(of)?.metadata.resource_version.as_ref())
    }

    fn held(&mut self, of: &str) -> Option<Arc<VirtualIP>> {
        self.store.view(self.now).virtual_ips.get(of).cloned()
    }
}

#[test]
fn an_event_that_is_older_than_our_write_does_not_undo_it() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "u", 5)]);
    rig.store.wrote(virtual_ip("192.0.2.1", "u", 20), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), Some(20));
    rig.store.changed(virtual_ip("192.0.2.1", "u", 15), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), Some(20), "somebody's write before ours");
    rig.store.changed(virtual_ip("192.0.2.1", "u", 20), rig.now);
    rig.store.changed(virtual_ip("192.0.2.1", "u", 21), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), Some(21), "somebody's write after ours");
}

#[test]
fn what_we_created_is_there_before_the_watch_says_so_and_stays_when_an_older_list_lacks_it() {
    let mut rig = Rig::listed(10, []);
    rig.store.wrote(virtual_ip("192.0.2.1", "u", 20), rig.now);
    rig.list(15, []);
    assert_eq!(rig.version_of("192.0.2.1"), Some(20), "the list is older");
    rig.list(25, []);
    assert_eq!(rig.version_of("192.0.2.1"), None, "the list is newer: it is gone");
}

#[test]
fn what_we_deleted_does_not_come_back_by_events_and_lists_that_are_older() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "u", 5)]);
    rig.store.deleted(KIND, name("192.0.2.1"), Some("u".to_owned()), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), None);
    rig.store.changed(virtual_ip("192.0.2.1", "u", 12), rig.now);
    rig.list(13, [virtual_ip("192.0.2.1", "u", 12)]);
    assert_eq!(rig.version_of("192.0.2.1"), None);
    rig.removed("192.0.2.1", 14);
    rig.store.changed(virtual_ip("192.0.2.1", "new", 16), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), Some(16), "another one of the same name");
}

#[test]
fn another_one_of_the_same_name_is_not_taken_for_the_one_that_we_deleted() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "new", 9)]);
    rig.store.deleted(KIND, name("192.0.2.1"), Some("old".to_owned()), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), Some(9));
    rig.store.deleted(KIND, name("192.0.2.1"), Some("new".to_owned()), rig.now);
    rig.store.wrote(virtual_ip("192.0.2.1", "newest", 30), rig.now);
    rig.removed("192.0.2.1", 20);
    assert_eq!(rig.version_of("192.0.2.1"), Some(30), "the deletion is older than what we created after it");
}

#[test]
fn a_write_whose_answer_comes_after_the_watch_went_past_it_does_not_bring_back_what_is_gone() {
    let mut rig = Rig::listed(10, []);
    rig.store.changed(virtual_ip("192.0.2.1", "u", 20), rig.now);
    rig.removed("192.0.2.1", 22);
    rig.store.wrote(virtual_ip("192.0.2.1", "u", 20), rig.now);
    assert_eq!(rig.version_of("192.0.2.1"), None);
}

#[test]
fn a_bookmark_ends_the_protection_of_our_writes() {
    let mut rig = Rig::listed(10, []);
    rig.store.wrote(virtual_ip("192.0.2.1", "u", 20), rig.now);
    rig.reached(30);
    assert!(rig.store.states[&KIND].ahead.is_empty());
    assert_eq!(rig.version_of("192.0.2.1"), Some(20));
}

#[test]
fn a_cluster_that_was_restored_and_counts_from_an_earlier_number_is_believed() {
    let mut rig = Rig::listed(1_000, [virtual_ip("192.0.2.1", "u", 900)]);
    rig.store.wrote(virtual_ip("192.0.2.2", "v", 1_001), rig.now);
    rig.now += AHEAD;
    rig.list(50, [virtual_ip("192.0.2.1", "u", 40)]);
    assert_eq!((rig.version_of("192.0.2.1"), rig.version_of("192.0.2.2")), (Some(40), None));
    rig.store.wrote(virtual_ip("192.0.2.2", "v", 60), rig.now);
    assert_eq!(rig.version_of("192.0.2.2"), Some(60));
}

#[test]
fn a_new_list_replaces_the_old_one_whole_and_one_that_is_the_same_changes_nothing() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "u", 5)]);
    let before = rig.held("192.0.2.1").unwrap();
    rig.list(20, [virtual_ip("192.0.2.1", "u", 5)]);
    assert!(Arc::ptr_eq(&before, &rig.held("192.0.2.1").unwrap()));
    rig.list(30, [virtual_ip("192.0.2.2", "v", 25)]);
    assert_eq!((rig.version_of("192.0.2.1"), rig.version_of("192.0.2.2")), (None, Some(25)));
}

#[test]
fn a_broken_object_keeps_its_last_form_with_a_reason_until_it_is_mended_or_gone() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "u", 5), virtual_ip("192.0.2.2", "v", 6)]);
    let broken = |of: &str, version: u64| {
        let raw = json!({"metadata": {"name": of, "resourceVersion": version.to_string()}, "spec": 5});
        *decode::object(KIND, &raw.to_string(), Reader::Controller).unwrap_err()
    };
    rig.store.broken(KIND, broken("192.0.2.1", 12), rig.now);
    let view = rig.store.view(rig.now);
    assert_eq!((view.virtual_ips.len(), view.refused.len()), (2, 1));
    let list =
        Listing { broken: vec![broken("192.0.2.1", 12)], ..listing(20, [virtual_ip("192.0.2.2", "v", 6)]) };
    rig.store.listed(KIND, list, rig.now);
    let view = rig.store.view(rig.now);
    assert_eq!((view.virtual_ips.len(), view.refused.len()), (2, 1), "also over a list");
    rig.store.changed(virtual_ip("192.0.2.1", "u", 21), rig.now);
    assert_eq!(rig.store.view(rig.now).refused.len(), 0);
    rig.store.broken(KIND, broken("192.0.2.1", 22), rig.now);
    rig.removed("192.0.2.1", 23);
    let view = rig.store.view(rig.now);
    assert_eq!((view.virtual_ips.len(), view.refused.len()), (1, 0));
}

#[test]
fn a_loss_shows_after_a_moment_with_its_beginning_and_what_was_known_stays() {
    let mut rig = Rig::listed(10, [virtual_ip("192.0.2.1", "u", 5)]);
    let clock = Timestamp::from_second(1_000).unwrap();
    let away = Trouble::Unreachable("gone".to_owned());
    rig.store.troubled(KIND, &away, rig.now, clock);
    assert!(rig.store.view(rig.now).freshness.is_whole(), "not for every hiccup");
    assert_eq!(rig.store.next_deadline(rig.now), Some(rig.now + GRACE));
    rig.now += GRACE;
    assert!(rig.store.is_dirty(rig.now));
    rig.store.troubled(KIND, &away, rig.now, clock + jiff::SignedDuration::from_secs(3));
    let view = rig.store.view(rig.now);
    assert_eq!((view.freshness.stale_since, view.virtual_ips.len()), (Some(clock), 1));
    assert!(!rig.store.is_dirty(rig.now));
    rig.store.reached(KIND, None, rig.now);
    assert!(rig.store.is_dirty(rig.now) && rig.store.view(rig.now).freshness.is_whole());
}

#[test]
fn a_kind_that_was_never_read_is_unknown_and_not_empty() {
    let mut rig = Rig { store: Store::new(&[KIND]), now: Instant::now() };
    assert!(!rig.store.is_ready());
    rig.store.troubled(KIND, &Trouble::NotInstalled, rig.now, Timestamp::UNIX_EPOCH);
    assert!(rig.store.is_ready());
    let view = rig.store.view(rig.now);
    assert_eq!(view.freshness.unknown.iter().copied().collect::<Vec<_>>(), ["VirtualIP"]);
    assert_eq!(view.refused.len(), 1);
    rig.list(10, []);
    let view = rig.store.view(rig.now);
    assert!(view.freshness.is_whole() && view.refused.is_empty());
    rig.store.troubled(KIND, &Trouble::NotInstalled, rig.now, Timestamp::UNIX_EPOCH);
    assert!(rig.store.view(rig.now).freshness.unknown.is_empty(), "once read it is known");
}

#[test]
fn the_view_on_the_disk_stands_in_until_the_cluster_answers() {
    let mut rig = Rig { store: Store::new(&[KIND]), now: Instant::now() };
    let saved = Timestamp::from_second(1_000).unwrap();
    rig.store.take_kept(listing(0, [virtual_ip("192.0.2.1", "u", 900)]).objects, rig.now, saved);
    assert!(rig.store.is_ready() && !rig.store.is_listed());
    let view = rig.store.view(rig.now);
    assert_eq!((view.freshness.stale_since, view.virtual_ips.len()), (Some(saved), 1));
    rig.list(10, [virtual_ip("192.0.2.2", "v", 8)]);
    let view = rig.store.view(rig.now);
    assert!(view.freshness.is_whole() && rig.store.is_listed());
    assert_eq!(view.virtual_ips.keys().collect::<Vec<_>>(), ["192.0.2.2"]);
    rig.store.take_kept(listing(0, [virtual_ip("192.0.2.1", "u", 900)]).objects, rig.now, saved);
    assert_eq!(rig.version_of("192.0.2.1"), None, "what is known is not replaced by what is old");
}

#[test]
fn kinds_of_routers_that_are_not_served_hold_up_neither_the_kept_view_nor_a_start_from_it() {
    let (now, clock) = (Instant::now(), Timestamp::UNIX_EPOCH);
    let mut store = Store::new(&[KIND, Kind::BGPPeer]);
    store.listed(KIND, listing(10, [virtual_ip("192.0.2.1", "u", 5)]), now);
    assert!(!store.is_worth_keeping(), "not read yet");
    store.troubled(Kind::BGPPeer, &Trouble::NotInstalled, now, clock);
    assert!(store.is_worth_keeping());
    let kept = Objects::clone(&store.view(now));
    store.troubled(KIND, &Trouble::NotInstalled, now, clock);
    assert!(!store.is_worth_keeping(), "another kind");

    let mut store = Store::new(&[KIND, Kind::BGPPeer]);
    store.take_kept(kept, now, clock);
    assert!(store.is_ready() && !store.is_listed());
    let view = store.view(now);
    assert_eq!((view.virtual_ips.len(), view.freshness.stale_since), (1, Some(clock)));
    assert!(!view.freshness.knows_routers(), "no session is begun without their routes");
    store.listed(Kind::BGPPeer, listing(20, []), now);
    assert!(store.view(now).freshness.knows_routers());
}

#[test]
fn a_change_of_what_was_pruned_away_is_no_change() {
    let node = |version: u64, label: &str| {
        let raw = json!({"metadata": {"name": "n1", "resourceVersion": version.to_string(), "labels": {"a": label}}});
        decode::object(Kind::Node, &raw.to_string(), Reader::Controller).unwrap()
    };
    let now = Instant::now();
    let mut store = Store::new(&[Kind::Node]);
    store.listed(Kind::Node, listing(1, [node(1, "b")]), now);
    store.view(now);
    store.changed(node(2, "b"), now);
    assert!(!store.is_dirty(now));
    store.changed(node(3, "c"), now);
    assert!(store.is_dirty(now));
}
