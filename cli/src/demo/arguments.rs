// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The demo's command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Show it all on this machine: three nodes, a client, a node's death, in network namespaces
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  ferrolb demo                                         see it
  ferrolb demo --runs 20 --report figures.json         measure it
  ferrolb demo --keep                                  leave it up, and in another terminal:
  ferrolb demo exec client -- curl http://198.51.100.102/

Needs root, or a system that lets ordinary users make user namespaces. Nothing outside the demo's namespaces is touched."
)]
pub struct DemoArguments {
    #[command(subcommand)]
    pub(super) command: Option<DemoCommand>,

    /// Crashes and planned hand-overs to measure, of each contender
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) runs: u32,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,

    /// Leave the cluster up at the end, until Ctrl-C, and say how to look inside
    #[arg(long)]
    pub(super) keep: bool,

    /// Do not measure keepalived beside FerroLB
    #[arg(long)]
    pub(super) no_keepalived: bool,
}

/// What can be done with a demo that is up.
#[derive(Subcommand, Debug)]
pub(super) enum DemoCommand {
    /// Run a command inside a demo that `--keep` left up
    Exec {
        /// n1, n2, n3, pod1, pod2, pod3, client, newcomer or sw (the switch)
        namespace: String,
        /// The command and its arguments
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
}
