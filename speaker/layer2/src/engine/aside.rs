// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Identity: of two processes that speak for one node from different stations, one does nothing.

use std::{net::IpAddr, time::Instant};

use super::{Segment, State, Timer};
use crate::{
    hello::{Flags, Hello},
    news::Bulletin,
    output::{Cause, Destination, Event},
    rule::{self, Rule},
    twin::{Standing, Twin},
};

impl Segment {
    /// An authentic hello of our node that is not ours.
    pub(super) fn hear_twin(&mut self, hello: &Hello, source: IpAddr, received: Instant, now: Instant) {
        let echoed = self.echoed(hello.echoes.iter().copied(), received).is_some();
        match Twin::hear(self.twin.take(), hello, source, received, echoed) {
            Ok(twin) => self.twin = Some(twin),
            Err(before) => return self.twin = before,
        }
        self.notice_duplicate(self.me.node, source, now);
        if self.state != State::Aside {
            // It waits for our echo as we do for its.
            self.news.courtesy(now);
        }
        if !echoed || !rule::holds(Rule::Identity) {
            return;
        }
        let ours = Standing {
            acts: self.state != State::Aside,
            owned: self.election.holdings.len(),
            incarnation: self.me.incarnation,
        };
        match (self.state, Standing::of(hello) > ours) {
            (State::Down | State::Left, _) | (State::Aside, true) => {}
            // Both stepped aside at once.
            (State::Aside, false) => self.link_up(false, now),
            (_, false) => {}
            (_, true) => self.step_aside(source, now),
        }
    }

    fn step_aside(&mut self, source: IpAddr, now: Instant) {
        self.event(Event::SteppedAside { source });
        self.decide(now, |e, s| e.drop_all(Cause::Duplicate, true, s.now));
        self.say_good_bye(now);
        self.news.clear();
        self.timers.clear();
        self.punctuality.excuse();
        self.state = State::Aside;
        self.decide(now, |e, s| e.evaluate_all(s));
        self.timers.set(Timer::Hello, Some(now + self.timing.hello));
    }

    /// Speaks to the twin, and comes back when it has gone.
    pub(super) fn stay_aside(&mut self, now: Instant) {
        match self.twin.as_ref().filter(|twin| twin.lives(now, &self.timing)).map(|twin| twin.source) {
            Some(source) => {
                self.send(Destination::Unicast(source), Bulletin::default(), Flags::default(), now);
                self.timers.set(Timer::Hello, Some(now + self.timing.hello));
            }
            None => {
                self.twin = None;
                self.link_up(false, now);
            }
        }
    }
}
