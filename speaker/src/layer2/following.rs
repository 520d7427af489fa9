// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Groups with addresses on several segments: an inside and an outside. Each segment elects for itself, and the node that
//! owns such a group where its lowest address is leads: whoever owns it elsewhere hands it to that node. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ferrolb_layer2::{GroupId, NodeId};

use crate::kernel::links::LinkIndex;

/// How often strays are looked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long nothing more is asked for after a hand-over was: it succeeds at once, or the leader is not ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// One segment's part of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) group: GroupId,
    pub(super) segment: LinkIndex,
    /// The lowest address that the group has there.
    pub(super) lowest: IpAddr,
    /// Who owns it there, as far as is known.
    pub(super) owner: Option<NodeId>,
}

/// A side that this node should hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) group: GroupId,
    pub(super) segment: LinkIndex,
    pub(super) to: NodeId,
}

/// Remembers since when sides stray: one that has just moved is given time to be followed by itself.
#[derive(Debug, Default)]
pub(super) struct Following {
    seen: BTreeMap<(GroupId, LinkIndex), NodeId>,
    asked: BTreeMap<(GroupId, LinkIndex), Instant>,
}

impl Following {
    /// The sides of `me` that another node leads, now and when this was last asked.
    pub(super) fn strays(&mut self, me: NodeId, sides: &[Side], now: Instant) -> Vec<Stray> {
        self.asked.retain(|_, at| now.saturating_duration_since(*at) < PATIENCE);
        let mut leads: BTreeMap<GroupId, &Side> = BTreeMap::new();
        for side in sides {
            let lead = leads.entry(side.group).or_insert(side);
            if side.lowest < lead.lowest {
                *lead = side;
            }
        }
        let leader = |side: &Side| leads.get(&side.group).and_then(|lead| lead.owner);
        let mine = sides.iter().filter(|side| side.owner == Some(me));
        let led = mine.filter_map(|side| Some((side, leader(side).filter(|leader| *leader != me)?)));
        let now_seen: BTreeMap<_, _> = led.map(|(side, to)| ((side.group, side.segment), to)).collect();
        let before = std::mem::replace(&mut self.seen, now_seen);
        let strays = self.seen.iter().filter(|(side, to)| before.get(*side) == Some(*to));
        let strays = strays.filter(|(side, _)| !self.asked.contains_key(*side));
        let strays: Vec<Stray> = strays
            .map(|((group, segment), to)| Stray { group: *group, segment: *segment, to: *to })
            .collect();
        self.asked.extend(strays.iter().map(|stray| ((stray.group, stray.segment), now)));
        strays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId([1; 16]);
    const OTHER: NodeId = NodeId([2; 16]);

    fn side(group: u64, segment: LinkIndex, host: u8, owner: Option<NodeId>) -> Side {
        Side { group: GroupId(group), segment, lowest: [192, 0, 2, host].into(), owner }
    }

    #[test]
    fn a_side_follows_the_owner_of_the_lowest_address_and_only_once_it_has_strayed_for_a_while() {
        let (mut following, now) = (Following::default(), Instant::now());
        let sides = [side(7, 3, 20, Some(ME)), side(7, 2, 10, Some(OTHER))];
        let stray = Stray { group: GroupId(7), segment: 3, to: OTHER };
        assert_eq!(following.strays(ME, &sides, now), []);
        assert_eq!(following.strays(ME, &sides, now + LOOK_EVERY), [stray]);
        assert_eq!(following.strays(ME, &sides, now + LOOK_EVERY * 2), [], "it was asked for");
        assert_eq!(following.strays(ME, &sides, now + LOOK_EVERY + PATIENCE), [stray]);
    }

    #[test]
    fn who_leads_follows_nobody_and_neither_does_a_group_on_one_segment_or_without_a_leader() {
        let now = Instant::now();
        for sides in [
            vec![side(7, 3, 20, Some(OTHER)), side(7, 2, 10, Some(ME))],
            vec![side(7, 3, 20, Some(ME))],
            vec![side(7, 3, 20, Some(ME)), side(7, 2, 10, None)],
            vec![side(7, 3, 20, Some(ME)), side(8, 2, 10, Some(OTHER))],
        ] {
            let mut following = Following::default();
            following.strays(ME, &sides, now);
            assert_eq!(following.strays(ME, &sides, now + LOOK_EVERY), [], "{sides:?}");
        }
    }
}
