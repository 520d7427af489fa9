// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a control plane shall be like.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ferrolb_lab::Namespace;

use crate::Account;

/// Where the control plane listens.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// On free ports of 127.0.0.1.
    #[default]
    Loopback,
    /// Inside a network namespace, reached by `address`, which that namespace has.
    Namespace {
        /// Where its processes run.
        namespace: Namespace,
        /// Where nodes reach it.
        address: Ipv4Addr,
    },
}

/// What a control plane shall be like; the default is what most tests want.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub place: Place,
    /// Who is known to it besides the administrator, FerroLB's controller and its speakers.
    pub accounts: Vec<Account>,
    /// Ports for Services of type NodePort and LoadBalancer. Kubernetes' own default holds 2,768.
    pub node_ports: RangeInclusive<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self { place: Place::default(), accounts: Vec::new(), node_ports: 30_000..=32_767 }
    }
}
