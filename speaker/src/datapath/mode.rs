// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who leads traffic for virtual IPs into Services.

use super::kube_proxy::Healthz;

/// Who leads traffic for virtual IPs into Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// We, by our own table: without a cluster.
    NFTables,
    /// kube-proxy, or what the CNI plugin has in its place; our table refuses only what nobody translated.
    KubeProxy,
}

/// How the data path is to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// [`Mode::NFTables`].
    NFTables,
    /// [`Mode::KubeProxy`].
    KubeProxy {
        /// Where kube-proxy says how it is; `None`: it is not asked.
        healthz: Option<Healthz>,
        /// Whether the process may change tables, so that there can be a guard.
        guarded: bool,
    },
}

impl Setup {
    /// Who translates.
    pub fn mode(&self) -> Mode {
        match self {
            Self::NFTables => Mode::NFTables,
            Self::KubeProxy { .. } => Mode::KubeProxy,
        }
    }
}
