// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The link comes and goes.

use std::time::Instant;

use super::{Segment, State, Timer};
use crate::{
    identity::NodeId,
    input::LinkState,
    output::{Cause, Event, PeerDownCause},
    peer::Absence,
    rule::{self, Rule},
};

impl Segment {
    pub(super) fn set_link(&mut self, link: LinkState, now: Instant) {
        let was_up = self.link.as_ref().is_some_and(|l| l.up);
        let first = self.link.is_none();
        let moved = self.link.as_ref().is_some_and(|l| l.mac != link.mac);
        let up = link.up;
        self.link = Some(link);
        match (was_up, up) {
            (false, true) => self.link_up(first, now),
            (true, false) => self.link_down(now),
            (true, true) if moved => self.announce_again(now),
            (true, true) | (false, false) => {}
        }
    }

    pub(super) fn link_up(&mut self, first: bool, now: Instant) {
        let hold = if first { self.timing.hello * 2 } else { self.timing.link_hold };
        let listen = self.timing.listen.max(self.timing.dead * 2).max(hold);
        let (hold, listen) = if rule::holds(Rule::Listening) { (hold, listen) } else { Default::default() };
        let until = now + listen;
        self.state = State::Listening { early: now + hold, until };
        self.mentioned.clear();
        self.timers.set(Timer::State, Some(now + hold));
        self.timers.set(Timer::Hello, Some(now + self.timing.hello));
        self.news.courtesy(now);
    }

    fn link_down(&mut self, now: Instant) {
        self.fell_silent(now);
        self.state = State::Down;
        self.twin = None;
        self.decide(now, |e, s| e.drop_all(Cause::LinkDown, false, s.now));
        let mut up: Vec<NodeId> = self.members.all_alive().map(|(node, _)| node).collect();
        up.sort_unstable();
        for node in up {
            self.members.bury(node, Absence::Silent, now);
            self.event(Event::PeerDown(node, PeerDownCause::LinkDown));
            self.decide(now, |e, s| e.peer_down(node, Cause::Silence(node), s));
        }
        // Nothing that was awaited may be claimed before this node has listened again.
        self.decide(now, |e, s| e.evaluate_all(s));
        self.news.clear();
        self.timers.clear();
        self.proof.forget();
        self.punctuality.excuse();
    }
}
