// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Hellos that come in: what is believed of them, and what follows.

use std::{net::IpAddr, time::Instant};

use super::{Genuine, Said, Segment, State, Timer};
use crate::{
    hello::{Echo, Hello},
    identity::NodeId,
    output::{Cause, Event, PeerDownCause},
    peer::{Absence, Reception, Return},
    rejection::Rejection,
    rule::{self, Rule},
};

impl Segment {
    pub(super) fn hear_hello(
        &mut self,
        payload: &[u8],
        hop_limit: u8,
        source: IpAddr,
        received: Instant,
        now: Instant,
    ) -> Said {
        self.heard_from = None;
        if self.state == State::Down {
            return Said::Something;
        }
        let outline = self.me.authenticate(payload, hop_limit, &self.keys);
        if let Ok(outline) = &outline
            && self.hear_routine(outline, source, received, now)
        {
            self.heard_from = Some(Genuine { node: outline.node, new: true });
            return Said::NothingNew;
        }
        match outline.and_then(|outline| self.me.read(&outline)) {
            Ok(hello) => self.hear_closely(&hello, source, received, now),
            Err(rejection) => {
                self.counts.rejections.record(&rejection);
                if rejection == Rejection::OwnNode
                    && !self.is_own_address(source)
                    && let Ok(hello) = Hello::decode(payload, &self.keys)
                {
                    self.hear_twin(&hello, source, received, now);
                }
            }
        }
        Said::Something
    }

    fn hear_closely(&mut self, hello: &Hello, source: IpAddr, received: Instant, now: Instant) {
        let echoed = self.echoed(hello.echoes.iter().copied(), received);
        let reception = self.members.hear(hello, source, received, echoed.is_some());
        let new = matches!(reception, Reception::Known | Reception::Up(_));
        self.heard_from = Some(Genuine { node: hello.node, new });
        match reception {
            Reception::Replayed => self.counts.rejections.record(&Rejection::Replayed),
            // Who asks has not heard us for long. In a burst of news each of its questions may be overtaken.
            Reception::Overtaken => self.answer_ask(hello.node, now),
            Reception::Unbelieved => {
                self.counts.rejections.record(&Rejection::Unbelieved);
                self.news.courtesy(now);
            }
            Reception::Duplicate { proved } => {
                self.news.courtesy(now);
                if proved {
                    self.notice_duplicate(hello.node, source, now);
                }
            }
            Reception::Known => self.believe(hello, echoed, received, now),
            Reception::Up(before) => self.welcome(hello, before, source, echoed, received, now),
        }
    }

    fn welcome(
        &mut self,
        hello: &Hello,
        before: Return,
        source: IpAddr,
        echoed: Option<Instant>,
        received: Instant,
        now: Instant,
    ) {
        let node = hello.node;
        if before == Return::Replaced {
            self.event(Event::PeerDown(node, PeerDownCause::Restarted));
        }
        if matches!(before, Return::Replaced | Return::Reborn) && rule::holds(Rule::RestartVoids) {
            self.decide(now, |e, s| e.peer_void(node, Cause::Restarted(node), s));
        }
        self.event(Event::PeerUp(node));
        self.news.courtesy(now);
        // Its answer tells its MAC, by which it is told from strangers.
        self.probe(source, now);
        // What it claimed before counts again before its echo lets us claim.
        self.decide(now, |e, s| e.peer_up(node, s));
        self.believe(hello, echoed, received, now);
        if matches!(before, Return::Healed | Return::Reborn) {
            // Clients in the other half of a segment that was split may have been led elsewhere, and an owner there that
            // heard of us first says no more what it had claimed.
            self.announce_again(now);
        }
    }

    /// Counts each, tells people now and then; otherwise nothing changes: the process believed so far stays.
    pub(super) fn notice_duplicate(&mut self, node: NodeId, source: IpAddr, now: Instant) {
        self.counts.duplicates = self.counts.duplicates.saturating_add(1);
        let pause = self.timing.defence;
        self.duplicates_told.retain(|_, told| now.saturating_duration_since(*told) < pause);
        if let std::collections::btree_map::Entry::Vacant(entry) = self.duplicates_told.entry(node) {
            entry.insert(now);
            self.event(Event::DuplicateIdentity { node, source });
        }
    }

    /// When we sent the newest hello of the last dead interval that is among these echoes: their sender lived and heard us then.
    pub(super) fn echoed(&self, echoes: impl Iterator<Item = Echo>, received: Instant) -> Option<Instant> {
        let ours = |echo: &Echo| echo.incarnation == self.me.incarnation;
        let sent = |echo: Echo| self.sent.sent_within(echo.seq, received, self.timing.dead);
        echoes.filter(ours).filter_map(sent).max()
    }

    fn believe(&mut self, hello: &Hello, echoed: Option<Instant>, received: Instant, now: Instant) {
        self.counts.hellos_heard = self.counts.hellos_heard.saturating_add(1);
        let was_proven = self.is_heard(now);
        if let Some(sent) = echoed {
            self.proof.echoed(sent);
        }
        let me = self.me.incarnation;
        for echo in hello.echoes.iter().filter(|echo| echo.incarnation != me) {
            self.members.vouch(echo, received);
            self.mention(echo, received);
        }
        if hello.flags.leaving {
            return self.part(hello, received, now);
        }
        self.decide(now, |e, s| e.hear(hello, received, s));
        if !was_proven {
            self.proof_may_have_arrived(now);
        }
        if hello.flags.ask {
            self.answer_ask(hello.node, now);
        }
        self.stop_listening_early(now);
    }

    /// It said good-bye: nothing is its any more, and it need not be silent for long to be gone.
    fn part(&mut self, hello: &Hello, received: Instant, now: Instant) {
        self.decide(now, |e, s| e.hear(hello, received, s));
        self.members.bury(hello.node, Absence::Left, now);
        self.event(Event::PeerDown(hello.node, PeerDownCause::Left));
        self.decide(now, |e, s| e.peer_void(hello.node, Cause::Resigned(hello.node), s));
    }

    pub(super) fn proof_may_have_arrived(&mut self, now: Instant) {
        if self.is_heard(now) && self.election.waits_for_proof() && self.state == State::Active {
            self.decide(now, |e, s| e.proof_arrived(s));
        }
    }

    fn mention(&mut self, echo: &Echo, received: Instant) {
        if matches!(self.state, State::Listening { .. })
            && let Some(heard) = received.checked_sub(echo.age)
        {
            let at = self.mentioned.entry(echo.incarnation).or_insert(heard);
            *at = heard.max(*at);
        }
    }

    /// Listening ends early once all that can be heard was heard: everything that every peer owns, and of every node that
    /// a peer heard within the dead interval.
    pub(super) fn stop_listening_early(&mut self, now: Instant) {
        let State::Listening { early, .. } = self.state else { return };
        let somebody = self.members.all_alive().next().is_some();
        if now >= early && somebody && self.knows_everything(now) {
            self.begin_acting(now);
        }
    }

    fn knows_everything(&self, now: Instant) -> bool {
        let recent = |at: &Instant| now.saturating_duration_since(*at) <= self.timing.dead;
        let mut mentioned = self.mentioned.iter().filter(|(_, at)| recent(at));
        self.claims_complete()
            && !self.members.has_strangers()
            && mentioned.all(|(process, _)| self.members.is_of_a_live_node(*process))
    }

    /// Whether all that the peers own is known.
    pub(super) fn claims_complete(&self) -> bool {
        self.members.all_alive().all(|(node, _)| self.election.claims.complete(node))
    }

    pub(super) fn begin_acting(&mut self, now: Instant) {
        let listened = matches!(self.state, State::Listening { .. });
        self.state = State::Active;
        self.mentioned.clear();
        self.timers.set(Timer::State, None);
        self.decide(now, |e, s| if listened { e.begin(s) } else { e.evaluate_all(s) });
    }
}
