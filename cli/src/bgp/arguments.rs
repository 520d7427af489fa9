// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The questions of `ferrolb bgp` on the command line.

use clap::{Args, Subcommand};

use crate::format::StatusFormat;
use crate::origin::OriginArguments;

/// What to ask.
#[derive(Subcommand, Debug)]
pub enum BgpCommand {
    /// Say how each speaker stands with each router, since when, and why not
    #[command(after_help = "\
Examples:
  ferrolb bgp peers
  ferrolb bgp peers --node n1 -o wide
  ferrolb bgp peers --kubeconfig ~/.kube/config
  ferrolb bgp peers -o json | jq '.sessions[] | select(.state != \"Established\")'")]
    Peers(PeersArguments),

    /// Say everything that is known of one router: what was agreed on, capabilities both ways, how the last session ended
    #[command(
        visible_alias = "neighbour",
        after_help = "\
Examples:
  ferrolb bgp neighbor router-a
  ferrolb bgp neighbor router-a --node n1 -o yaml"
    )]
    Neighbor(NeighborArguments),

    /// Say which routes the speakers of this machine tell to which routers, with their attributes
    #[command(after_help = "\
Examples:
  ferrolb bgp routes
  ferrolb bgp routes --peer router-a -o json
  kubectl -n ferrolb-system exec POD-OF-A-SPEAKER -- ferrolb bgp routes

The speaker itself is asked, by a socket in the state folder that its owner may open: run it as the speaker's user, on its
machine or in its pod.")]
    Routes(RoutesArguments),
}

/// Which sessions to show.
#[derive(Args, Debug)]
pub struct PeersArguments {
    #[command(flatten)]
    pub origin: OriginArguments,

    /// Those of this node's speaker only
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = StatusFormat::Table)]
    pub output: StatusFormat,
}

/// Which router to show.
#[derive(Args, Debug)]
pub struct NeighborArguments {
    /// The BGPPeer
    #[arg(value_name = "BGPPEER")]
    pub peer: String,

    #[command(flatten)]
    pub origin: OriginArguments,

    /// What this node's speaker says only
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = StatusFormat::Table)]
    pub output: StatusFormat,
}

/// Which routes to show.
#[derive(Args, Debug)]
pub struct RoutesArguments {
    #[command(flatten)]
    pub origin: OriginArguments,

    /// What this router is told only
    #[arg(long, value_name = "BGPPEER")]
    pub peer: Option<String>,

    /// What this node's speaker tells only
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = StatusFormat::Table)]
    pub output: StatusFormat,
}
