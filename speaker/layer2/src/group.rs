// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One group on one segment: what this node wants with it and where it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Instant,
};

use crate::{
    identity::{MacAddr, NodeId, Term},
    input::GroupIntent,
    output::Cause,
    rank::Key,
};

/// A group that the segment carries.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) intent: GroupIntent,
    pub(crate) role: Role,
    /// The best claim of a peer that is up.
    pub(crate) rival: Option<Key>,
    /// Why nobody held it when that was last so.
    pub(crate) vacancy: Cause,
    /// Since when role or rival are what they are.
    pub(crate) since: Instant,
}

/// Where this node stands in a group. Linger is none of these: it is the data path's.
#[derive(Debug)]
pub(crate) enum Role {
    /// Somebody else owns it, or this node may not.
    Standby,
    /// Nobody owns it; this node claims at the given time unless somebody of better rank does before.
    Contending {
        at: Instant,
        /// It holds its share already, and let those with room go first.
        deferred: bool,
    },
    /// It would claim, but nothing proves that others hear it.
    Unproven,
    /// It would claim what nobody is known to have held, and asks whether somebody outside the cluster has it.
    Searching(Search),
    /// Stations outside the cluster have it; it is looked for again at the given time.
    Conflict { until: Instant, stations: BTreeMap<IpAddr, MacAddr> },
    /// It owns it.
    Owner(Tenure),
}

/// Probes for addresses that are used for the first time.
#[derive(Debug)]
pub(crate) struct Search {
    /// When the first was sent.
    pub(crate) begun: Instant,
    /// Probes still to be sent.
    pub(crate) left: u8,
    /// When the next is due, or the end.
    pub(crate) next: Instant,
    /// Who answered for what.
    pub(crate) foreign: BTreeMap<IpAddr, MacAddr>,
}

/// An ownership.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) term: Term,
    pub(crate) cause: Cause,
    pub(crate) voice: Voice,
    pub(crate) move_out: MoveOut,
    /// When it last contradicted a lower claim.
    pub(crate) contradicted: Option<Instant>,
    /// Addresses that came to the group meanwhile and are not answered for yet.
    pub(crate) joining: Option<Box<Joining>>,
}

/// Addresses that came to a group which this node owns: somebody outside the cluster may have them.
#[derive(Debug)]
pub(crate) struct Joining {
    /// All of them.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// The search for them; those that were found wait for the next one.
    pub(crate) search: Search,
    /// Whom the last search found.
    pub(crate) stations: BTreeMap<IpAddr, MacAddr>,
}

/// Whether clients that hold another MAC are told to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// The addresses are announced.
    Loud,
    /// The kernel of `of`, whose speaker died, still serves its old clients: until `until` at most, only new ones are answered.
    Quiet { of: NodeId, until: Instant },
}

/// Whether it should go to another node.
#[derive(Debug)]
pub(crate) enum MoveOut {
    /// It stays.
    No,
    /// It should go for this reason, to this node if one is named, and is offered when its turn comes.
    Waiting { cause: Cause, only: Option<NodeId> },
    /// It was offered to a successor.
    Offered(Offer),
    /// It should go for this reason, but nobody took it.
    Stuck(Cause),
}

/// An offer under way.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) cause: Cause,
    pub(crate) to: NodeId,
    pub(crate) until: Instant,
    /// Who was asked, the present one included.
    pub(crate) asked: BTreeSet<NodeId>,
    /// Nobody but this node will do.
    pub(crate) only: Option<NodeId>,
}

impl Group {
    pub(crate) fn new(intent: GroupIntent, now: Instant) -> Self {
        Self { intent, role: Role::Standby, rival: None, vacancy: Cause::FirstUse, since: now }
    }

    /// Whether `me` may carry it now.
    pub(crate) fn may_be_mine(&self, me: NodeId) -> bool {
        self.intent.ready && self.intent.candidates.contains(&me)
    }

    pub(crate) fn tenure(&self) -> Option<&Tenure> {
        match &self.role {
            Role::Owner(tenure) => Some(tenure),
            _ => None,
        }
    }

    /// Whether an offer of it is open.
    pub(crate) fn is_offered(&self) -> bool {
        self.tenure().is_some_and(|tenure| matches!(tenure.move_out, MoveOut::Offered(_)))
    }

    /// The addresses that the owner answers for: all but those that are still searched for.
    pub(crate) fn answered(&self) -> Vec<IpAddr> {
        let joins = |address: &IpAddr| self.tenure().is_some_and(|tenure| tenure.awaits(*address));
        self.intent.addresses.iter().copied().filter(|address| !joins(address)).collect()
    }

    /// Stations outside the cluster that have addresses of it, for which it or they are left alone.
    pub(crate) fn stations(&self) -> BTreeMap<IpAddr, MacAddr> {
        match &self.role {
            Role::Conflict { stations, .. } => stations.clone(),
            Role::Owner(Tenure { joining: Some(joining), .. }) => joining.stations.clone(),
            _ => BTreeMap::new(),
        }
    }

    pub(crate) fn tenure_mut(&mut self) -> Option<&mut Tenure> {
        match &mut self.role {
            Role::Owner(tenure) => Some(tenure),
            _ => None,
        }
    }

    /// When the clock has something to say about it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Standby | Role::Unproven => None,
            Role::Contending { at, .. } => Some(*at),
            Role::Searching(search) => Some(search.next()),
            Role::Conflict { until, .. } => Some(*until),
            Role::Owner(tenure) => {
                let offer = match &tenure.move_out {
                    MoveOut::Offered(offer) => Some(offer.until),
                    MoveOut::No | MoveOut::Waiting { .. } | MoveOut::Stuck(_) => None,
                };
                let quiet = match tenure.voice {
                    Voice::Quiet { until, .. } => Some(until),
                    Voice::Loud => None,
                };
                let joining = tenure.joining.as_ref().map(|joining| joining.search.next());
                offer.into_iter().chain(quiet).chain(joining).min()
            }
        }
    }
}

impl Tenure {
    /// Whether the address is not answered for yet.
    pub(crate) fn awaits(&self, address: IpAddr) -> bool {
        self.joining.as_ref().is_some_and(|joining| joining.addresses.contains(&address))
    }

    /// Why it goes, when somebody with this claim takes it.
    pub(crate) fn farewell(&self, to: NodeId) -> Cause {
        match &self.move_out {
            MoveOut::Offered(offer) => offer.cause,
            MoveOut::Waiting { cause, .. } | MoveOut::Stuck(cause) => *cause,
            MoveOut::No => Cause::HigherClaim(to),
        }
    }
}
