// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The node that carries most is asked to leave.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::capture::Capture;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::frame::Content;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::{Survey, Sweep};
use k8s_openapi::jiff::Timestamp;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::wire::Announced;
use super::{Scene, claims_since};
use crate::population::{self, ECHO_UDP};
use crate::quantiles::Quantiles;

const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(20);
/// A speaker hands over for no longer than its pod may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Milliseconds after SIGTERM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HandOver {
    pub(crate) addresses: usize,
    /// Addresses that the leaving node carried.
    pub(crate) moved: usize,
    pub(crate) sampled: usize,
    /// Each sampled address was sent to and asked for once in so many milliseconds.
    pub(crate) probed_every: f64,
    /// Probes of clients that knew the addresses.
    pub(crate) probes: usize,
    pub(crate) lost: usize,
    /// The longest outage of one address for such a client.
    pub(crate) outage: f64,
    /// The longest time that new clients of one address were without an answer.
    pub(crate) dark: f64,
    /// The longest span in which one address was answered by two.
    pub(crate) two_answered: f64,
    /// Until each address was claimed, by the log of its new owner.
    pub(crate) claimed: Option<Quantiles>,
    pub(crate) unclaimed: usize,
    pub(crate) announced: Announced,
    /// Until the process had ended.
    pub(crate) ended: f64,
    pub(crate) stall: f64,
}

pub(super) fn measure(installation: &mut Installation, scene: &Scene) -> Result<HandOver> {
    let carriers = population::carriers(installation)?;
    let (leaver, sampled, own) = population::busiest(&carriers, scene.sample)?;
    let lab = installation.lab();
    let place = lab.node(&leaver)?.place();
    let sweep = Sweep::start(&lab.client, &sampled, ECHO_UDP, scene.every)?;
    let survey = Survey::start(&lab.newcomer, &sampled, scene.every)?;
    let wire = Capture::start(
        &lab.client,
        |frame| matches!(frame.content, Content::Arp(arp) if arp.is_gratuitous()),
    )?;
    thread::sleep(BEFORE);
    let (asked, wall) = (Instant::now(), Timestamp::now());
    let speaker = installation.speaker(&leaver)?;
    speaker.signal(Signal::SIGTERM)?;
    speaker.wait(PATIENCE).context("waiting for a speaker that hands over")?;
    let ended = asked.elapsed();
    thread::sleep(AFTER);
    let (sweep, survey, wire) = (sweep.finish()?, survey.finish()?, wire.finish()?);
    let stall = survey.stall.max(sweep.stall);
    let (mut dark, mut two_answered) = (Duration::ZERO, Duration::ZERO);
    for (_, told) in survey.by_address() {
        dark = dark.max(told.longest_dark());
        two_answered = two_answered.max(told.two_answered());
    }
    let seen = || sweep.targets.iter().map(|(_, report)| report);
    let mut claims = claims_since(installation, wall)?;
    claims.retain(|address, _| own.contains(address));
    Ok(HandOver {
        addresses: scene.count,
        moved: own.len(),
        sampled: sampled.len(),
        probed_every: milliseconds(scene.every),
        probes: seen().map(|report| report.sent).sum(),
        lost: seen().map(|report| report.lost).sum(),
        outage: seen().map(|report| milliseconds(report.outage)).fold(0.0, f64::max),
        dark: milliseconds(dark),
        two_answered: milliseconds(two_answered),
        claimed: Quantiles::of(claims.values().copied()),
        unclaimed: own.len().saturating_sub(claims.len()),
        announced: Announced::of(&wire, asked, place, &own),
        ended: milliseconds(ended),
        stall: milliseconds(stall),
    })
}
