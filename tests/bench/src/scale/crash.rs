// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The cable of the node that carries most is pulled.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::Place;
use ferrolb_lab::capture::{self, Capture};
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::frame::Content;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::Survey;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::wire::Announced;
use super::{Scene, claims_since};
use crate::population;
use crate::quantiles::Quantiles;

const BEFORE: Duration = Duration::from_secs(2);
/// The announcements of thousands of addresses are repeated for ten seconds, within the budget.
const AFTER: Duration = Duration::from_secs(20);
const HELLO_PORT: u16 = 7948;

/// Milliseconds after the cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Crash {
    pub(crate) addresses: usize,
    /// How long three speakers on this machine took from their start until they carried everything, in seconds.
    pub(crate) started_seconds: f64,
    /// Addresses that the dead node carried.
    pub(crate) lost: usize,
    pub(crate) sampled: usize,
    /// Each sampled address was asked for once in so many milliseconds.
    pub(crate) asked_every: f64,
    /// Until a sampled address was answered by its new owner.
    pub(crate) answered: Option<Quantiles>,
    pub(crate) unanswered: usize,
    /// The longest span in which one address was answered by two.
    pub(crate) two_answered: f64,
    /// Until each address was claimed, by the log of its new owner.
    pub(crate) claimed: Option<Quantiles>,
    pub(crate) unclaimed: usize,
    pub(crate) announced: Announced,
    pub(crate) stall: f64,
}

pub(super) fn measure(installation: &mut Installation, scene: &Scene) -> Result<Crash> {
    let carriers = population::carriers(installation)?;
    let (victim, sampled, own) = population::busiest(&carriers, scene.sample)?;
    let lab = installation.lab();
    let node = lab.node(&victim)?.clone();
    let survey = Survey::start(&lab.newcomer, &sampled, scene.every)?;
    let wire = Capture::start(
        &lab.client,
        |frame| matches!(frame.content, Content::Arp(arp) if arp.is_gratuitous()),
    )?;
    thread::sleep(BEFORE);
    // Right after a hello: the longest that its silence can go unnoticed.
    let place: Place = node.place();
    capture::wait_for(&lab.client, Duration::from_secs(5), |frame| {
        frame.source == place.mac() && matches!(frame.content, Content::Udp { port: HELLO_PORT, .. })
    })
    .context("waiting for a hello of the node that is to die")?;
    let (cut, wall) = (Instant::now(), Timestamp::now());
    lab.cut(&node)?;
    thread::sleep(AFTER);
    let (survey, wire) = (survey.finish()?, wire.finish()?);
    let stall = survey.stall;
    let (mut answered, mut unanswered, mut two_answered) = (Vec::new(), 0, Duration::ZERO);
    for (_, told) in survey.by_address() {
        match told.moved_after(cut, place.mac()) {
            Some(after) => answered.push(after),
            None => unanswered += 1,
        }
        two_answered = two_answered.max(told.two_answered());
    }
    let mut claims = claims_since(installation, wall)?;
    claims.retain(|address, _| own.contains(address));
    Ok(Crash {
        addresses: scene.count,
        started_seconds: scene.started.as_secs_f64(),
        lost: own.len(),
        sampled: sampled.len(),
        asked_every: milliseconds(scene.every),
        answered: Quantiles::of(answered),
        unanswered,
        two_answered: milliseconds(two_answered),
        claimed: Quantiles::of(claims.values().copied()),
        unclaimed: own.len().saturating_sub(claims.len()),
        announced: Announced::of(&wire, cut, place, &own),
        stall: milliseconds(stall),
    })
}
