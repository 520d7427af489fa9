// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who is measured, and how each is brought up again after it broke.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use ferrolb_lab::installation::Installation;
use ferrolb_lab::keepalived::{Adverts, Keepalived, Nodes};
use ferrolb_lab::trial::{self, Contender, Event};
use ferrolb_lab::{Lab, quickstart};
use ferrolb_layer2::Timing;
use serde::{Deserialize, Serialize};

use super::Record;

const NODES: u8 = 3;
/// A contender that could not be started so often in a row is left out.
const ATTEMPTS: u32 = 2;

/// A Service with an address of each family, whose UDP port echoes, and whose endpoint is on the carrying node.
const BOTH_FAMILIES: &str = include_str!("both-families.yaml");
const ECHO: &str = "bench/echo";
const ECHO_UDP: u16 = 9000;

/// A FloatingIP of each family that is put on the carrying node's interface, as keepalived does.
const BOUND: &str = include_str!("bound.yaml");
const BOUND_IPV4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 120);
const BOUND_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x120);

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// FerroLB as it is.
    Ferrolb,
    /// FerroLB with `--profile fast`.
    FerrolbFast,
    /// FerroLB with a FloatingIP that is bound to the interface.
    FerrolbBound,
    /// keepalived, adverts each 100 ms, priorities 254, 253, 252.
    #[value(name = "keepalived-100")]
    #[serde(rename = "keepalived-100")]
    Keepalived100,
    /// keepalived, adverts each 30 ms.
    #[value(name = "keepalived-30")]
    #[serde(rename = "keepalived-30")]
    Keepalived30,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ferrolb, Self::FerrolbFast, Self::FerrolbBound, Self::Keepalived100, Self::Keepalived30];

    /// The head of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ferrolb => "FerroLB",
            Self::FerrolbFast => "FerroLB fast",
            Self::FerrolbBound => "FerroLB bound",
            Self::Keepalived100 => "keepalived 100 ms",
            Self::Keepalived30 => "keepalived 30 ms",
        }
    }

    /// Starts it in a lab of its own.
    pub(crate) fn start(self, binary: &Path) -> Result<Box<dyn Contender>> {
        let keepalived = |adverts| -> Result<Box<dyn Contender>> {
            Ok(Box::new(Keepalived::start_with(Lab::build(NODES)?, Nodes::Routers, adverts)?))
        };
        match self {
            Self::Ferrolb => ferrolb(binary, &[], None),
            Self::FerrolbFast => ferrolb(binary, &["--profile", "fast"], Some(Timing::FAST.hello)),
            Self::FerrolbBound => ferrolb_bound(binary),
            Self::Keepalived100 => keepalived(Adverts::Hundred),
            Self::Keepalived30 => keepalived(Adverts::Thirty),
        }
    }
}

/// Of the quick start's manifests those that are named, and one more.
fn manifests(named: &[&str], more: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    quickstart::MANIFESTS.into_iter().filter(|(name, _)| named.contains(name)).chain([more]).collect()
}

fn ferrolb_bound(binary: &Path) -> Result<Box<dyn Contender>> {
    let manifests = manifests(&["nodes.yaml"], ("bound.yaml", BOUND));
    let mut installation = Installation::prepare(Lab::build(NODES)?, binary, &manifests)?;
    installation.start()?;
    let contestant =
        installation.contend_bound((BOUND_IPV4, ECHO_UDP).into(), (BOUND_IPV6, ECHO_UDP).into())?;
    Ok(Box::new(contestant))
}

fn ferrolb(binary: &Path, arguments: &[&str], hello: Option<Duration>) -> Result<Box<dyn Contender>> {
    let manifests = manifests(&["pool.yaml", "nodes.yaml"], ("echo.yaml", BOTH_FAMILIES));
    let installation = Installation::prepare(Lab::build(NODES)?, binary, &manifests)?;
    let mut installation = installation.with_speaker_arguments(arguments);
    installation.start()?;
    let contestant = installation.contend(ECHO, ECHO_UDP)?;
    Ok(Box::new(match hello {
        Some(hello) => contestant.called("FerroLB, fast", hello),
        None => contestant,
    }))
}

/// One contender and its lab, while it works.
pub(super) struct Stand {
    kind: Kind,
    running: Option<Box<dyn Contender>>,
    failed_starts: u32,
}

impl Stand {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, running: None, failed_starts: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Inflicts `fault`, again while the probers stall. A contender that breaks (nobody answers any more, or two do for
    /// 20 s) is a result too: it is recorded, and it begins afresh with the next fault.
    pub(super) fn measure(&mut self, binary: &Path, fault: Event, run: u32, phase: f64) -> Vec<Record> {
        match self.try_measure(binary, fault, run, phase) {
            Ok(records) => records,
            Err(error) => {
                self.running = None;
                let record = Record::failed(self.kind, fault, run, phase, &error);
                println!("{record}");
                vec![record]
            }
        }
    }

    fn try_measure(&mut self, binary: &Path, fault: Event, run: u32, phase: f64) -> Result<Vec<Record>> {
        if self.failed_starts >= ATTEMPTS {
            return Ok(Vec::new());
        }
        let contender = match &mut self.running {
            Some(contender) => contender,
            None => {
                // Reset below: a start that fails leaves it.
                self.failed_starts += 1;
                let started = self.kind.start(binary)?;
                self.failed_starts = 0;
                self.running.insert(started)
            }
        };
        let kind = self.kind;
        let trials = trial::until_it_counts(contender.as_mut(), fault, phase, |trial| {
            println!("{}", Record::of(kind, run, trial));
            Ok(())
        })?;
        Ok(trials.iter().map(|trial| Record::of(kind, run, trial)).collect())
    }
}
