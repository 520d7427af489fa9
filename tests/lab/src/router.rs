// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Real routers for BGP: five daemons, each started in the namespace of a router that a wire joins to a node.

mod advertiser;
mod answer;
mod bird;
mod exabgp;
mod frr;
mod gobgp;
mod openbgpd;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;

pub use advertiser::Advertiser;
pub(crate) use frr::{is_possible as frr_is_possible, launch as launch_frr};
pub(crate) use wire::ask;
pub use wire::{NODE_LINK, NODE_V4, NODE_V6, ROUTER_V4, ROUTER_V6, Wire};

use crate::Process;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// BIRD 2.
    Bird,
    /// FRR.
    Frr,
    /// GoBGP.
    GoBgp,
    /// OpenBGPD.
    OpenBgpd,
    /// ExaBGP.
    ExaBgp,
}

/// Which addresses the session runs between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
    /// The link-local addresses of the wire.
    LinkLocal,
}

/// The node as the router is told of it.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// The router's own autonomous system.
    pub router_as: u32,
    /// The node's.
    pub node_as: u32,
    /// The addresses of the session.
    pub over: Over,
    /// The key of TCP MD5, without spaces.
    pub password: Option<String>,
    /// The node has to be one hop away, proven by its TTL.
    pub gtsm: bool,
    /// Keeps the node's routes over its restart.
    pub graceful_restart: bool,
    /// Gives the node up when BFD does: 100 ms, three times.
    pub bfd: bool,
    /// Takes IPv4 routes with an IPv6 next hop.
    pub extended_next_hop: bool,
    /// The port that the router listens on, if it is BIRD; the others have the usual one.
    pub port: u16,
    /// Routers may lie between it and the node, if it is BIRD; BFD uses the port of RFC 5883 then.
    pub multihop: bool,
    /// A route that it tells the node, if it is BIRD.
    pub offers: Option<&'static str>,
    /// Advertises itself on the wire, so that the node needs no address. FRR knows no address of the node either then.
    pub advertises: bool,
    /// Waits for the node; otherwise it connects too.
    pub passive: bool,
    /// Hold time in seconds.
    pub hold: u16,
}

impl Default for Neighbour {
    fn default() -> Self {
        Self {
            router_as: 65_002,
            node_as: 65_001,
            over: Over::V4,
            password: None,
            gtsm: false,
            graceful_restart: false,
            bfd: false,
            extended_next_hop: false,
            port: 179,
            multihop: false,
            offers: None,
            advertises: false,
            passive: true,
            hold: 9,
        }
    }
}

/// A route as a router shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Where it sends traffic.
    pub next_hop: String,
    /// The path, nearest first.
    pub as_path: Vec<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// Standard communities, `65001:1`.
    pub communities: BTreeSet<String>,
    /// Large communities, `65001:1:2`.
    pub large_communities: BTreeSet<String>,
}

/// Routes by prefix.
pub type Table = BTreeMap<String, Route>;

/// A router that runs. Dropped, it is killed.
pub trait Router: fmt::Debug {
    /// The routes that it learned from the node and would use.
    ///
    /// # Errors
    /// It does not answer.
    fn routes(&self) -> Result<Table>;

    /// Asks the node for all its routes (RFC 2918).
    ///
    /// # Errors
    /// It does not answer, or cannot.
    fn ask_again(&self) -> Result<()>;

    /// Whether BFD finds the path to the node up.
    ///
    /// # Errors
    /// It does not answer, or knows no BFD.
    fn path_is_up(&self) -> Result<bool> {
        anyhow::bail!("{self:?} knows no BFD")
    }

    /// What it says about its session, for the message of a failure.
    fn story(&self) -> String;

    /// Its processes, the one that speaks BGP last.
    fn processes(&mut self) -> &mut Vec<Process>;
}

impl Daemon {
    /// Starts it on the router's end of `wire`.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(self, wire: &Wire, node: &Neighbour) -> Result<Box<dyn Router>> {
        Ok(match self {
            Self::Bird => Box::new(bird::Bird::start(wire, node)?),
            Self::Frr => Box::new(frr::Frr::start(wire, node)?),
            Self::GoBgp => Box::new(gobgp::GoBgp::start(wire, node)?),
            Self::OpenBgpd => Box::new(openbgpd::OpenBgpd::start(wire, node)?),
            Self::ExaBgp => Box::new(exabgp::ExaBgp::start(wire, node)?),
        })
    }
}
