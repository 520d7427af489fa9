// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A node: its machine and kernel, and the speaker process that drives an engine as the real driver does.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    Budget, Cause, Event, GroupId, Heard, Incarnation, Input, LinkState, MacAddr, NodeId, Output, Segment,
    SegmentConfig, Timing, frame,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    kernel::BoundAddresses,
    key_change::KeyStep,
    listing::{Parts, Untold},
    network::Port,
    world::Setup,
};

/// The kernel's buffer of a socket holds so many packets while the process stands still; those that come later are lost,
/// so that after a long while the newest hello in it is old.
const BUFFERED: usize = 64;
/// Frames that the driver gives in per round.
const FRAMES_PER_ROUND: usize = 64;

/// A machine on the segment.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) port: Port,
    pub(crate) mac: MacAddr,
    pub(crate) address: Ipv4Addr,
    pub(crate) link_local: Ipv6Addr,
    /// The machine runs.
    pub(crate) powered: bool,
    /// Its cable is in.
    pub(crate) link: bool,
    pub(crate) speaker: Option<Speaker>,
    /// What it is to do with each group.
    pub(crate) plan: BTreeMap<GroupId, GroupPlan>,
    /// What its process was not told of that yet.
    pub(crate) untold: Option<Untold>,
    /// What its kernel answers for by itself.
    pub(crate) bound: BoundAddresses,
    /// When its health last changed.
    pub(crate) changed: Instant,
    /// When it last came or went: standing still is neither.
    pub(crate) moved: Instant,
    /// When its speaker last began to stand still.
    pub(crate) froze: Option<Instant>,
    /// When its speaker was last started.
    pub(crate) born: Option<Instant>,
    pub(crate) keys: KeyStep,
    pub(crate) timing: Timing,
}

/// What the configuration says of a group, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Who may carry it.
    pub candidates: Vec<NodeId>,
    /// This node's data path for it is in place.
    pub ready: bool,
    /// The owner has the addresses on its interface.
    pub bound: bool,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Machine, link and speaker are fine.
    Well,
    /// As before, but on its way out.
    Draining,
    /// The speaker stands still.
    Frozen,
    /// Machine and kernel run, no speaker does.
    SpeakerDead,
    /// Cable out or machine off.
    Unreachable,
}

/// The speaker process.
pub(crate) struct Speaker {
    pub(crate) segment: Segment,
    pub(crate) frozen: bool,
    pub(crate) draining: bool,
    hellos: VecDeque<Datagram>,
    frames: VecDeque<(Rc<Frame>, Instant)>,
}

/// A frame on the wire, read once for everybody who looks at it from outside; engines read it themselves.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) heard: Option<Heard>,
}

impl Frame {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let heard = frame::parse(&bytes).ok().flatten();
        Self { bytes, heard }
    }
}

/// A hello that arrived.
pub(crate) struct Datagram {
    pub(crate) payload: Rc<Vec<u8>>,
    /// An attacker damaged it.
    pub(crate) forged: bool,
    pub(crate) source: IpAddr,
    pub(crate) received: Instant,
}

/// What the speaker did with one input.
pub(crate) struct Step {
    /// When the frame arrived that it was given, if it was one.
    pub(crate) prompted_at: Option<Instant>,
    /// It was given a damaged hello, and something changed.
    pub(crate) fooled: bool,
    /// What it claimed for the silence of a node that it believes to be up.
    pub(crate) blames: Vec<(GroupId, NodeId)>,
    pub(crate) outputs: Vec<Output>,
}

impl Node {
    pub(crate) fn new(number: usize, id: NodeId, timing: Timing, now: Instant) -> Self {
        let byte = u8::try_from(number % 200).unwrap_or(0).saturating_add(1);
        Self {
            id,
            port: Port(number),
            mac: MacAddr([2, 0, 0, 0, 0, byte]),
            address: Ipv4Addr::new(192, 0, 2, byte),
            link_local: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, byte.into()),
            powered: true,
            link: true,
            speaker: None,
            plan: BTreeMap::new(),
            untold: None,
            bound: BoundAddresses::default(),
            changed: now,
            moved: now,
            froze: None,
            born: None,
            keys: KeyStep::default(),
            timing,
        }
    }

    pub(crate) fn health(&self) -> Health {
        match &self.speaker {
            _ if !self.reachable() => Health::Unreachable,
            None => Health::SpeakerDead,
            Some(speaker) if speaker.frozen => Health::Frozen,
            Some(speaker) if speaker.draining => Health::Draining,
            Some(_) => Health::Well,
        }
    }

    pub(crate) fn reachable(&self) -> bool {
        self.powered && self.link
    }

    /// Whether it is a candidate that cannot carry the group now, which no other node knows.
    pub(crate) fn is_waited_for_in_vain(&self, group: GroupId) -> bool {
        self.plan.get(&group).is_some_and(|plan| plan.candidates.contains(&self.id)) && !self.may_carry(group)
    }

    /// Whether its configuration lets it carry the group.
    pub(crate) fn may_carry(&self, group: GroupId) -> bool {
        let may = |plan: &GroupPlan| plan.ready && plan.candidates.contains(&self.id);
        self.plan.get(&group).is_some_and(may) && self.was_told(group)
    }

    /// Starts a new speaker process.
    pub(crate) fn start(
        &mut self,
        setup: &Setup,
        incarnation: u64,
        parts: Option<Parts>,
        now: Instant,
    ) -> Vec<Step> {
        let config = SegmentConfig {
            cluster: setup.cluster,
            node: self.id,
            incarnation: Incarnation::from_random(incarnation),
            seed: incarnation,
            keys: self.keys.ring(setup.signing),
            timing: self.timing,
            budget: Budget::DEFAULT,
        };
        self.born = Some(now);
        self.drop_addresses();
        self.speaker = Some(Speaker {
            segment: Segment::new(config, now),
            frozen: false,
            draining: false,
            hellos: VecDeque::new(),
            frames: VecDeque::new(),
        });
        let link = self.link_state(setup);
        let mut steps = self.give(now, Input::Link(link));
        self.learn(parts);
        if parts.is_none() {
            steps.extend(self.give_list(now));
        }
        steps
    }

    pub(crate) fn link_state(&self, setup: &Setup) -> LinkState {
        LinkState {
            up: self.link,
            mac: self.mac,
            addresses: on_link(self.address, self.link_local),
            gateways: setup.gateway.into_iter().map(IpAddr::V4).collect(),
        }
    }

    /// Gives something in that does not come from the wire. A frozen process does not take it.
    pub(crate) fn give(&mut self, now: Instant, input: Input<'_>) -> Vec<Step> {
        let Some(speaker) = self.speaker.as_mut().filter(|speaker| !speaker.frozen) else {
            return Vec::new();
        };
        vec![speaker.step(now, input)]
    }

    /// A datagram arrives at the hello port.
    pub(crate) fn buffer_hello(&mut self, datagram: Datagram) -> bool {
        let Some(speaker) = self.speaker.as_mut() else { return false };
        if speaker.hellos.len() < BUFFERED {
            speaker.hellos.push_back(datagram);
        }
        !speaker.frozen
    }

    /// A frame arrives at the packet socket.
    pub(crate) fn buffer_frame(&mut self, frame: Rc<Frame>, now: Instant) -> bool {
        let Some(speaker) = self.speaker.as_mut() else { return false };
        if speaker.frames.len() < BUFFERED {
            speaker.frames.push_back((frame, now));
        }
        !speaker.frozen
    }

    /// What the kernel answers by itself: for the addresses on its interface, whether or not a speaker runs.
    pub(crate) fn kernel_answer(&self, heard: &Heard, now: Instant) -> Option<Vec<u8>> {
        let own = [IpAddr::V4(self.address), IpAddr::V6(self.link_local)];
        heard.asked().filter(|asked| own.contains(asked) || self.has_bound_address(*asked, now))?;
        frame::answer(heard, self.mac)
    }

    /// The process runs: hellos, then the clock, then some frames.
    pub(crate) fn run(&mut self, now: Instant) -> Vec<Step> {
        let Some(speaker) = self.speaker.as_mut().filter(|speaker| !speaker.frozen) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        while let Some(Datagram { payload, forged, source, received }) = speaker.hellos.pop_front() {
            let input = Input::Hello { payload: &payload, hop_limit: 255, source, received };
            let step = if forged { speaker.suspicious_step(now, input) } else { speaker.step(now, input) };
            steps.extend(step.told());
        }
        let mut rounds = 0;
        while rounds < 100 && speaker.segment.next_deadline().is_some_and(|at| at <= now) {
            steps.extend(speaker.step(now, Input::Timeout).told());
            rounds += 1;
        }
        for _ in 0..FRAMES_PER_ROUND {
            let Some((frame, received)) = speaker.frames.pop_front() else { break };
            let input = Input::Frame { bytes: &frame.bytes, received };
            let step = Step { prompted_at: Some(received), ..speaker.step(now, input) };
            steps.extend(step.told());
        }
        steps
    }

    /// When the process should run next, from its engine and its buffers.
    pub(crate) fn next_run(&self, now: Instant) -> Option<Instant> {
        let speaker = self.speaker.as_ref().filter(|speaker| !speaker.frozen)?;
        let backlog = (!speaker.frames.is_empty()).then_some(now);
        speaker.segment.next_deadline().into_iter().chain(backlog).min()
    }
}

impl Step {
    /// The step, if anything came of it: of most packets nothing does.
    fn told(self) -> Option<Self> {
        (self.fooled || !self.outputs.is_empty()).then_some(self)
    }
}

impl Speaker {
    fn step(&mut self, now: Instant, input: Input<'_>) -> Step {
        self.segment.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.segment.poll_output()).collect();
        let blamed = |output: &Output| match output {
            Output::Event(Event::Claimed { group, cause: Cause::Silence(node), .. }) => Some((*group, *node)),
            _ => None,
        };
        let mut blames: Vec<(GroupId, NodeId)> = outputs.iter().filter_map(blamed).collect();
        if !blames.is_empty() {
            let peers = self.segment.view(now).peers;
            blames.retain(|(_, silent)| peers.iter().any(|peer| peer.node == *silent));
        }
        Step { prompted_at: None, fooled: false, blames, outputs }
    }

    /// A step that must change nothing but counters.
    fn suspicious_step(&mut self, now: Instant, input: Input<'_>) -> Step {
        let before = self.segment.view(now);
        let step = self.step(now, input);
        let after = self.segment.view(now);
        // A process that stood still notices that with any input.
        let fooled =
            before.phase == after.phase && (before.peers, before.groups) != (after.peers, after.groups);
        Step { fooled, ..step }
    }
}

fn on_link(v4: Ipv4Addr, v6: Ipv6Addr) -> Vec<IpNet> {
    let v4 = Ipv4Net::new(v4, 24).map(IpNet::V4);
    let v6 = Ipv6Net::new(v6, 64).map(IpNet::V6);
    v4.into_iter().chain(v6).collect()
}

/// How long a process may take from the arrival of a packet to reading it, when it does not stand still.
pub(crate) const SCHEDULING: Duration = Duration::from_millis(2);
