// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How far addresses have come on their way: pure.

use std::net::IpAddr;
use std::time::Duration;

use ferrolb_config::Objects;
use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::Layer2Owner;
use ferrolb_config::reason::Reason;

use super::prospect::No;
use super::report::{MoveReport, Outcome};

/// Addresses on their way.
#[derive(Debug)]
pub(super) struct Journey {
    to: Option<String>,
    legs: Vec<Leg>,
}

/// One address on one segment.
#[derive(Debug)]
struct Leg {
    address: IpAddr,
    from: Layer2Owner,
    outcome: Option<Outcome>,
}

impl Journey {
    /// Addresses that leave their owners, for `to` or for anybody else.
    pub(super) fn new<'a>(
        owners: impl Iterator<Item = (IpAddr, &'a Layer2Owner)>,
        to: Option<String>,
    ) -> Self {
        let leg =
            |(address, from): (IpAddr, &Layer2Owner)| Leg { address, from: from.clone(), outcome: None };
        Self { to, legs: owners.map(leg).collect() }
    }

    /// Whether each has come to an end of its way.
    pub(super) fn is_over(&self) -> bool {
        self.legs.iter().all(|leg| leg.outcome.is_some())
    }

    /// Looks where they are, `after` the start; answers with those whose way has ended since it looked last.
    pub(super) fn look(&mut self, objects: &Objects, after: Duration) -> Vec<Outcome> {
        let mut ended = Vec::new();
        for leg in self.legs.iter_mut().filter(|leg| leg.outcome.is_none()) {
            leg.outcome = leg.end(objects, self.to.as_deref(), after);
            ended.extend(leg.outcome.clone());
        }
        ended
    }

    /// That everything was asked for.
    pub(super) fn asked(&self) -> MoveReport {
        let asked = |leg: &Leg| Outcome::asked(leg.address, &leg.from, self.to.clone());
        MoveReport::new(self.legs.iter().map(asked).collect())
    }

    /// Everything that became of them; those still under way count as not moved.
    pub(super) fn report(&self, objects: &Objects) -> MoveReport {
        let outcome = |leg: &Leg| {
            leg.outcome
                .clone()
                .map(Outcome::told)
                .unwrap_or_else(|| leg.left_behind(objects, self.to.clone()))
        };
        MoveReport::new(self.legs.iter().map(outcome).collect())
    }
}

impl Leg {
    fn owner<'a>(&self, objects: &'a Objects) -> Option<&'a Layer2Owner> {
        let object = objects.virtual_ips.get(&virtual_ip_name(self.address))?;
        object.status.as_ref()?.layer2.iter().find(|owner| owner.segment == self.from.segment)
    }

    fn end(&self, objects: &Objects, to: Option<&str>, after: Duration) -> Option<Outcome> {
        match self.owner(objects) {
            Some(owner) if owner.node == self.from.node => None,
            Some(owner) => Some(match to {
                Some(to) if to != owner.node => {
                    let message = format!("{} took it instead of {to}", owner.node);
                    let no = No::new(Reason::TakenByAnother, message);
                    Outcome::refused(self.address, Some(self.from.node.clone()), Some(owner.node.clone()), no)
                }
                _ => Outcome::moved(self.address, &self.from, Some(&owner.node), after),
            }),
            // Machines that share no state folder do not know who took it from them.
            None if self.is_alone(objects) => Some(Outcome::moved(self.address, &self.from, None, after)),
            None => None,
        }
    }

    /// Whether nothing is known of any other speaker.
    fn is_alone(&self, objects: &Objects) -> bool {
        let mut speakers = objects.speakers.keys();
        (speakers.next(), speakers.next()) == (Some(&self.from.node), None)
    }

    fn left_behind(&self, objects: &Objects, to: Option<String>) -> Outcome {
        let from = &self.from.node;
        let no = match (self.owner(objects), &to) {
            (Some(_), Some(to)) => No::new(
                Reason::NotTaken,
                format!("{to} has not taken it from {from} in time; see the log of {from}"),
            ),
            (Some(_), None) => No::new(
                Reason::NotTaken,
                format!("nobody has taken it from {from} in time; see the log of {from}"),
            ),
            (None, _) => No::new(
                Reason::NotCarried,
                format!("{from} gave it up and nobody carries it; ferrolb status says why"),
            ),
        };
        Outcome::refused(self.address, Some(from.clone()), to, no)
    }
}

#[cfg(test)]
mod tests;
