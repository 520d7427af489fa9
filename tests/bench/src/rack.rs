// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Three nodes that lead to one address by BGP, watched by BFD: FerroLB's, or FRR's in their place.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use ferrolb_lab::backend::{self, Server};
use ferrolb_lab::installation::Installation;
use ferrolb_lab::rack::{self, PORT, Rack, Watched};
use ferrolb_lab::router::Daemon;
use ferrolb_lab::{Lab, Place, Process};
use serde::{Deserialize, Serialize};

/// How many nodes.
pub(crate) const NODES: u8 = 3;
/// A session that has been up for so long stays up: FRR begins anew once while BFD comes up.
const SETTLED: Duration = Duration::from_secs(1);

/// Which program the router runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Router {
    /// BIRD 2
    Bird,
    /// FRR: bgpd, bfdd, zebra
    Frr,
}

/// Which program the nodes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sender {
    /// FerroLB's speaker
    Ferrolb,
    /// FRR: bgpd, bfdd, zebra
    Frr,
}

impl Router {
    /// Whether it can run here; says so if not.
    pub(crate) fn is_possible(self) -> bool {
        let possible = Rack::is_possible(self.daemon());
        if !possible {
            println!("  left out: {self} is not installed, or this is not root");
        }
        possible
    }

    fn daemon(self) -> Daemon {
        match self {
            Self::Bird => Daemon::Bird,
            Self::Frr => Daemon::Frr,
        }
    }
}

impl Sender {
    /// Whether it can run here; says so if not.
    pub(crate) fn is_possible(self) -> bool {
        self == Self::Ferrolb || Router::Frr.is_possible()
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bird => "BIRD",
            Self::Frr => "FRR",
        })
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ferrolb => "FerroLB",
            Self::Frr => "FRR",
        })
    }
}

/// A router, and the nodes that speak to it.
#[derive(Debug)]
pub(crate) struct Stand {
    // Dropped before the lab that they live in.
    rack: Rack,
    nodes: Nodes,
}

#[derive(Debug)]
enum Nodes {
    Ferrolb(Box<Installation>),
    Frr { _processes: Vec<Process>, _servers: Vec<Server>, lab: Lab },
}

impl Stand {
    /// Starts everything, and waits until the router leads to every node.
    pub(crate) fn build(binary: &Path, router: Router, sender: Sender, watched: Watched) -> Result<Self> {
        let lab = Lab::build(NODES)?;
        let rack = Rack::build(&lab, router.daemon(), watched.interval, watched.graceful_restart)?;
        let nodes = match sender {
            Sender::Ferrolb => {
                let manifests = rack::manifests(NODES, watched);
                let manifests: Vec<_> = manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
                let mut installation = Installation::prepare(lab, binary, &manifests)?;
                installation.launch()?;
                Nodes::Ferrolb(Box::new(installation))
            }
            Sender::Frr => {
                let (mut processes, mut servers) = (Vec::new(), Vec::new());
                for node in &lab.nodes {
                    servers.push(backend::tcp_echo(&node.namespace, node, PORT)?);
                    processes.extend(rack::frr_node(&lab, node, watched.interval)?);
                }
                Nodes::Frr { _processes: processes, _servers: servers, lab }
            }
        };
        let stand = Self { rack, nodes };
        stand.settles()?;
        Ok(stand)
    }

    /// Waits until the router leads to every node, and goes on to.
    pub(crate) fn settles(&self) -> Result<()> {
        self.leads_to_all()?;
        thread::sleep(SETTLED);
        self.leads_to_all()
    }

    /// Waits until the router leads to every node.
    pub(crate) fn leads_to_all(&self) -> Result<()> {
        let all: Vec<Place> = (1..=NODES).map(Place::Node).collect();
        self.rack.leads_to(&all).map_err(|error| error.context(self.logs()))
    }

    /// The router.
    pub(crate) fn rack(&self) -> &Rack {
        &self.rack
    }

    /// Where it all stands.
    pub(crate) fn lab(&self) -> &Lab {
        match &self.nodes {
            Nodes::Ferrolb(installation) => installation.lab(),
            Nodes::Frr { lab, .. } => lab,
        }
    }

    /// The speakers, where they are ours.
    pub(crate) fn installation(&mut self) -> Option<&mut Installation> {
        match &mut self.nodes {
            Nodes::Ferrolb(installation) => Some(installation),
            Nodes::Frr { .. } => None,
        }
    }

    fn logs(&self) -> String {
        match &self.nodes {
            Nodes::Ferrolb(installation) => installation.logs(),
            Nodes::Frr { .. } => String::new(),
        }
    }
}
