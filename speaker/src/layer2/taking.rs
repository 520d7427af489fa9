// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Brings an engine in step with a plan part by part: ten thousand groups at once would keep it from hearing hellos, and
//! others from hearing its own. Pure.

use std::sync::Arc;

use ferrolb_layer2::{GroupId, Input, Segment};

use super::placement::SegmentPlan;

/// Groups looked at in one part: about a millisecond's work, or a few if each of them changes.
const PART: usize = 256;

/// A plan on its way into an engine.
#[derive(Debug)]
pub(super) struct Taking {
    plan: Arc<SegmentPlan>,
    next: Next,
}

/// What is looked at next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Whether the groups that the engine has, from this one on, are in the plan. They go first: their addresses may be
    /// another group's now.
    Had(GroupId),
    /// Whether the engine has the groups of the plan, from this place on, as they are there.
    Planned(usize),
    /// Nothing; the engine has yet to be told that it has them all.
    Told,
    Nothing,
}

impl Taking {
    /// The whole of `plan` is to be taken in.
    pub(super) fn new(plan: Arc<SegmentPlan>) -> Self {
        Self { plan, next: Next::Had(GroupId(0)) }
    }

    /// What comes next, for an engine that was given all parts before; `None`: it has all of the plan.
    pub(super) fn part(&mut self, engine: &Segment) -> Option<Input<'static>> {
        match self.next {
            Next::Had(first) => {
                let had: Vec<GroupId> = engine.groups_from(first).take(PART).collect();
                let last = had.last().filter(|_| had.len() == PART);
                let after = last.and_then(|last| last.0.checked_add(1));
                self.next = after.map_or(Next::Planned(0), |after| Next::Had(GroupId(after)));
                let gone = had.into_iter().filter(|id| !self.plans(*id)).collect();
                Some(Input::Change { set: Vec::new(), gone })
            }
            Next::Planned(from) => {
                let rest = self.plan.groups.get(from..).unwrap_or_default();
                let after = from.saturating_add(PART);
                self.next = if rest.len() > PART { Next::Planned(after) } else { Next::Told };
                let part = rest.iter().take(PART);
                let set = part.filter(|group| engine.intent(group.id) != Some(*group)).cloned().collect();
                Some(Input::Change { set, gone: Vec::new() })
            }
            Next::Told => {
                self.next = Next::Nothing;
                Some(Input::Complete)
            }
            Next::Nothing => None,
        }
    }

    fn plans(&self, id: GroupId) -> bool {
        self.plan.groups.binary_search_by_key(&id, |group| group.id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Instant;

    use ferrolb_layer2::{
        Budget, ClusterId, GroupIntent, Incarnation, KeyRing, LinkState, MacAddr, NodeId, SegmentConfig,
        Timing,
    };

    use super::*;

    fn group(number: u32, ready: bool) -> GroupIntent {
        GroupIntent {
            id: GroupId(u64::from(number) * 1_000),
            addresses: vec![IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))],
            candidates: [].into(),
            preferences: Arc::default(),
            ready,
            bound: false,
        }
    }

    fn plan(groups: Vec<GroupIntent>) -> Arc<SegmentPlan> {
        let link = LinkState { up: true, mac: MacAddr([2; 6]), addresses: Vec::new(), gateways: Vec::new() };
        Arc::new(SegmentPlan {
            name: "eth0".into(),
            link,
            groups,
            bound: Default::default(),
            tcp_ports: Default::default(),
        })
    }

    fn engine() -> Segment {
        let config = SegmentConfig {
            cluster: ClusterId::of("test"),
            node: NodeId::of("test", "n1"),
            incarnation: Incarnation::from_random(1),
            seed: 1,
            keys: KeyRing::default_for("test"),
            timing: Timing::DEFAULT,
            budget: Budget::DEFAULT,
        };
        Segment::new(config, Instant::now())
    }

    /// Gives the engine all parts; how many groups each changed.
    fn take(engine: &mut Segment, plan: &Arc<SegmentPlan>) -> Vec<usize> {
        let mut taking = Taking::new(Arc::clone(plan));
        let mut sizes = Vec::new();
        let mut complete = 0;
        while let Some(input) = taking.part(engine) {
            assert_eq!(complete, 0, "nothing comes after the end");
            match &input {
                Input::Change { set, gone } => sizes.push(set.len() + gone.len()),
                _ => complete += 1,
            }
            engine.handle(Instant::now(), input);
        }
        assert_eq!(complete, 1, "the engine learns that it has all");
        let has: Vec<GroupIntent> =
            engine.groups_from(GroupId(0)).filter_map(|id| engine.intent(id).cloned()).collect();
        assert_eq!(has, plan.groups);
        sizes
    }

    #[test]
    fn ten_thousand_groups_are_taken_over_in_parts_of_bounded_size() {
        let mut engine = engine();
        let all = plan((1..=10_000).map(|number| group(number, true)).collect());
        let sizes = take(&mut engine, &all);
        assert!(sizes.iter().all(|size| *size <= PART), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 10_000);
        assert_eq!(take(&mut engine, &all).iter().sum::<usize>(), 0, "nothing differs");
    }

    #[test]
    fn of_another_plan_only_what_differs_is_given_and_what_is_not_in_it_goes() {
        let mut engine = engine();
        take(&mut engine, &plan((1..=1_000).map(|number| group(number, true)).collect()));
        let other = plan((501..=1_500).map(|number| group(number, number != 700)).collect());
        assert_eq!(take(&mut engine, &other).iter().sum::<usize>(), 500 + 500 + 1);
        assert_eq!(take(&mut engine, &plan(Vec::new())).iter().sum::<usize>(), 1_000);
    }

    #[test]
    fn a_plan_that_replaces_one_half_taken_is_taken_as_a_whole() {
        let mut engine = engine();
        let mut first = Taking::new(plan((1..=1_000).map(|number| group(number, true)).collect()));
        for _ in 0..3 {
            let part = first.part(&engine).expect("there is more");
            engine.handle(Instant::now(), part);
        }
        take(&mut engine, &plan((400..=600).map(|number| group(number, true)).collect()));
    }
}
