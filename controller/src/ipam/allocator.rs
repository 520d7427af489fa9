// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The order of an allocation: keep, adopt, move and complete, then serve the newcomers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::api::VirtualIP;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::{Pool, Snapshot};
use jiff::Timestamp;

use super::case::{Case, Held};
use super::claim::{Claim, Families, Request, Standing};
use super::ground::Ground;
use super::keep::{adopt, give_back, keep};
use super::place::{Denied, Place};
use super::quota::Quotas;
use super::retained::Retained;
use super::tenancy::{Holding, Tenancy};
use super::unread::Unread;

/// Passes over those who move or miss a family: one may wait for an address that another one gives up. Longer chains
/// of such waits go on in the next allocation, after this one is in force.
const MOST_PASSES: usize = 8;

/// Who holds what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allocation<'a> {
    /// Every address in use.
    pub holdings: BTreeMap<IpAddr, Holding<'a>>,
    /// Every address that nobody uses and that is kept for who gave it up.
    pub retained: BTreeMap<IpAddr, Retained<'a>>,
    /// The outcome for every claim, in the order of seniority.
    pub verdicts: Vec<(&'a Claim<'a>, Verdict)>,
}

/// The outcome for one claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The addresses it holds, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// What it asks for and does not have, if anything.
    pub refusal: Option<Refusal>,
    /// It shows an address that is neither recorded nor of any pool, so somebody else takes care of it: leave its
    /// status alone.
    pub foreign: bool,
}

/// What an allocation starts from.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The pools by name.
    pub pools: &'a BTreeMap<String, Pool>,
    /// The labels of the namespaces.
    pub namespaces: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The addresses in use, as they are recorded.
    pub records: &'a BTreeMap<IpAddr, Arc<VirtualIP>>,
    /// The addresses that are kept, as they are recorded.
    pub retained: &'a BTreeMap<IpAddr, Arc<VirtualIP>>,
    /// What may be there though it cannot be read.
    pub unread: &'a Unread,
    /// The time.
    pub now: Timestamp,
}

impl<'a> Given<'a> {
    /// What `snapshot` holds.
    pub fn new(snapshot: &'a Snapshot, unread: &'a Unread, now: Timestamp) -> Self {
        let Snapshot { pools, namespaces, virtual_ips: records, retained, .. } = snapshot;
        Self { pools, namespaces, records, retained, unread, now }
    }
}

/// Allocates addresses to `claims`, one for each consumer.
pub fn allocate<'a>(claims: &'a [Claim<'a>], given: &Given<'a>) -> Allocation<'a> {
    let mut cases: Vec<_> = claims.iter().map(Case::new).collect();
    cases.sort_by_key(|case| case.claim.seniority());
    let mut place = Place {
        ground: Ground::new(given.pools, given.namespaces),
        tenancy: Tenancy::new(Quotas::new(given.pools)),
    };
    keep(&mut cases, given, &mut place);
    give_back(&mut cases, given, &mut place);
    adopt(&mut cases, given, &mut place);

    for case in &mut cases {
        case.settle_without_serving(given.unread);
    }
    for _ in 0..MOST_PASSES {
        let mut freed = false;
        for case in cases.iter_mut().filter(|case| !case.settled && case.has_any()) {
            freed |= case.serve(&mut place);
        }
        if !freed {
            break;
        }
    }
    let mut newcomers: Vec<_> = cases.iter_mut().filter(|case| !case.settled && !case.has_any()).collect();
    newcomers.sort_by_key(|case| case.rank());
    for case in newcomers {
        case.serve(&mut place);
    }

    let verdicts = cases.into_iter().map(|case| (case.claim, case.verdict())).collect();
    let (holdings, retained) = place.tenancy.into_parts();
    Allocation { holdings, retained, verdicts }
}

impl<'a> Case<'a> {
    /// Settles the claims that are given nothing whatever the pools hold.
    fn settle_without_serving(&mut self, unread: &Unread) {
        match &self.claim.standing {
            Standing::Open if self.foreign && self.firm.is_empty() => {
                let shown: Vec<_> = self.claim.shown.iter().map(IpAddr::to_string).collect();
                let who = match self.claim.shown_by {
                    Some(writer) => format!("which {writer} wrote"),
                    None => "which FerroLB did not give".to_owned(),
                };
                let message = format!("its status shows {}, {who}", shown.join(", "));
                self.refusal = Some(
                    Refusal::error(Reason::ForeignAddress, self.claim.object(), message)
                        .field("status.loadBalancer.ingress")
                        .remedy("Leave the Service to whoever wrote it, or clear status.loadBalancer."),
                );
            }
            Standing::Open if unread.hides_records() => {
                if self.firm.is_empty() {
                    let message = "the VirtualIPs cannot be read, so nobody knows which addresses are free";
                    let refusal = Refusal::error(Reason::KindUnreadable, self.claim.object(), message);
                    self.refusal =
                        Some(refusal.remedy("Install the CustomResourceDefinitions, or grant access."));
                }
            }
            Standing::Open => return,
            Standing::Frozen(refusal) => self.refusal = Some(refusal.clone()),
            Standing::Leaving => {}
        }
        self.settled = true;
    }

    /// Serves an open claim as far as it can be. Returns whether an address came free.
    fn serve(&mut self, place: &mut Place<'a>) -> bool {
        self.refusal = None;
        match self.claim.request {
            Request::Named { addresses, pool } => {
                match place.named(self.claim, addresses, pool, &self.firm, &self.leaving) {
                    Ok(new) => self.complete(new, place),
                    Err(Denied::ForNow(refusal)) => {
                        self.refusal = Some(*refusal);
                        self.not_half(place)
                    }
                    // What is asked for lies outside the configuration, so there is nothing to wait for.
                    Err(Denied::ForGood(refusal)) => {
                        self.refusal = Some(*refusal);
                        self.release_leaving(place) | self.not_half(place)
                    }
                }
            }
            Request::Pool(_) | Request::Any if self.firm.is_empty() => match place.anywhere(self.claim) {
                Ok(new) => self.complete(new, place),
                Err(refusal) => {
                    self.refusal = Some(*refusal);
                    self.not_half(place)
                }
            },
            Request::Pool(_) | Request::Any => self.grow(place),
        }
    }

    /// Takes `new` and gives up what is no longer asked for.
    fn complete(&mut self, new: Vec<Held<'a>>, place: &mut Place<'a>) -> bool {
        self.firm.extend(new);
        self.settled = true;
        self.release_leaving(place)
    }

    /// Adds the family that is missing, from the pool that the other address is of.
    fn grow(&mut self, place: &mut Place<'a>) -> bool {
        self.refusal = place.unusable_pool(self.claim);
        if self.firm.len() >= self.claim.families.most() {
            self.settled = true;
            return self.release_leaving(place);
        }
        if let Some(new) = self.firm.first().and_then(|held| place.complement(self.claim, *held)) {
            return self.complete(vec![new], place);
        }
        let freed = self.release_leaving(place);
        if self.claim.families != Families::Both || self.firm.iter().any(|held| held.protected) {
            return freed;
        }
        // Both must be of one pool, so the one that is held has to move along or go.
        match place.anywhere(self.claim) {
            Ok(new) => {
                let old = std::mem::replace(&mut self.firm, new);
                self.settled = true;
                place.release(&old, self.claim);
                true
            }
            Err(refusal) => {
                self.refusal = Some(*refusal);
                self.not_half(place) | freed
            }
        }
    }

    fn release_leaving(&mut self, place: &mut Place<'a>) -> bool {
        let leaving = std::mem::take(&mut self.leaving);
        place.release(&leaving, self.claim);
        !leaving.is_empty()
    }

    /// Whoever requires both families has both or none.
    fn not_half(&mut self, place: &mut Place<'a>) -> bool {
        let mut all = self.firm.iter().chain(&self.leaving);
        let is_half = self.firm.len() + self.leaving.len() == 1 && !all.any(|held| held.protected);
        if self.claim.families != Families::Both || !is_half {
            return false;
        }
        let firm = std::mem::take(&mut self.firm);
        place.release(&firm, self.claim);
        self.release_leaving(place);
        true
    }

    fn verdict(self) -> Verdict {
        let mut addresses: Vec<_> = self.firm.iter().chain(&self.leaving).map(|held| held.address).collect();
        addresses.sort_unstable();
        let foreign = self.foreign && addresses.is_empty();
        Verdict { addresses, refusal: self.refusal, foreign }
    }
}
