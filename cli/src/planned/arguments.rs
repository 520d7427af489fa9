// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the commands that move addresses are told.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::origin::OriginArguments;

/// Move an address to another node, without a gap
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ferrolb move 192.0.2.10 --to n2 --kubeconfig ~/.kube/config
  ferrolb move 192.0.2.10                    to the best other node, as the state in /var/lib/ferrolb has it
  ferrolb move 192.0.2.10 --to n2 -o json | jq '.moves[] | {address, from, to, seconds}'

What is elected together with the address (both families of a Service, say) moves with it. The request is carried out
at most once: a fail-over or a restart on the way makes it void. Exit code 1: it did not go there; the reason is said.")]
pub struct MoveArguments {
    /// The address
    #[arg(value_name = "VIP")]
    pub address: IpAddr,

    /// The node that it should go to [default: the best other one]
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,

    #[command(flatten)]
    pub origin: OriginArguments,

    #[command(flatten)]
    pub wait: WaitArguments,
}

/// Give everything that a node carries to others, until `ferrolb undrain`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ferrolb drain n1 --kubeconfig ~/.kube/config && kubectl drain n1 --ignore-daemonsets
  ferrolb drain n1 --timeout 300 -o json

Each address is taken by another node before n1 falls silent, and n1 goes on serving clients that still send to it. It
takes nothing until `ferrolb undrain n1`, also after a restart. In a cluster this is the annotation ferrolb.io/drain of
the Node. Exit code 1: something stayed; the reason is said.")]
pub struct DrainArguments {
    /// The node
    pub node: String,

    /// Drain it also if nobody else may carry some of its addresses: these are carried by nobody then
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub origin: OriginArguments,

    #[command(flatten)]
    pub wait: WaitArguments,
}

/// Let a drained node take addresses again
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ferrolb undrain n1 --kubeconfig ~/.kube/config

Nothing moves back by itself: `ferrolb move` brings an address back, `ferrolb rebalance` all that should.")]
pub struct UndrainArguments {
    /// The node
    pub node: String,

    #[command(flatten)]
    pub origin: OriginArguments,
}

/// Move addresses to where preferences and the load bound want them
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ferrolb rebalance --dry-run                say what would move, and why
  ferrolb rebalance --kubeconfig ~/.kube/config

Whoever carries an address keeps it, also when a preferred node comes back or when one node took everything in a dark
time. This moves what should be elsewhere, one address after the other, each taken by its new node before the old one
falls silent. --timeout counts for each address. Exit code 1: something did not go where it should; the reason is said.")]
pub struct RebalanceArguments {
    /// Only say what would move
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub origin: OriginArguments,

    #[command(flatten)]
    pub wait: WaitArguments,
}

/// How long to wait for the outcome, and how to tell it.
#[derive(Args, Debug)]
pub struct WaitArguments {
    /// How long it may take, in seconds; a request is void afterwards
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: u16,

    /// Ask, and do not wait for what comes of it
    #[arg(long)]
    pub no_wait: bool,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = MoveFormat::Text)]
    pub output: MoveFormat,
}

impl WaitArguments {
    /// How long it may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout))
    }
}

/// The forms in which moves are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MoveFormat {
    /// A line for each address, as it arrives.
    Text,
    /// The report as JSON, at the end.
    Json,
    /// The report as YAML, at the end.
    Yaml,
}
