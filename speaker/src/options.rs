// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker is told at its start.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_layer2::{Budget, Timing};
use ferrolb_source::kube::KubeOptions;

use crate::datapath::{Healthz, Mode, Setup};
use crate::kernel::rights::{self, Capability, MissingRights};
use crate::profile::Profile;

/// Where objects come from, and where the speaker tells what it sees.
#[derive(Debug, Clone)]
pub enum Source {
    /// Without a cluster.
    Directory {
        /// The folder of manifests.
        source: PathBuf,
        /// The folder of what is decided and observed.
        state: PathBuf,
    },
    /// A Kubernetes cluster.
    Cluster(KubeOptions),
}

/// Whether addresses are moved to where preferences and the load bound want them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rebalance {
    /// Only those that were taken when a segment had just come back.
    #[default]
    Off,
    /// Always, a few at a time.
    Paced,
}

/// What a speaker is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the node that it runs on, as the Node objects and EndpointSlices spell it.
    pub node_name: String,
    /// The cluster's name: speakers of another cluster on the same segment are not listened to.
    pub cluster: String,
    /// A file whose first line is the secret that authenticates hellos, at least 16 bytes. A second line is accepted
    /// from others too, so that the secret can be changed without a gap. It is followed while the speaker runs. None: a key
    /// made from the cluster's name.
    pub hello_key_file: Option<PathBuf>,
    /// How quickly a node that is gone is noticed.
    pub profile: Profile,
    /// How many frames that announce addresses are sent in a second on a segment; as many at once after a quiet time.
    pub announce_rate: NonZeroU32,
    /// Where objects come from, and where the speaker tells what it sees.
    pub source: Source,
    /// Who leads traffic into Services.
    pub mode: Mode,
    /// Where kube-proxy says how it is; `None`: it is not asked.
    pub healthz: Option<Healthz>,
    /// Where metrics and probes are served; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Whether what this node owns is moved to where preferences and the load bound want it.
    pub rebalance: Rebalance,
    /// Where routers may connect to this node; empty: nowhere, this node connects.
    pub bgp_listen: Vec<SocketAddr>,
    /// How long clients that still send to this node after it has ended are served.
    pub linger: Duration,
}

impl Options {
    /// The default of [`Options::linger`]: longer than Linux keeps a neighbour entry that it does not use.
    pub const LINGER: Duration = Timing::DEFAULT.linger;

    /// The default of [`Options::announce_rate`].
    pub const ANNOUNCE_RATE: NonZeroU32 = Budget::DEFAULT.rate;

    /// How the data path is to work with the rights that the process has. Where kube-proxy translates, ours only guards,
    /// and can be done without.
    ///
    /// # Errors
    /// A right is missing that nothing works without.
    pub(crate) fn setup(&self) -> Result<Setup, MissingRights> {
        match self.mode {
            Mode::NFTables => {
                rights::check(&[Capability::NetRaw, Capability::NetAdmin])?;
                Ok(Setup::NFTables)
            }
            Mode::KubeProxy => {
                rights::check(&[Capability::NetRaw])?;
                let guarded = rights::check(&[Capability::NetAdmin]).is_ok();
                Ok(Setup::KubeProxy { healthz: self.healthz.clone(), guarded })
            }
        }
    }

    /// Why no address can be put on an interface of this node; `None`: any can.
    pub(crate) fn no_binding(&self) -> Option<Arc<str>> {
        let missing = rights::check(&[Capability::NetAdmin]).err()?;
        Some(missing.to_string().into())
    }
}
