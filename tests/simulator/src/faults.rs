// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What can go wrong.

/// Something that is done to the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The machine loses power.
    Crash(usize),
    /// The speaker process dies without a word; machine and kernel go on.
    Kill(usize),
    /// The machine gets power and a speaker starts, if none runs.
    Start(usize),
    /// As before, but the process is told of its groups part by part.
    StartInParts {
        /// Where.
        node: usize,
        /// Groups in a part.
        size: usize,
        /// Milliseconds between two parts.
        pause: u64,
    },
    /// The process stands still (SIGSTOP, starvation, a paused virtual machine's worth).
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// The cable is pulled or put in.
    Cable(usize, bool),
    /// The interface gets another MAC.
    NewMac(usize),
    /// SIGTERM: the speaker hands everything over and ends.
    Terminate(usize),
    /// Somebody asks a node to move a group.
    HandOver {
        /// Who is asked.
        node: usize,
        /// What is to move.
        group: usize,
        /// Where to.
        to: Option<usize>,
    },
    /// A node's data path for a group comes or goes.
    Ready {
        /// Where.
        node: usize,
        /// Which.
        group: usize,
        /// Whether it is in place.
        ready: bool,
    },
    /// The node is told its configuration again.
    Configure(usize),
    /// Nothing passes from one port to another.
    Block {
        /// Sender.
        from: usize,
        /// Receiver.
        to: usize,
    },
    /// These ports are separated from all others.
    Split(Vec<usize>),
    /// The node hears nothing, but is heard.
    Deafen(usize),
    /// The node hears, but nothing that it sends arrives.
    Mute(usize),
    /// This part of all packets is lost.
    Lose(f64),
    /// This part of the datagrams to all is lost, as where a switch filters multicast.
    Muffle(f64),
    /// Every packet takes so many milliseconds longer.
    Lag(u64),
    /// The wire is as new.
    Heal,
    /// An attacker repeats a hello that he recorded.
    Replay,
    /// An attacker sends a hello that he damaged.
    Forge,
    /// A client begins to use an address of a group, or stops to.
    Squat {
        /// Whose address.
        group: usize,
        /// Whether it begins.
        begin: bool,
    },
    /// The node learns the keys of the next step of their change, unless another is behind it.
    Rekey(usize),
}

impl Fault {
    /// Some fault for a world of so many nodes, ports and groups.
    pub fn any(nodes: usize, ports: usize, groups: usize, random: &mut fastrand::Rng) -> Self {
        let node = random.usize(..nodes.max(1));
        let group = random.usize(..groups.max(1));
        let mut port = || random.usize(..ports.max(1));
        let (from, to, third) = (port(), port(), port());
        match random.u8(..27) {
            0 | 1 => Self::Crash(node),
            2 | 3 => Self::Kill(node),
            4 | 5 => Self::Freeze(node),
            6 => Self::Cable(node, false),
            7 => Self::NewMac(node),
            8 | 9 => Self::Terminate(node),
            10 => Self::HandOver { node, group, to: random.bool().then(|| random.usize(..nodes.max(1))) },
            11 => Self::HandOver { node, group, to: None },
            12 | 13 => Self::Ready { node, group, ready: random.bool() },
            14 => Self::Configure(node),
            15 => Self::Block { from: node, to },
            16 => Self::Block { from, to: node },
            17 => Self::Split(vec![from, third]),
            18 => Self::Lose(0.3 * random.f64()),
            19 => Self::Deafen(node),
            20 => Self::Mute(node),
            21 => Self::Muffle(0.3 + 0.7 * random.f64()),
            22 => Self::Lag(random.u64(5..120)),
            23 | 24 => Self::Replay,
            25 => Self::Squat { group, begin: random.u8(..4) > 0 },
            _ => Self::Forge,
        }
    }

    /// Whether it befalls a machine or its process, and so all segments that it is on.
    pub fn befalls_the_machine(&self) -> bool {
        matches!(
            self,
            Self::Crash(_)
                | Self::Kill(_)
                | Self::Start(_)
                | Self::StartInParts { .. }
                | Self::Freeze(_)
                | Self::Thaw(_)
                | Self::Terminate(_)
                | Self::Rekey(_)
        )
    }
}
