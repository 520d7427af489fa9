// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The cable of the node that carries most is pulled.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::capture;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::frame::Content;
use ferrolb_lab::installation::Installation;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Scene;
use super::watch::Watch;
use super::wire::Announced;
use crate::quantiles::Quantiles;

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
    let watch = Watch::begin(installation, scene)?;
    watch.calm();
    let (lab, place) = (installation.lab(), watch.place());
    // Right after a hello: the longest that its silence can go unnoticed.
    capture::wait_for(&lab.client, Duration::from_secs(5), |frame| {
        frame.source == place.mac() && matches!(frame.content, Content::Udp { port: HELLO_PORT, .. })
    })
    .context("waiting for a hello of the node that is to die")?;
    let (cut, wall) = (Instant::now(), Timestamp::now());
    lab.cut(&watch.node)?;
    let outcome = watch.end(installation, (cut, wall))?;
    let moved: Vec<_> =
        outcome.told.iter().filter_map(|(_, told)| told.moved_after(cut, place.mac())).collect();
    Ok(Crash {
        addresses: scene.count,
        started_seconds: scene.started.as_secs_f64(),
        lost: outcome.own,
        sampled: outcome.sampled,
        asked_every: milliseconds(scene.every),
        unanswered: outcome.told.len().saturating_sub(moved.len()),
        answered: Quantiles::of(moved),
        two_answered: outcome.two_answered,
        claimed: outcome.claimed,
        unclaimed: outcome.unclaimed,
        announced: outcome.announced,
        stall: milliseconds(outcome.stall),
    })
}
