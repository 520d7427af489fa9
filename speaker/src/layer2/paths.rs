// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! By which way each other node is heard, and when to try another: pure.
//!
//! Hellos are multicast. Where a peer that is expected is not heard so, copies of ours go to it by unicast, and as raw frames to
//! everybody: before its silence means anything, since the engine asks a silent peer by the same ways. A raw copy says
//! whom its sender misses, and whoever is meant sends raw copies too: a firewall of one host keeps that host from hearing,
//! but not from being heard.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ferrolb_layer2::frame::carried::Wish;
use ferrolb_layer2::{ByNode, NodeId, Timing};

/// Copies by unicast that go out with one hello; the others have their turn with the next ones.
const UNICAST_AT_ONCE: usize = 16;
/// Addresses of one node that are tried.
const ADDRESSES: usize = 2;
/// Between two copies for a node that has answered none so far …
const PAUSE: Duration = Duration::from_secs(1);
/// … and once it has been unheard for longer than this, …
const LONG: Duration = Duration::from_secs(60);
/// … between two of those.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// How a hello came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To all hosts, as it should.
    Multicast,
    /// To this node alone.
    Unicast,
    /// In a frame of its own, past IP.
    Raw,
}

impl Way {
    /// What to change in the network so that hellos need no detour.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Multicast => "nothing needs to be changed",
            Self::Unicast => {
                "the network filters multicast: let 224.0.0.1 and ff02::1 pass in the switch or hypervisor"
            }
            Self::Raw => {
                "a firewall drops hellos: let UDP port 7948 in, from the segment to this node and to those nodes"
            }
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Multicast => "by multicast",
            Self::Unicast => "by unicast",
            Self::Raw => "by raw frames (EtherType 0x88b5)",
        })
    }
}

/// What else to do with a hello that goes to everybody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copies {
    /// Send it to these addresses.
    pub(super) unicast: Vec<IpAddr>,
    /// Send it in a frame with this wish.
    pub(super) raw: Option<Wish>,
}

/// The other nodes of a segment, and the ways to them.
#[derive(Debug)]
pub(super) struct Paths {
    timing: Timing,
    /// Looked up for each hello.
    peers: ByNode<Peer>,
    /// When somebody last wished for our hellos in frames.
    wished: Option<Instant>,
}

#[derive(Debug)]
struct Peer {
    expected: bool,
    /// Its addresses on the segment, as far as its Node says them.
    addresses: Vec<IpAddr>,
    /// Where it spoke from last.
    source: Option<IpAddr>,
    multicast: Option<Instant>,
    unicast: Option<Instant>,
    raw: Option<Instant>,
    /// It has been unheard by multicast since then at the latest.
    since: Instant,
    tried: Option<Instant>,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self {
            expected: false,
            addresses: Vec::new(),
            source: None,
            multicast: None,
            unicast: None,
            raw: None,
            since: now,
            tried: None,
        }
    }

    /// For how long it has not been heard by multicast.
    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.multicast.unwrap_or(self.since))
    }

    fn is_missed(&self, now: Instant, timing: &Timing) -> bool {
        self.silence(now) >= timing.suspect
    }

    /// By which detour it is heard and no better; `None` also if it is not heard at all.
    fn detour(&self, now: Instant, timing: &Timing) -> Option<Way> {
        let heard =
            |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) < lately(timing));
        // Of two copies the first counts, which is the datagram mostly.
        let way = if heard(self.unicast) { Way::Unicast } else { Way::Raw };
        (heard(self.unicast.max(self.raw)) && self.is_missed(now, timing)).then_some(way)
    }

    /// Whether a copy should be tried now.
    fn is_due(&self, now: Instant, timing: &Timing) -> bool {
        let silence = self.silence(now);
        if silence < timing.suspect {
            return false;
        }
        let pause = if silence < lately(timing) || self.detour(now, timing).is_some() {
            Duration::ZERO
        } else if silence < LONG {
            PAUSE
        } else {
            LONG_PAUSE
        };
        self.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= pause)
    }

    fn targets(&self) -> impl Iterator<Item = IpAddr> {
        let known = self.addresses.iter().filter(|address| Some(**address) != self.source);
        self.source.iter().chain(known).take(ADDRESSES).copied()
    }
}

/// What was heard within this time still tells how the network is: some dead intervals.
fn lately(timing: &Timing) -> Duration {
    timing.dead.saturating_mul(4)
}

impl Paths {
    /// Nobody is known yet.
    pub(super) fn new(timing: Timing) -> Self {
        Self { timing, peers: ByNode::default(), wished: None }
    }

    /// These nodes, and no others, should be on the segment, with these addresses as far as they are known.
    pub(super) fn expect(&mut self, nodes: BTreeMap<NodeId, Vec<IpAddr>>, now: Instant) {
        self.peers.retain(|node, peer| {
            peer.expected = nodes.contains_key(node);
            peer.expected || peer.source.is_some()
        });
        for (node, addresses) in nodes {
            let peer = self.peers.entry(node).or_insert_with(|| Peer::new(now));
            peer.expected = true;
            peer.addresses = addresses;
        }
    }

    /// A genuine hello of the node came this way, and it was new.
    pub(super) fn heard(&mut self, node: NodeId, way: Way, source: IpAddr, at: Instant) {
        let peer = self.peers.entry(node).or_insert_with(|| Peer::new(at));
        peer.source = Some(source);
        match way {
            Way::Multicast => peer.multicast = peer.multicast.max(Some(at)),
            Way::Unicast => peer.unicast = peer.unicast.max(Some(at)),
            Way::Raw => peer.raw = peer.raw.max(Some(at)),
        }
    }

    /// A genuine hello came in a frame that wishes for ours.
    pub(super) fn wished_for(&mut self, at: Instant) {
        self.wished = self.wished.max(Some(at));
    }

    /// Forgets who is neither expected nor was heard lately, so that what left the segment does not cost for ever.
    fn prune(&mut self, now: Instant) {
        let forget = self.timing.forget;
        let recent = |at: Instant| now.saturating_duration_since(at) < forget;
        self.peers.retain(|_, peer| {
            let heard = peer.multicast.max(peer.unicast).max(peer.raw);
            peer.expected || recent(heard.unwrap_or(peer.since))
        });
    }

    /// What to do with a hello that goes to everybody now.
    pub(super) fn copies(&mut self, now: Instant) -> Copies {
        self.prune(now);
        let timing = self.timing;
        let somebody = self.peers.values().any(|peer| !peer.is_missed(now, &timing));
        let mut due: Vec<_> = self.peers.iter_mut().filter(|(_, peer)| peer.is_due(now, &timing)).collect();
        due.sort_unstable_by_key(|(node, peer)| (peer.tried, **node));
        let wish = due.first().map(|(node, _)| if somebody { Wish::One(**node) } else { Wish::Everybody });
        let mut unicast = Vec::new();
        for (_, peer) in due.into_iter().take(UNICAST_AT_ONCE) {
            peer.tried = Some(now);
            unicast.extend(peer.targets());
        }
        Copies { unicast, raw: wish.or_else(|| self.answer(now)) }
    }

    /// Whether a hello to `address` alone, a question or an answer, goes in a frame as well, and with which wish. Questions
    /// come when silence is about to mean something, so they never wait for their turn.
    pub(super) fn copy_to_one(&self, address: IpAddr, now: Instant) -> Option<Wish> {
        let missed = |peer: &Peer| peer.source == Some(address) && peer.is_missed(now, &self.timing);
        let asked = self.peers.iter().find(|(_, peer)| missed(peer));
        asked.map(|(node, _)| Wish::One(*node)).or_else(|| self.answer(now))
    }

    /// A frame that only grants what others wish for, or two nodes would answer each other for ever.
    fn answer(&self, now: Instant) -> Option<Wish> {
        let lately = |at| now.saturating_duration_since(at) < lately(&self.timing);
        self.wished.is_some_and(lately).then_some(Wish::Nothing)
    }

    /// The nodes that are heard, but have not been by multicast for a while, and by which way instead.
    pub(super) fn detours(&self, now: Instant) -> BTreeMap<NodeId, Way> {
        let detour = |(node, peer): (&NodeId, &Peer)| {
            let way = peer.detour(now, &self.timing)?;
            // Who only stood still for a moment answers a question first.
            (peer.silence(now) >= lately(&self.timing)).then_some((*node, way))
        };
        self.peers.iter().filter_map(detour).collect()
    }
}

#[cfg(test)]
mod tests;
