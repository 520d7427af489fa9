// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The node that carries most is asked to leave.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::Sweep;
use k8s_openapi::jiff::Timestamp;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::Scene;
use super::watch::Watch;
use super::wire::Announced;
use crate::population::ECHO_UDP;
use crate::quantiles::Quantiles;

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
    let watch = Watch::begin(installation, scene)?;
    let sweep = Sweep::start(&installation.lab().client, &watch.sampled, ECHO_UDP, scene.every)?;
    watch.calm();
    let (asked, wall) = (Instant::now(), Timestamp::now());
    let speaker = installation.speaker(&watch.node.name)?;
    speaker.signal(Signal::SIGTERM)?;
    speaker.wait(PATIENCE).context("waiting for a speaker that hands over")?;
    let ended = asked.elapsed();
    let outcome = watch.end(installation, (asked, wall))?;
    let sweep = sweep.finish()?;
    let dark = outcome.told.iter().map(|(_, told)| told.longest_dark()).max().unwrap_or_default();
    let seen = || sweep.targets.iter().map(|(_, report)| report);
    Ok(HandOver {
        addresses: scene.count,
        moved: outcome.own,
        sampled: outcome.sampled,
        probed_every: milliseconds(scene.every),
        probes: seen().map(|report| report.sent).sum(),
        lost: seen().map(|report| report.lost).sum(),
        outage: seen().map(|report| milliseconds(report.outage)).fold(0.0, f64::max),
        dark: milliseconds(dark),
        two_answered: outcome.two_answered,
        claimed: outcome.claimed,
        unclaimed: outcome.unclaimed,
        announced: outcome.announced,
        ended: milliseconds(ended),
        stall: milliseconds(outcome.stall.max(sweep.stall)),
    })
}
