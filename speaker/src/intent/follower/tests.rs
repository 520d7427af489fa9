// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! After any sequence of edits the intent is the one that follows from the objects as they are, and what has not changed
//! is still the same memory.

mod edits;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ferrolb_config::reason::Refusal;
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{ObjectRef, Objects, Snapshot};

use super::*;
use crate::bgp::Speech;
use crate::gates::Gates;
use crate::intent::Carriage;
use edits::edit;

const NODE: &str = "n1";

/// Whether some address is announced, shared, refused and so on: that the edits lead everywhere.
#[derive(Debug, Default)]
struct Seen {
    announced: usize,
    in_groups: usize,
    unserved: usize,
    fenced_off: usize,
    conflicts: usize,
    ports: usize,
    refused: usize,
    unchanged: usize,
    bound: usize,
    ours: usize,
    checked: usize,
    routes: usize,
    unrouted: usize,
    said_anew: usize,
}

impl Seen {
    fn look_at(&mut self, intent: &Intent, alone: &BTreeMap<IpAddr, Arc<VipIntent>>, changed: bool) {
        use ferrolb_config::reason::Reason;
        let reason = |vip: &VipIntent| vip.here.as_ref().err().map(|obstacle| obstacle.reason);
        self.announced += intent.announced().count();
        self.in_groups += usize::from(*intent.vips != *alone);
        for vip in intent.vips.values() {
            let carried = |carriage| usize::from(vip.carriage == carriage && !vip.candidates.is_empty());
            self.bound += carried(Carriage::Bound);
            self.ours += carried(Carriage::Ours);
            self.checked += vip.checks.len();
            self.unserved += vip.unserved.len();
            self.fenced_off += usize::from(reason(vip) == Some(Reason::PoolNotAllowed));
            let reasons = vip.unserved.iter().map(|(_, obstacle)| Some(obstacle.reason)).chain([reason(vip)]);
            self.conflicts += reasons.filter(|reason| *reason == Some(Reason::SharingConflict)).count();
        }
        let routed =
            |is_here| intent.routes.values().filter(move |routes| routes.here.is_ok() == is_here).count();
        self.routes += routed(true);
        self.unrouted += routed(false);
        self.ports += intent.ports.len();
        self.refused += intent.refused.len();
        self.unchanged += usize::from(!changed);
    }
}

#[test]
fn after_any_edits_the_intent_is_what_follows_from_the_objects_as_they_are() {
    let mut seen = Seen::default();
    for seed in 0..16 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mode = if rng.bool() { Mode::NFTables } else { Mode::KubeProxy };
        let mut follower = Follower::new(NODE, mode);
        let mut telling = Telling::default();
        let mut objects = Objects::default();
        for _ in 0..150 {
            edit(&mut objects, &mut rng);
        }
        for step in 0..100 {
            let at_once = if rng.u8(..5) == 0 { rng.usize(2..12) } else { 1 };
            let edits: Vec<String> = (0..at_once).map(|_| edit(&mut objects, &mut rng)).collect();
            let now = Arc::new(objects.clone());
            let before = Arc::clone(follower.intent());
            let changed = follower.follow(&now);
            let intent = follower.intent();
            let mut fresh = Follower::new(NODE, mode);
            fresh.follow(&now);
            assert_eq!(intent, fresh.intent(), "seed {seed}, step {step}: {edits:?}");
            assert_eq!(changed, step == 0 || before != *intent, "seed {seed}, step {step}: {edits:?}");
            if changed {
                what_is_equal_is_shared(&before.vips, &intent.vips);
                what_is_equal_is_shared(&before.ports, &intent.ports);
                what_is_equal_is_shared(&before.routes, &intent.routes);
            }
            let same_routes = !intent.routes.is_empty() && before.routes == intent.routes;
            seen.said_anew += usize::from(same_routes && before.advertisements != intent.advertisements);
            alike_is_led_alike(&before, intent);
            telling.hears(intent, &mut rng);
            reads_as_the_snapshot(&follower, &now);
            seen.look_at(intent, &follower.alone, changed);
        }
    }
    let Seen { announced, in_groups, unserved, fenced_off, conflicts, ports, refused, unchanged, .. } = seen;
    let floating = [seen.bound, seen.ours, seen.checked];
    let routed = [seen.routes, seen.unrouted, seen.said_anew];
    let others = [announced, in_groups, unserved, fenced_off, conflicts, ports, refused, unchanged];
    for count in others.into_iter().chain(floating).chain(routed) {
        assert!(count > 20, "{seen:?}");
    }
}

fn what_is_equal_is_shared<K: Ord + Debug, V: PartialEq + Debug>(
    before: &Arc<BTreeMap<K, Arc<V>>>,
    now: &Arc<BTreeMap<K, Arc<V>>>,
) {
    assert_eq!(Arc::ptr_eq(before, now), before == now, "all of it is there twice");
    for (key, value) in now.iter() {
        if let Some(before) = before.get(key).filter(|before| ***before == **value) {
            assert!(Arc::ptr_eq(before, value), "{key:?} is there twice: {value:?}");
        }
    }
}

/// What is left as it is where only routers are told otherwise.
fn alike_is_led_alike(before: &Intent, now: &Intent) {
    if before.carries_as(now) {
        assert_eq!(before.data_path(), now.data_path());
        assert_eq!(before.checks(), now.checks());
    }
}

/// What routers are told, kept in step, with gates that lag behind now and then.
#[derive(Default)]
struct Telling {
    speech: Speech,
    gates: Gates,
}

impl Telling {
    fn hears(&mut self, intent: &Arc<Intent>, rng: &mut fastrand::Rng) {
        if rng.bool() {
            self.gates.data_path.serving = Some(Arc::new(intent.data_path()));
        }
        let told = self.speech.of(intent, &self.gates);
        assert_eq!(told, Speech::default().of(intent, &self.gates), "what follows from nothing");
    }
}

/// Services and endpoints are read one at a time, and as the whole of them is read elsewhere.
fn reads_as_the_snapshot(follower: &Follower, objects: &Objects) {
    let snapshot = Snapshot::build_within(objects, &Scope::Every);
    let view = follower.view(objects);
    for (name, service) in &snapshot.load_balancers {
        let consumer = view.consumer(name).expect("the snapshot has it");
        assert_eq!(consumer.service, *service);
        let endpoints = snapshot.endpoints.get(name).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(consumer.endpoints, endpoints);
        let object = Some(ObjectRef::namespaced("Service", name));
        let is_range = |field: &String| field.starts_with("spec.loadBalancerSourceRanges");
        let unreadable =
            |refusal: &Refusal| refusal.object == object && refusal.field.as_ref().is_some_and(is_range);
        assert_eq!(consumer.unreadable_ranges, snapshot.refused.iter().any(unreadable));
    }
    assert_eq!(
        follower.intent.vips.keys().collect::<Vec<_>>(),
        snapshot.virtual_ips.keys().collect::<Vec<_>>()
    );
}

#[test]
fn who_owns_an_address_changes_no_intent_and_objects_that_were_read_anew_do_not_either() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut objects = Objects::default();
    for _ in 0..100 {
        edit(&mut objects, &mut rng);
    }
    let mut follower = Follower::new(NODE, Mode::NFTables);
    assert!(follower.follow(&Arc::new(objects.clone())));
    assert!(!follower.intent().vips.is_empty());
    assert!(!follower.follow(&Arc::new(edits::read_anew(&objects))));
    let (_, virtual_ip) = objects.virtual_ips.iter_mut().next().expect("there is one");
    Arc::make_mut(virtual_ip).status = Some(Default::default());
    assert!(!follower.follow(&Arc::new(objects)));
    let intent = Arc::clone(follower.intent());
    assert!(follower.follow(&Arc::default()));
    assert_ne!(*follower.intent(), intent);
    assert_eq!(**follower.intent(), Intent::default());
}
