// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is watched from before a node goes until its addresses have settled elsewhere, however it goes.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrolb_lab::capture::Capture;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::frame::Content;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::{NewClientsReport, Survey};
use ferrolb_lab::{Node, Place};
use k8s_openapi::jiff::Timestamp;

use super::wire::Announced;
use super::{Scene, claims_since};
use crate::population;
use crate::quantiles::Quantiles;

const BEFORE: Duration = Duration::from_secs(2);
/// The announcements of thousands of addresses are repeated for ten seconds, within the budget.
const AFTER: Duration = Duration::from_secs(20);

/// Watches the addresses of the node that carries most.
pub(super) struct Watch {
    pub(super) node: Node,
    /// A sample of its addresses, and all of them.
    pub(super) sampled: Vec<Ipv4Addr>,
    own: Vec<Ipv4Addr>,
    survey: Survey,
    wire: Capture,
}

/// What happened to them.
pub(super) struct Outcome {
    pub(super) own: usize,
    pub(super) sampled: usize,
    /// What newcomers were told about each sampled address.
    pub(super) told: Vec<(IpAddr, NewClientsReport)>,
    /// In milliseconds, the longest span in which one address was answered by two.
    pub(super) two_answered: f64,
    pub(super) claimed: Option<Quantiles>,
    pub(super) unclaimed: usize,
    pub(super) announced: Announced,
    pub(super) stall: Duration,
}

impl Watch {
    /// Begins, a while before the event.
    pub(super) fn begin(installation: &Installation, scene: &Scene) -> Result<Self> {
        let carriers = population::carriers(installation)?;
        let (name, sampled, own) = population::busiest(&carriers, scene.sample)?;
        let lab = installation.lab();
        let node = lab.node(&name)?.clone();
        let survey = Survey::start(&lab.newcomer, &sampled, scene.every)?;
        let wire = Capture::start(
            &lab.client,
            |frame| matches!(frame.content, Content::Arp(arp) if arp.is_gratuitous()),
        )?;
        Ok(Self { node, sampled, own, survey, wire })
    }

    /// Lets it be seen for a while that all is well.
    pub(super) fn calm(&self) {
        thread::sleep(BEFORE);
    }

    /// The station that carries them at first.
    pub(super) fn place(&self) -> Place {
        self.node.place()
    }

    /// Ends, a while after the event, which was at `event`.
    pub(super) fn end(
        self,
        installation: &mut Installation,
        (event, wall): (Instant, Timestamp),
    ) -> Result<Outcome> {
        thread::sleep(AFTER);
        let place = self.place();
        let (survey, wire) = (self.survey.finish()?, self.wire.finish()?);
        let stall = survey.stall;
        let told: Vec<_> = survey.by_address().collect();
        let two_answered = told.iter().map(|(_, told)| told.two_answered()).max().unwrap_or_default();
        let mut claims = claims_since(installation, wall)?;
        claims.retain(|address, _| self.own.contains(address));
        Ok(Outcome {
            own: self.own.len(),
            sampled: self.sampled.len(),
            told,
            two_answered: milliseconds(two_answered),
            claimed: Quantiles::of(claims.values().copied()),
            unclaimed: self.own.len().saturating_sub(claims.len()),
            announced: Announced::of(&wire, event, place, &self.own),
            stall,
        })
    }
}
