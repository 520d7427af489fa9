// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who sends the routes: a speaker of ours, BIRD or GoBGP, with the same prefixes and attributes.

mod bird;
mod ferrolb;
mod gobgp;
mod mrt;

use std::fmt;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use ferrolb_lab::Process;
use ferrolb_lab::router::Wire;
use serde::{Deserialize, Serialize};

pub(super) use self::ferrolb::{Ferrolb, Watching, services, virtual_ips};
use super::Colour;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Our speaker, from a folder of manifests.
    Ferrolb,
    /// BIRD with static routes.
    Bird,
    /// The same, asked for its status each millisecond: left alone, it often sends its last messages three seconds late.
    BirdAwake,
    /// GoBGP with routes from an MRT file.
    Gobgp,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Ferrolb, Self::Bird, Self::BirdAwake, Self::Gobgp];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ferrolb => "FerroLB",
            Self::Bird => "BIRD",
            Self::BirdAwake => "BIRD, kept awake",
            Self::Gobgp => "GoBGP",
        })
    }
}

/// How much is sent to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) routes: usize,
    pub(super) sessions: u8,
}

/// One that runs at the node's end of a wire. Dropped, it is killed.
pub(super) trait Sender {
    /// The program.
    fn process(&self) -> &Process;

    /// Gives all routes this colour. Returns as soon as it is asked to.
    fn paint(&mut self, colour: Colour) -> Result<()>;

    /// Called each millisecond while it is waited for.
    fn stir(&mut self) {}
}

/// Starts one. Its routes have the first colour.
pub(super) fn start(kind: Kind, binary: &Path, wire: &Wire, load: Load) -> Result<Box<dyn Sender>> {
    Ok(match kind {
        Kind::Ferrolb => Box::new(ferrolb::Ferrolb::start(binary, wire, load, Watching::No)?),
        Kind::Bird => Box::new(bird::Bird::start(wire, load, false)?),
        Kind::BirdAwake => Box::new(bird::Bird::start(wire, load, true)?),
        Kind::Gobgp => Box::new(gobgp::Gobgp::start(wire, load)?),
    })
}
