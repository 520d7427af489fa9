// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What goes out: announcements first, since the outage of clients ends with them, then hellos.

use std::{net::IpAddr, time::Instant};

use super::{Segment, State, Timer};
use crate::{
    announce::Utterance,
    election::Effect,
    group::Voice,
    hello::{Delta, Echo, Flags, Hello, MAX_ECHOES, UpTo},
    identity::NodeId,
    news::Bulletin,
    output::{Destination, Event, Output},
};

/// Most hellos of news at once; what is left follows at the next deadline, which is now.
const HELLOS_AT_ONCE: usize = 16;

impl Segment {
    /// Turns decisions into events, announcements and news.
    pub(super) fn carry_out(&mut self, now: Instant) {
        for effect in self.election.take_effects() {
            match effect {
                Effect::Claimed { claim, cause, addresses, quiet } => {
                    self.event(Event::Claimed { group: claim.group, term: claim.term, cause, quiet });
                    self.news.tell(Delta::Claim(claim), now);
                    if quiet {
                        self.timers.advance(Timer::Hosts, now + self.timing.host_probe);
                    } else {
                        self.announce(addresses, now);
                    }
                }
                Effect::Yielded { claim, to, cause, addresses, vacant } => {
                    self.silence(addresses);
                    self.event(Event::Yielded { group: claim.group, term: claim.term, to, cause });
                    if vacant {
                        self.news.tell(Delta::Resign(claim), now);
                    } else {
                        self.news.show(now);
                    }
                }
                Effect::Announce { claim, addresses, was_quiet } => {
                    if was_quiet {
                        self.event(Event::Announcing { group: claim.group });
                    }
                    self.announce(addresses, now);
                }
                Effect::Silence(addresses) => self.silence(addresses),
                Effect::Offer { claim, to } => self.news.tell(Delta::HandOver { claim, to }, now),
                Effect::NobodyTook { group, cause } => self.event(Event::NobodyTook { group, cause }),
                Effect::Probe(addresses) => {
                    addresses.into_iter().for_each(|address| self.search_for(address))
                }
                Effect::InUse { group, address, mac } => {
                    self.event(Event::InUse { group, address, mac });
                }
                Effect::Repeat(claim) => self.news.tell(Delta::Claim(claim), now),
                Effect::Relay { claim, owner, stands } => {
                    self.counts.relays = self.counts.relays.saturating_add(1);
                    self.news.tell(Delta::Relayed { claim, owner, stands }, now);
                }
            }
        }
    }

    fn announce(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        addresses.into_iter().for_each(|address| self.announcer.start(address, now));
    }

    fn silence(&mut self, addresses: Vec<IpAddr>) {
        for address in addresses {
            self.announcer.stop(address);
            self.strangers.forget(address);
        }
    }

    /// Everybody who may have another MAC than ours for what we own must learn ours.
    pub(super) fn announce_again(&mut self, now: Instant) {
        let loud = self
            .election
            .groups()
            .filter(|(_, group)| group.tenure().is_some_and(|tenure| tenure.voice == Voice::Loud));
        let addresses = loud.flat_map(|(_, group)| group.answered()).collect();
        self.announce(addresses, now);
        self.news.show(now);
    }

    /// Sends what is due: announcements, then news.
    pub(super) fn tell(&mut self, now: Instant) {
        let Some(mac) = self.mac() else { return self.tell_drained() };
        let audible = self.is_heard(now);
        let was_audible = std::mem::replace(&mut self.audible, audible);
        if was_audible && !self.audible && self.state == State::Active && self.is_cut_off(now) {
            self.fell_silent(now);
        }
        if self.may_announce() {
            while let Some(utterance) = self.announcer.poll(now, mac) {
                let (frame, count) = match utterance {
                    Utterance::Announcement(frame) => (frame, &mut self.counts.announcements),
                    Utterance::Probe(frame) => (frame, &mut self.counts.probes),
                };
                *count = count.saturating_add(1);
                self.frame(frame);
            }
        }
        for _ in 0..HELLOS_AT_ONCE {
            let holdings = &self.election.holdings;
            let is_true = |delta: &Delta| match delta {
                Delta::Claim(claim) | Delta::HandOver { claim, .. } => holdings.has(*claim),
                Delta::Resign(claim) => !holdings.has(*claim),
                Delta::Relayed { .. } => true,
            };
            let Some(bulletin) = self.news.take(now, is_true) else { break };
            if self.state == State::Aside {
                continue;
            }
            self.send_to_all(bulletin, Flags::default(), now);
        }
        self.tell_drained();
    }

    /// Nobody hears us any more: whether that is our own fault. Of a single peer that is silent, too, it may be the peer's.
    fn is_cut_off(&self, now: Instant) -> bool {
        let alive = self.members.all_alive().count();
        let silent = self.members.fell_silent_since(now, &self.timing);
        self.members.hears_somebody() || alive.saturating_add(silent) > 1
    }

    fn tell_drained(&mut self) {
        if self.draining && !self.drained_told && self.election.settled() {
            self.drained_told = true;
            self.outputs.push_back(Output::Drained);
        }
    }

    pub(super) fn send_regular_hello(&mut self, now: Instant) {
        self.keep_pace();
        self.send_to_all(Bulletin::default(), Flags::default(), now);
    }

    fn send_to_all(&mut self, bulletin: Bulletin, flags: Flags, now: Instant) {
        self.punctuality.sent(now);
        self.timers.set(Timer::Hello, Some(now + self.timing.hello));
        self.send(Destination::Multicast, bulletin, flags, now);
    }

    /// "Are you alive?"
    pub(super) fn ask(&mut self, node: NodeId, source: IpAddr, now: Instant) {
        let flags = Flags { ask: true, ..Flags::default() };
        self.members.echo_next(node);
        self.send(Destination::Unicast(source), Bulletin::default(), flags, now);
    }

    /// "I am."
    pub(super) fn answer_ask(&mut self, node: NodeId, now: Instant) {
        let Some(source) = self.members.source(node) else { return };
        self.members.echo_next(node);
        self.send(Destination::Unicast(source), Bulletin::default(), Flags::default(), now);
    }

    /// Last words, twice, since nobody will be there to repeat them.
    pub(super) fn say_good_bye(&mut self, now: Instant) {
        if self.mac().is_none() {
            return;
        }
        let mut words = Vec::new();
        while let Some(bulletin) = self.news.take(now, |delta| matches!(delta, Delta::Resign(_))) {
            words.push(bulletin);
        }
        if words.is_empty() {
            words.push(Bulletin::default());
        }
        let last = words.len().saturating_sub(1);
        for _ in 0..2 {
            for (position, bulletin) in words.iter().enumerate() {
                let flags = Flags { leaving: position == last, ..Flags::default() };
                self.send_to_all(bulletin.clone(), flags, now);
            }
        }
    }

    pub(super) fn send(&mut self, to: Destination, bulletin: Bulletin, flags: Flags, now: Instant) {
        self.seq = self.seq.saturating_add(1);
        self.sent.record(self.seq, now);
        let holdings = &mut self.election.holdings;
        let Bulletin { deltas, claims } = bulletin;
        let (slice, claims) = match to {
            _ if !claims.is_empty() => (holdings.slice().0, claims),
            Destination::Multicast => holdings.next_slice(),
            Destination::Unicast(_) => holdings.slice(),
        };
        let listening = matches!(self.state, State::Listening { .. } | State::Stalled { .. });
        let hello = Hello {
            cluster: self.me.cluster,
            node: self.me.node,
            incarnation: self.me.incarnation,
            seq: self.seq,
            interval: self.timing.hello,
            dead: self.timing.dead,
            flags: Flags {
                draining: self.draining,
                listening,
                shaky: self.is_shaky(now),
                aside: self.state == State::Aside,
                ..flags
            },
            owned: self.election.holdings.len(),
            digest: self.election.holdings.digest(),
            slice,
            claims,
            deltas,
            echoes: self.echoes(now),
        };
        self.counts.hellos_sent = self.counts.hellos_sent.saturating_add(1);
        self.outputs.push_back(Output::Hello { to, payload: hello.encode(&self.keys) });
    }

    fn echoes(&mut self, now: Instant) -> UpTo<MAX_ECHOES, Echo> {
        let of_peers = self.members.echoes(now);
        match self.twin.as_ref().and_then(|twin| twin.echo(now, &self.timing)) {
            Some(twin) => UpTo::first_of(std::iter::once(twin).chain(of_peers.iter().copied())),
            None => of_peers,
        }
    }

    pub(super) fn frame(&mut self, frame: Vec<u8>) {
        self.outputs.push_back(Output::Frame(frame));
    }
}
