// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker is told of its node, however it gets its objects.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ferrolb_speaker::datapath::{Healthz, HealthzError};
use ferrolb_speaker::{Options, Profile, Rebalance};

/// What a speaker needs to know of its node.
#[derive(Args, Debug)]
pub struct NodeArguments {
    /// This node's name, as its Node object says it [default: the host name]
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,

    /// A file with the key that the speakers of this cluster sign their hellos with; without one, hellos of any
    /// machine on the segment with the same cluster name are believed. The first line signs, a second one is accepted too; the
    /// file is followed while the speaker runs
    #[arg(long, value_name = "FILE", env = "FERROLB_HELLO_KEY_FILE")]
    pub hello_key_file: Option<PathBuf>,

    /// Which speakers belong together, where several clusters share a segment
    #[arg(long, value_name = "NAME", env = "FERROLB_CLUSTER", default_value = "default")]
    pub cluster: String,

    /// How quickly a node that is gone is noticed: a hello each 75 ms and death after 275 ms of silence (default), 25 and
    /// 95 ms (fast; asks for CAP_SYS_NICE, CAP_IPC_LOCK and no CPU limit), or 1 and 3.5 s (slow)
    #[arg(long, value_enum, env = "FERROLB_PROFILE", default_value_t = ProfileChoice::Default)]
    pub profile: ProfileChoice,

    /// Who leads the traffic into the Services [default: kube-proxy in a cluster, nftables without]
    #[arg(long, value_enum, env = "FERROLB_DATA_PATH")]
    pub data_path: Option<DataPathMode>,

    /// How many frames that announce addresses are sent in a second on a segment, and at once after a quiet time; answers to
    /// questions are not held back. Lower it where a switch limits ARP (dynamic ARP inspection: often 15 a second)
    #[arg(long, value_name = "FRAMES", env = "FERROLB_ANNOUNCE_RATE", default_value_t = Options::ANNOUNCE_RATE)]
    pub announce_rate: NonZeroU32,

    /// Whether addresses are moved to where preferredNodeSelectors and the load want them: off, only those that were taken
    /// when a segment had just come back from a dark time; paced, always
    #[arg(long, value_enum, env = "FERROLB_REBALANCE", default_value_t = RebalanceMode::Off)]
    pub rebalance: RebalanceMode,

    /// Where routers may connect to this node, 0.0.0.0:179 for example, several with commas; a port below 1024 asks for
    /// CAP_NET_BIND_SERVICE. Only routers that a BGPPeer names are let in [default: nowhere, the node connects to them]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FERROLB_BGP_LISTEN", value_delimiter = ',')]
    pub bgp_listen: Vec<SocketAddr>,

    /// Where metrics and probes are served [default: port 7473 in a cluster, nowhere without]
    #[arg(long, value_name = "ADDRESS:PORT", env = "FERROLB_METRICS_ADDRESS")]
    pub metrics_address: Option<SocketAddr>,

    /// Where kube-proxy says how it is; none: it is not asked, for where a CNI plugin has taken its place
    #[arg(long, value_name = "ADDRESS:PORT/PATH|none", env = "FERROLB_KUBE_PROXY_HEALTHZ", default_value = Healthz::DEFAULT)]
    pub kube_proxy_healthz: HealthzChoice,
}

/// The times of layer 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileChoice {
    /// Death after 275 ms of silence.
    Default,
    /// Death after 95 ms; followed only where the machine keeps to it.
    Fast,
    /// Death after 3.5 s.
    Slow,
}

impl From<ProfileChoice> for Profile {
    fn from(choice: ProfileChoice) -> Self {
        match choice {
            ProfileChoice::Default => Self::Default,
            ProfileChoice::Fast => Self::Fast,
            ProfileChoice::Slow => Self::Slow,
        }
    }
}

/// Who leads the traffic into the Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataPathMode {
    /// kube-proxy, or the CNI plugin in its place; ours refuses what they leave untranslated.
    KubeProxy,
    /// An nftables table of our own.
    Nftables,
}

/// Whether addresses are moved to where preferences and the load want them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RebalanceMode {
    /// Only what was taken when a segment had just come back.
    Off,
    /// Always, a few at a time, each taken by its new node before the old one falls silent.
    Paced,
}

impl From<RebalanceMode> for Rebalance {
    fn from(mode: RebalanceMode) -> Self {
        match mode {
            RebalanceMode::Off => Self::Off,
            RebalanceMode::Paced => Self::Paced,
        }
    }
}

/// Whether kube-proxy is asked how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthzChoice(pub Option<Healthz>);

impl FromStr for HealthzChoice {
    type Err = HealthzError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|healthz| Self(Some(healthz))) }
    }
}
