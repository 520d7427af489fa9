// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One address under watch: where its check stands, and what follows from the answers.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Instant;

use super::testimony::Verdict;
use crate::identity::{GroupId, MacAddr, NodeId, Term};

/// So often an answer is waited for before its absence is told.
const TRIES: u8 = 3;
/// Stations that answer for one address, as far as they are remembered.
const STATIONS: usize = 4;

/// One address under watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) group: GroupId,
    pub(super) owner: NodeId,
    pub(super) term: Term,
    /// Where the owner's hellos come from: its own address.
    pub(super) owner_ip: IpAddr,
    /// The TCP port that is tried, if one is.
    pub(super) port: Option<NonZeroU16>,
    /// When the next step is due.
    pub(super) at: Instant,
    pub(super) step: Step,
    pub(super) verdict: Option<Verdict>,
}

/// Where a check stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Between two checks.
    Resting,
    /// The address was asked for.
    Asking {
        tries: u8,
        /// Who answered the last question.
        stations: Vec<MacAddr>,
    },
    /// The port was asked.
    Knocking {
        tries: u8,
        /// The station that answered for the address.
        mac: MacAddr,
        sequence: u32,
    },
}

/// What to do when a step's time is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask for the address.
    Ask {
        tries: u8,
        /// A station answered that is not known to be the owner's.
        stranger: bool,
    },
    /// Ask the port at this station.
    Knock { tries: u8, mac: MacAddr, port: NonZeroU16 },
    /// The check is over.
    Conclude(Verdict),
    /// There is nothing to check any more.
    Rest,
}

impl Watch {
    /// The check begins at `at`.
    pub(super) fn resting(group: GroupId, owner: NodeId, term: Term, owner_ip: IpAddr, at: Instant) -> Self {
        Self { group, owner, term, owner_ip, port: None, at, step: Step::Resting, verdict: None }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.step != Step::Resting
    }

    /// The station says that it has the address.
    pub(super) fn answered(&mut self, station: MacAddr) {
        if let Step::Asking { stations, .. } = &mut self.step
            && !stations.contains(&station)
            && stations.len() < STATIONS
        {
            stations.push(station);
        }
    }

    /// What follows once the time of the step is over. `owner_mac`: the station of the owner's own address, if that
    /// answered; `node_of`: whose a station is.
    pub(super) fn next(
        &self,
        owner_mac: Option<MacAddr>,
        node_of: impl Fn(MacAddr) -> Option<NodeId>,
    ) -> Next {
        match &self.step {
            Step::Resting => Next::Ask { tries: 1, stranger: false },
            Step::Asking { tries, stations } => {
                let is_owner = |mac: &MacAddr| Some(*mac) == owner_mac;
                let other = stations.iter().copied().find(|mac| !is_owner(mac));
                match (stations.as_slice(), other) {
                    ([mac], None) => self.settled(*mac),
                    // Who the owner's station is could not be learned: one station that answers is taken for it.
                    ([mac], Some(_)) if owner_mac.is_none() && *tries >= TRIES && node_of(*mac).is_none() => {
                        self.settled(*mac)
                    }
                    _ if *tries < TRIES => {
                        Next::Ask { tries: tries.saturating_add(1), stranger: other.is_some() }
                    }
                    (_, Some(mac)) => Next::Conclude(Verdict::OtherStation {
                        mac,
                        node: node_of(mac),
                        beside_owner: stations.iter().any(is_owner),
                    }),
                    (_, None) => Next::Conclude(Verdict::NoResponder { mute: owner_mac.is_none() }),
                }
            }
            Step::Knocking { tries, mac, .. } => match self.port {
                Some(port) if *tries < TRIES => {
                    Next::Knock { tries: tries.saturating_add(1), mac: *mac, port }
                }
                Some(port) => Next::Conclude(Verdict::PortFiltered { port }),
                None => Next::Conclude(Verdict::Reachable),
            },
        }
    }

    /// The same for an address that the asking node carries itself: every station that answers is another.
    pub(super) fn next_of_own(&self, node_of: impl Fn(MacAddr) -> Option<NodeId>) -> Next {
        match &self.step {
            Step::Resting | Step::Knocking { .. } => Next::Ask { tries: 1, stranger: true },
            Step::Asking { tries, .. } if *tries < TRIES && !self.is_unanswered() => {
                Next::Ask { tries: tries.saturating_add(1), stranger: true }
            }
            Step::Asking { stations, .. } => stations.first().map_or(Next::Rest, |mac| {
                let (mac, node) = (*mac, node_of(*mac));
                Next::Conclude(Verdict::OtherStation { mac, node, beside_owner: true })
            }),
        }
    }

    fn is_unanswered(&self) -> bool {
        matches!(&self.step, Step::Asking { stations, .. } if stations.is_empty())
    }

    /// The owner's station alone answers.
    fn settled(&self, mac: MacAddr) -> Next {
        match self.port {
            Some(port) => Next::Knock { tries: 1, mac, port },
            None => Next::Conclude(Verdict::Reachable),
        }
    }
}
