// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The engine of one segment: packets, wishes and deadlines in; packets and events out.
//!
//! Whoever drives it does, per wake-up and in this order: give in every hello that has arrived ([`Input::Hello`]), so that
//! nobody is judged silent whose hello lies in a buffer; give in [`Input::Timeout`] if [`Segment::next_deadline`] has passed;
//! give in some frames ([`Input::Frame`], at most about 64, so that a storm of them delays no hello); then send what
//! [`Segment::poll_output`] yields until it yields nothing. The times passed in never go back.

mod acting;
mod aside;
mod frames;
mod hearing;
mod link;
mod pacing;
mod routine;
mod telling;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::Instant,
};

use crate::{
    agenda::Agenda,
    announce::Announcer,
    damping::Damping,
    election::{Election, Situation},
    hello::Recipient,
    identity::{GroupId, Incarnation, MacAddr, NodeId},
    input::{GroupIntent, Input, LinkState, SegmentConfig},
    membership::Membership,
    news::News,
    output::{Cause, Event, Output},
    proof::Proof,
    punctuality::Punctuality,
    rule::{self, Rule},
    sent::SentLog,
    strangers::Strangers,
    timing::Timing,
    twin::Twin,
    view::{self, Counts, Phase, SegmentView},
};

/// One node's part in one layer-2 domain.
#[derive(Debug)]
pub struct Segment {
    me: Recipient,
    keys: crate::keys::KeyRing,
    /// The times that were asked for, and those in force among so many nodes.
    profile: Timing,
    timing: Timing,
    link: Option<LinkState>,
    state: State,
    draining: bool,
    drained_told: bool,
    seq: u64,
    sent: SentLog,
    news: News,
    members: Membership,
    election: Election,
    proof: Proof,
    punctuality: Punctuality,
    damping: Damping,
    announcer: Announcer,
    strangers: Strangers,
    /// Another process that speaks in our name.
    twin: Option<Twin>,
    /// Processes that believed peers echoed while we listened, and when those heard them: we should hear their nodes, too.
    mentioned: BTreeMap<Incarnation, Instant>,
    /// When people were last told of a second process of a node.
    duplicates_told: BTreeMap<NodeId, Instant>,
    timers: Agenda<Timer>,
    /// Others heard us when we last looked.
    audible: bool,
    outputs: VecDeque<Output>,
    /// The next deadline, as of the last input.
    deadline: Option<Instant>,
    counts: Counts,
    heard_from: Option<Genuine>,
    /// The present input lay waiting while this process stood still.
    behind: bool,
}

/// The sender of a hello that was found to be genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// Who speaks.
    pub node: NodeId,
    /// It is believed and not a copy of what was heard before.
    pub new: bool,
}

/// What a hello said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// That its sender lives on: nothing follows but that.
    NothingNew,
    /// Anything else, or it was refused.
    Something,
}

/// What the node does on the segment, with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    /// Until `until`, or from `early` on until everybody heard is known completely.
    Listening {
        early: Instant,
        until: Instant,
    },
    Active,
    /// Until `until`, or as long as claims of peers are missing, at most until `latest`.
    Stalled {
        until: Instant,
        latest: Instant,
    },
    /// Another process acts for our node.
    Aside,
    Left,
}

/// Deadlines of the segment itself; peers and groups have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Hello,
    State,
    Probe,
    Hosts,
}

impl Segment {
    /// A segment whose link is not known yet: nothing happens before the first [`Input::Link`].
    pub fn new(config: SegmentConfig, now: Instant) -> Self {
        let SegmentConfig { cluster, node, incarnation, seed, keys, timing, budget } = config;
        Self {
            me: Recipient { cluster, node, incarnation },
            keys,
            profile: timing,
            timing,
            link: None,
            state: State::Down,
            draining: false,
            drained_told: false,
            seq: 0,
            sent: SentLog::default(),
            news: News::default(),
            members: Membership::new(node, timing),
            election: Election::new(node, timing, seed),
            proof: Proof::new(timing),
            punctuality: Punctuality::default(),
            damping: Damping::default(),
            announcer: Announcer::new(budget, seed, now),
            strangers: Strangers::new(timing),
            twin: None,
            mentioned: BTreeMap::new(),
            duplicates_told: BTreeMap::new(),
            timers: Agenda::new(),
            audible: false,
            outputs: VecDeque::new(),
            deadline: None,
            counts: Counts::default(),
            heard_from: None,
            behind: false,
        }
    }

    /// Takes something in. What follows from it stands in the outputs afterwards.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        if self.state == State::Left {
            return;
        }
        self.behind = false;
        self.notice_own_stall(now);
        match input {
            Input::Hello { payload, hop_limit, source, received } => {
                self.behind = now.saturating_duration_since(received) > self.timing.lateness;
                // What is due nevertheless is done at the deadline, which has not changed.
                if self.hear_hello(payload, hop_limit, source, received.min(now), now) == Said::NothingNew {
                    return;
                }
            }
            Input::Frame { bytes, received } => self.hear_frame(bytes, received.min(now), now),
            Input::Link(link) => self.set_link(link, now),
            Input::Groups(groups) => self.decide(now, |e, s| e.set_groups(groups, s)),
            Input::Change { set, gone } => self.decide(now, |e, s| e.change_groups(set, gone, s)),
            Input::Complete => self.election.forget_unlisted(now),
            Input::Keys(keys) => self.keys = *keys,
            Input::HandOver { group, to } => self.decide(now, |e, _| e.move_on_request(group, to)),
            Input::Drain => self.drain(now),
            Input::Leave => {
                self.leave(now);
                self.deadline = None;
                return;
            }
            Input::Timeout => self.act(now),
        }
        self.probe_if_needed(now);
        self.tell(now);
        self.deadline = self.earliest_deadline();
    }

    /// The next thing to send or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Who sent the last [`Input::Hello`]; `None` if it was refused.
    pub fn heard_from(&self) -> Option<Genuine> {
        self.heard_from
    }

    /// When to give in [`Input::Timeout`], unless something else comes before; a moment that has passed means now. `None`
    /// while the link is down.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn earliest_deadline(&self) -> Option<Instant> {
        let idle = matches!(self.state, State::Down | State::Left);
        let announcements = self.announcer.next_deadline().filter(|_| self.may_announce());
        [
            self.timers.next(),
            self.members.next_look(),
            self.election.next_deadline(),
            self.news.next(),
            self.strangers.next(),
            announcements,
        ]
        .into_iter()
        .flatten()
        .min()
        .filter(|_| !idle)
    }

    /// What the node does on the segment, as of the last input.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Down => Phase::Down,
            State::Listening { .. } => Phase::Listening,
            State::Active => Phase::Active,
            State::Stalled { .. } => Phase::Stalled,
            State::Aside => Phase::Aside,
            State::Left => Phase::Left,
        }
    }

    /// Whether this node owns the group. While it listens after a stall, another may have taken it.
    pub fn owns(&self, group: GroupId) -> bool {
        self.election.holds(group)
    }

    /// What this segment was last told of a group that it carries.
    pub fn intent(&self, group: GroupId) -> Option<&GroupIntent> {
        self.election.intent(group)
    }

    /// The groups that this segment carries, from `first` on, in the order of their ids.
    pub fn groups_from(&self, first: GroupId) -> impl Iterator<Item = GroupId> {
        self.election.groups_from(first)
    }

    /// Who owns the group, as far as is known; this node included.
    pub fn owner(&self, group: GroupId) -> Option<NodeId> {
        if self.owns(group) { Some(self.me.node) } else { self.election.rival(group) }
    }

    /// The segment as it is at `now`.
    pub fn view(&self, now: Instant) -> SegmentView {
        let phase = self.phase();
        SegmentView {
            phase,
            draining: self.draining,
            shaky: self.is_shaky(now),
            proven: self.is_heard(now),
            peers: view::peers(&self.members, &self.election),
            groups: view::groups(&self.election, self.me.node, phase == Phase::Active),
            slowed: self.slowed(),
            counters: self.counts.clone(),
        }
    }

    /// Whether the node fell silent so often that it leaves what is free to others, and tells them.
    pub fn is_shaky(&self, now: Instant) -> bool {
        self.damping.holds(now) && rule::holds(Rule::Damping)
    }

    /// Whether others hear us. Where all peers are slower than we are, a sign lasts until the quickest of them must have given
    /// the next, unless somebody fell silent meanwhile: then it may be us who hear nothing.
    fn is_heard(&self, now: Instant) -> bool {
        let patient = |newest: Instant| {
            // Asked several times with every packet while nobody hears us: among a thousand, mostly the first peer says no.
            self.members.all_grant(now.saturating_duration_since(newest))
                && self.members.fell_silent_since(newest, &self.timing) == 0
        };
        self.proof.holds(now) || self.proof.newest().is_some_and(patient)
    }

    /// Lets the election decide something, and does what follows.
    fn decide(&mut self, now: Instant, decision: impl FnOnce(&mut Election, Situation<'_>)) {
        let unasked = (!rule::holds(Rule::TwoWayProof)).then_some(now);
        let situation = Situation {
            now,
            active: self.state == State::Active,
            proven: self.is_heard(now) || !rule::holds(Rule::TwoWayProof),
            heard: self.proof.newest().filter(|_| rule::holds(Rule::TwoWayProof)).or(unasked),
            draining: self.draining,
            shaky: self.is_shaky_to_itself(now),
            behind: self.behind,
            members: &self.members,
        };
        decision(&mut self.election, situation);
        self.election.offer_in_turn(situation);
        self.carry_out(now);
    }

    fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.news.show(now);
        self.decide(now, |e, _| e.drain());
    }

    fn leave(&mut self, now: Instant) {
        self.decide(now, |e, s| e.drop_all(Cause::Drain, true, s.now));
        self.say_good_bye(now);
        self.state = State::Left;
        self.timers.clear();
    }

    /// What we stood still for, peers are forgiven; and if they may have taken over, we listen before we act again.
    fn notice_own_stall(&mut self, now: Instant) {
        let deadline = self.next_deadline();
        if let Some(late) = self.punctuality.lateness(now, deadline, &self.timing)
            && rule::holds(Rule::Forgiveness)
        {
            self.members.forgive(late, now);
        }
        let gap = self.punctuality.gap(now, &self.timing);
        let Some(gap) = gap.filter(|_| rule::holds(Rule::OwnStall)) else { return };
        let wait = now + self.timing.hello * 2;
        match self.state {
            State::Down | State::Aside | State::Left => return,
            State::Listening { early, until } => {
                self.state = State::Listening { early: early.max(wait), until: until.max(wait) };
            }
            State::Active | State::Stalled { .. } => {
                self.state = State::Stalled { until: wait, latest: now + self.timing.listen };
                self.counts.stalls = self.counts.stalls.saturating_add(1);
                self.event(Event::Stalled(gap));
                self.fell_silent(now);
                self.decide(now, |e, s| e.evaluate_all(s));
            }
        }
        self.timers.set(Timer::State, Some(wait));
        // Until this hello is out, each further input would look like another stall.
        self.punctuality.sent(now);
        self.news.show(now);
    }

    /// Others could not hear us, or we stood still.
    fn fell_silent(&mut self, now: Instant) {
        if let Some(length) = self.damping.fell_silent(now) {
            self.event(Event::Shaky(length));
        }
    }

    /// As the others see it, and until they have surely heard that it is over: two that both come first would both claim.
    fn is_shaky_to_itself(&self, now: Instant) -> bool {
        self.damping.held(now, self.timing.dead) && rule::holds(Rule::Damping)
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn mac(&self) -> Option<MacAddr> {
        self.link.as_ref().filter(|link| link.up).map(|link| link.mac)
    }

    /// The address of ours from which `target` is on the link.
    fn address_towards(&self, target: IpAddr) -> Option<IpAddr> {
        let addresses = &self.link.as_ref()?.addresses;
        addresses.iter().find(|net| net.contains(&target)).map(|net| net.addr())
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        self.link.as_ref().is_some_and(|link| link.addresses.iter().any(|net| net.addr() == address))
    }

    /// Announcing draws clients to us: only while acting, and while others hear us.
    fn may_announce(&self) -> bool {
        self.state == State::Active && (self.audible || !rule::holds(Rule::Audibility))
    }
}
