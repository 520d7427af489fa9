// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a claim has and asks for, on its way through an allocation.

use std::net::IpAddr;

use ferrolb_config::address::Family;
use ferrolb_config::reason::Refusal;

use super::claim::{Claim, Request};

/// An address that a consumer holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held<'a> {
    pub(super) address: IpAddr,
    pub(super) pool: &'a str,
    /// The configuration is not valid enough to take the address away.
    pub(super) protected: bool,
}

/// One claim on its way through an allocation.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) claim: &'a Claim<'a>,
    /// What it has and asks for.
    pub(super) firm: Vec<Held<'a>>,
    /// What it has and no longer asks for, kept until it has what it asks for.
    pub(super) leaving: Vec<Held<'a>>,
    /// Some record names it.
    pub(super) recorded: bool,
    pub(super) foreign: bool,
    pub(super) refusal: Option<Refusal>,
    /// It has all that it will be given.
    pub(super) settled: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(claim: &'a Claim<'a>) -> Self {
        let (firm, leaving) = (Vec::new(), Vec::new());
        Self { claim, firm, leaving, recorded: false, foreign: false, refusal: None, settled: false }
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.firm.iter().chain(&self.leaving).any(|held| held.address == address)
    }

    /// Whether it has anything.
    pub(super) fn has_any(&self) -> bool {
        !self.firm.is_empty() || !self.leaving.is_empty()
    }

    /// Whether it may hold `address` besides what it has.
    pub(super) fn has_room_for(&self, address: IpAddr) -> bool {
        let family = Family::of(address);
        self.firm.len() < self.claim.families.most()
            && self.firm.iter().all(|other| Family::of(other.address) != family)
    }

    pub(super) fn drop(&mut self, address: IpAddr) {
        self.firm.retain(|held| held.address != address);
        self.leaving.retain(|held| held.address != address);
    }

    /// Newcomers' turn: those who lost what they had, then the choosy ones.
    pub(super) fn rank(&self) -> (bool, u8) {
        let choice = match self.claim.request {
            Request::Named { .. } => 0,
            Request::Pool(_) => 1,
            Request::Any => 2,
        };
        (!self.recorded, choice)
    }
}
