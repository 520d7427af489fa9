// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is done to a world.

use std::{
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{GroupId, Input, MacAddr};

use super::{Occurrence, Recording, Sender, World};
use crate::{
    book::{Scene, Violation},
    faults::Fault,
    listing::Parts,
    network::Port,
    node::Node,
};

/// How long a speaker that was asked to end waits for its groups to be taken.
const GRACE: Duration = Duration::from_secs(3);

/// Where a high byte of a hello's sequence number stands.
const SEQ_AT: usize = 43;

impl World {
    /// Ends a draining process with its last words.
    pub(super) fn exit(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        if node.speaker.as_ref().is_none_or(|speaker| !speaker.draining || speaker.frozen) {
            return Ok(());
        }
        let steps = node.give(now, Input::Leave);
        self.follow(number, steps)?;
        self.end_process(number);
        Ok(())
    }

    fn end_process(&mut self, number: usize) {
        if let Some(node) = self.nodes.get_mut(number) {
            node.speaker = None;
            node.changed = self.now;
        }
        self.wakes.set(number, None);
        self.book.process_ended(number, self.now);
    }

    /// Makes something happen now.
    ///
    /// # Errors
    /// A rule that was broken at once.
    pub fn inflict(&mut self, fault: &Fault) -> Result<(), Violation> {
        self.note(|| format!("--- {fault:?}"));
        let now = self.now;
        let scene = Scene { now, nodes: &self.nodes, network: &self.network };
        self.book.fault(fault, scene);
        match *fault {
            Fault::Crash(number) => {
                self.end_process(number);
                self.come_or_go(number, |node| {
                    node.powered = false;
                    node.drop_addresses();
                });
            }
            Fault::Kill(number) => self.end_process(number),
            Fault::Start(number) => return self.start(number, None),
            Fault::StartInParts { node, size, pause } => {
                let pause = Duration::from_millis(pause);
                return self.start(node, Some(Parts { size, pause }));
            }
            Fault::Freeze(number) => self.freeze(number),
            Fault::Thaw(number) => return self.thaw(number),
            Fault::Cable(number, plugged) => {
                self.come_or_go(number, |node| node.link = plugged);
                return self.tell_link(number);
            }
            Fault::NewMac(number) => {
                self.change(number, |node| {
                    let [a, b, c, d, e, last] = node.mac.0;
                    node.mac = MacAddr([a, b, c, d, e ^ 0x10, last]);
                });
                return self.tell_link(number);
            }
            Fault::Terminate(number) => {
                self.change(number, |node| {
                    if let Some(speaker) = node.speaker.as_mut() {
                        speaker.draining = true;
                    }
                });
                self.later(GRACE, Occurrence::Exit(number));
                return self.give(number, Input::Drain);
            }
            Fault::HandOver { node, group, to } => {
                let to = to.map(|to| self.id(to));
                self.change(node, |_| {});
                return self.give(node, Input::HandOver { group: Self::group(group), to });
            }
            Fault::Ready { node, group, ready } => {
                let plan = self.nodes.get(node).and_then(|node| node.plan.get(&Self::group(group)));
                if plan.is_none_or(|plan| plan.ready == ready) {
                    return Ok(());
                }
                self.change(node, |node| {
                    if let Some(plan) = node.plan.get_mut(&Self::group(group)) {
                        plan.ready = ready;
                    }
                });
                return self.configure(node);
            }
            Fault::Configure(number) => return self.configure(number),
            Fault::Block { from, to } => self.network.block(Port(from), Port(to), true, now),
            Fault::Split(ref side) => {
                let inside = |port: &Port| side.contains(&port.0);
                let all = (0..self.network.ports).map(Port);
                let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
                let pairs: Vec<_> = pairs.filter(|(a, b)| inside(a) != inside(b)).collect();
                pairs.into_iter().for_each(|(a, b)| self.network.block(a, b, true, now));
            }
            Fault::Deafen(node) => self.isolate(node, |other| (other, Port(node))),
            Fault::Mute(node) => self.isolate(node, |other| (Port(node), other)),
            Fault::Lose(part) => self.network.lose(part, now),
            Fault::Muffle(part) => self.network.muffle(part, now),
            Fault::Lag(ms) => self.network.lag(Duration::from_millis(ms), now),
            Fault::Rekey(number) => return self.rekey(number),
            Fault::Squat { group, begin } => self.squat(Self::group(group), begin),
            Fault::Heal => self.network.heal(now),
            Fault::Replay => self.attack(Sender::Replayer, |payload, _| payload),
            Fault::Forge => self.attack(Sender::Forger, damaged),
        }
        Ok(())
    }

    /// The first client uses the addresses of a group, or no longer.
    fn squat(&mut self, group: GroupId, begin: bool) {
        let addresses = self.addresses.iter().filter(|(_, id)| **id == group).map(|(address, _)| *address);
        let addresses: Vec<IpAddr> = addresses.collect();
        let Some(station) = self.stations.first_mut() else { return };
        for address in addresses {
            if begin {
                station.squats.insert(address);
            } else {
                station.squats.remove(&address);
            }
        }
        self.book.squatted(group, begin.then_some((station.port, self.now)));
    }

    fn come_or_go(&mut self, number: usize, change: impl FnOnce(&mut Node)) {
        let now = self.now;
        self.change(number, |node| {
            change(node);
            node.moved = now;
        });
    }

    fn change(&mut self, number: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(number) {
            change(node);
            node.changed = self.now;
        }
    }

    /// Somebody sends all nodes a hello that he recorded, perhaps changed.
    fn attack(&mut self, from: Sender, change: impl FnOnce(Vec<u8>, &mut fastrand::Rng) -> Vec<u8>) {
        let choice = self.random.usize(..self.recorded.len().max(1));
        let Some(Recording { payload, source, .. }) = self.recorded.get(choice).cloned() else { return };
        let payload = Rc::new(change(payload.to_vec(), &mut self.random));
        self.inject(from, source, &payload);
    }

    /// A hello recorded elsewhere is sent to all nodes.
    pub fn replay(&mut self, payload: Vec<u8>, source: IpAddr) {
        self.inject(Sender::Replayer, source, &Rc::new(payload));
    }

    fn inject(&mut self, from: Sender, source: IpAddr, payload: &Rc<Vec<u8>>) {
        // An attacker's packets reach whom anybody's reach.
        let network = &self.network;
        let hearing = (0..self.nodes.len()).filter(|to| !network.cut_off(Port(*to)).0);
        for to in hearing.collect::<Vec<_>>() {
            let payload = Rc::clone(payload);
            self.later(self.setup.delay, Occurrence::Hello { from, to, source, payload });
        }
    }

    fn isolate(&mut self, node: usize, path: impl Fn(Port) -> (Port, Port)) {
        for other in (0..self.network.ports).filter(|other| *other != node) {
            let (from, to) = path(Port(other));
            self.network.block(from, to, true, self.now);
        }
    }

    /// Nobody goes ahead by more than one step, or the two would not understand each other.
    fn rekey(&mut self, number: usize) -> Result<(), Violation> {
        let slowest = self.nodes.iter().map(|node| node.keys).min();
        let Some(node) = self.nodes.get_mut(number).filter(|node| Some(node.keys) == slowest) else {
            return Ok(());
        };
        node.keys = node.keys.next();
        let keys = Box::new(node.keys.ring(self.setup.signing));
        self.give(number, Input::Keys(keys))
    }

    fn start(&mut self, number: usize, parts: Option<Parts>) -> Result<(), Violation> {
        if self.nodes.get(number).is_some_and(|node| node.powered && node.speaker.is_some()) {
            return Ok(());
        }
        self.come_or_go(number, |node| node.powered = true);
        let (now, incarnation) = (self.now, self.random.u64(..));
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        if node.speaker.is_some() {
            return Ok(());
        }
        let steps = node.start(&self.setup, incarnation, parts, now);
        self.wakes.set(number, Some(self.elapsed));
        if parts.is_some() {
            self.later(Duration::ZERO, Occurrence::Part { node: number, born: now });
        }
        self.follow(number, steps)
    }

    /// Tells a process of some more of its groups.
    pub(super) fn tell_part(&mut self, number: usize, born: Instant) -> Result<(), Violation> {
        let now = self.now;
        let process = self.nodes.get_mut(number).filter(|node| node.born == Some(born));
        let Some(node) = process.filter(|node| node.speaker.is_some()) else { return Ok(()) };
        let (steps, pause) = node.give_part(now);
        self.note(|| format!("node {number}: told of some groups"));
        if let Some(pause) = pause {
            self.later(pause, Occurrence::Part { node: number, born });
        }
        self.follow(number, steps)
    }

    fn freeze(&mut self, number: usize) {
        let now = self.now;
        self.change(number, |node| {
            if let Some(speaker) = node.speaker.as_mut() {
                speaker.frozen = true;
                node.froze = Some(now);
            }
        });
    }

    fn thaw(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        self.change(number, |node| {
            if let Some(speaker) = node.speaker.as_mut() {
                speaker.frozen = false;
            }
        });
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let mut steps = node.run(now);
        // What changed meanwhile is told by netlink and the watches once the process runs.
        let link = node.link_state(&self.setup);
        steps.extend(node.give(now, Input::Link(link)));
        let keys = Box::new(node.keys.ring(self.setup.signing));
        steps.extend(node.give(now, Input::Keys(keys)));
        steps.extend(node.give_list(now));
        self.follow(number, steps)
    }

    fn tell_link(&mut self, number: usize) -> Result<(), Violation> {
        let Some(node) = self.nodes.get(number) else { return Ok(()) };
        let link = node.link_state(&self.setup);
        self.give(number, Input::Link(link))
    }

    fn configure(&mut self, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let steps = node.give_list(now);
        self.follow(number, steps)
    }

    fn give(&mut self, number: usize, input: Input<'_>) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(number) else { return Ok(()) };
        let steps = node.give(now, input);
        self.follow(number, steps)
    }
}

/// Damages a hello; half of the time so that it looks newer than all that were sent.
fn damaged(mut payload: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    let bit = random.usize(..payload.len().max(1) * 8);
    if let Some(byte) = payload.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    if random.bool()
        && let Some(byte) = payload.get_mut(SEQ_AT)
    {
        let other = random.u8(..8);
        // The same bit twice would leave it as it was.
        if SEQ_AT * 8 + usize::from(other) != bit {
            *byte ^= 1 << other;
        }
    }
    if random.u8(..4) == 0 {
        payload.truncate(random.usize(..payload.len().max(1)));
    }
    payload
}
