// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the clock demands.

use std::time::Instant;

use super::{Segment, State, Timer};
use crate::{
    election::Situation,
    identity::NodeId,
    membership::Verdict,
    output::{Cause, Event, PeerDownCause},
    proof::Need,
    rule::{self, Rule},
};

/// Most groups acted on at a deadline: thousands fall due at once when a node dies, and hellos must not wait for all of them.
const ACTS_AT_ONCE: usize = 512;

impl Segment {
    /// Does what is due: all of it, but for thousands of groups.
    pub(super) fn act(&mut self, now: Instant) {
        if self.state == State::Down {
            return;
        }
        while let Some(verdict) = self.members.judge_next(now) {
            self.execute(verdict, now);
        }
        // What is left is due still, and comes after the hellos that arrived meanwhile.
        for _ in 0..ACTS_AT_ONCE {
            if !self.election_acts(now) {
                break;
            }
        }
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Hello if self.state == State::Aside => self.stay_aside(now),
                Timer::Hello => self.send_regular_hello(now),
                Timer::State => self.leave_state(now),
                Timer::Probe => self.probe_round(now),
                Timer::Hosts => self.watch_hosts(now),
            }
        }
        self.judge_strangers(now);
    }

    fn election_acts(&mut self, now: Instant) -> bool {
        // Asked at each deadline of anything.
        if self.election.next_deadline().is_none_or(|at| at > now) {
            return false;
        }
        let mut acted = false;
        self.decide(now, |e, s: Situation<'_>| acted = e.act_next(s));
        acted
    }

    fn execute(&mut self, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Ask(node) => {
                if let Some(source) = self.members.source(node)
                    && rule::holds(Rule::Confirmation)
                {
                    self.ask(node, source, now);
                    self.probe(source, now);
                }
            }
            Verdict::Died(node) => {
                self.event(Event::PeerDown(node, PeerDownCause::Silence));
                self.decide(now, |e, s| e.peer_down(node, Cause::Silence(node), s));
            }
            Verdict::Deaf(node) => {
                self.event(Event::PeerDown(node, PeerDownCause::Deaf));
                self.decide(now, |e, s| e.peer_down(node, Cause::Deaf(node), s));
            }
            Verdict::Forgotten(node) => {
                self.decide(now, |e, s| e.peer_void(node, Cause::Silence(node), s));
            }
        }
    }

    fn leave_state(&mut self, now: Instant) {
        match self.state {
            State::Listening { until, .. } if now >= until => self.begin_acting(now),
            State::Listening { until, .. } => {
                self.stop_listening_early(now);
                if matches!(self.state, State::Listening { .. }) {
                    self.timers.set(Timer::State, Some(until));
                }
            }
            State::Stalled { until, .. } if now < until => self.timers.set(Timer::State, Some(until)),
            // Claims that were made meanwhile may still be under way.
            State::Stalled { latest, .. } if now < latest && !self.claims_complete() => {
                self.timers.set(Timer::State, Some(now + self.timing.hello));
            }
            State::Stalled { .. } => {
                self.begin_acting(now);
                self.news.show(now);
            }
            State::Down | State::Active | State::Aside | State::Left => {}
        }
    }

    /// How much depends on others hearing us.
    fn need_of_proof(&self, now: Instant) -> Need {
        let suspects = || self.members.all_alive().any(|(_, life)| life.is_suspect());
        let acting = self.state == State::Active;
        if acting && (self.election.waits_for_proof() || (!self.members.hears_somebody() && suspects())) {
            Need::Urgent
        } else if acting
            && !self.is_heard(now)
            && self.announcer.next_deadline().is_some_and(|due| due <= now)
        {
            Need::Leisurely
        } else {
            Need::None
        }
    }

    /// Begins to probe when that becomes necessary, or hurries up.
    pub(super) fn probe_if_needed(&mut self, now: Instant) {
        let need = self.need_of_proof(now);
        if need == Need::None {
            return;
        }
        match self.timers.get(Timer::Probe) {
            None => self.probe_round(now),
            Some(_) => self.timers.advance(Timer::Probe, now + self.proof.pace(need)),
        }
    }

    fn probe_round(&mut self, now: Instant) {
        let need = self.need_of_proof(now);
        if need == Need::None {
            return self.proof.rest();
        }
        let gateways = self.link.as_ref().map(|link| link.gateways.clone()).unwrap_or_default();
        for target in self.proof.next_round(&gateways) {
            self.probe(target, now);
        }
        self.timers.set(Timer::Probe, Some(now + self.proof.pace(need)));
    }

    /// Looks whether the nodes still live whose clients we leave alone.
    pub(super) fn watch_hosts(&mut self, now: Instant) {
        let hosts: Vec<NodeId> = self.election.quiet_hosts();
        for host in &hosts {
            if !self.members.host_lives(*host, now) {
                self.decide(now, |e, _| e.raise_voice(*host));
            } else if let Some(source) = self.members.source(*host) {
                self.probe(source, now);
            }
        }
        let next = (!hosts.is_empty()).then(|| now + self.timing.host_probe);
        self.timers.set(Timer::Hosts, next);
    }

    fn judge_strangers(&mut self, now: Instant) {
        for (address, mac) in self.strangers.due(now) {
            let Some(tenure) = self.election.owns(address) else { continue };
            if self.members.is_peer_station(mac) {
                continue;
            }
            let loud = tenure.voice == crate::group::Voice::Loud;
            self.strangers.defend(address, now);
            self.event(Event::ForeignAnswer { address, mac });
            if loud {
                self.announcer.start(address, now);
            }
        }
    }
}
