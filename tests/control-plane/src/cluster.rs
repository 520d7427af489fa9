// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A whole cluster in a lab: an API server on the segment, nodes with a real kube-proxy each, and servers in the pods.

use anyhow::{Context, Result};
use ferrolb_lab::backend::{self, Server};
use ferrolb_lab::{Lab, Place as Station, Process};

use crate::proxy::{self, ProxyMode};
use crate::{Account, ControlPlane, Options, Place, node};

/// A lab whose nodes are those of a Kubernetes cluster.
#[derive(Debug)]
pub struct Cluster {
    // Fields drop in this order: processes and servers before the namespaces they live in.
    proxies: Vec<Process>,
    plane: ControlPlane,
    _servers: Vec<Server>,
    lab: Lab,
}

impl Cluster {
    /// Builds a lab with `count` nodes, starts the control plane and the kube-proxies, and creates the Nodes.
    ///
    /// # Errors
    /// The lab fails, or a program cannot be built or does not start.
    pub fn build(count: u8, mode: ProxyMode) -> Result<Self> {
        Self::raise(count, Some(mode), Options::default())
    }

    /// The same without kube-proxies: for measurements of what stands beside them. The place among `options` is not used.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn without_proxies(count: u8, options: Options) -> Result<Self> {
        Self::raise(count, None, options)
    }

    fn raise(count: u8, mode: Option<ProxyMode>, options: Options) -> Result<Self> {
        let lab = Lab::build(count)?;
        let servers = backend::in_pods(&lab)?;
        let station = Station::ControlPlane;
        let place = Place::Namespace { namespace: lab.add_station(station)?, address: station.ipv4() };
        let plane = ControlPlane::start(Options { place, ..options })?;
        node::create(plane.kubectl(), &lab.nodes)?;
        let kubeconfig = plane.kubeconfig(&Account::admin())?;
        let nodes = mode.into_iter().flat_map(|mode| lab.nodes.iter().map(move |node| (node, mode)));
        let proxies = nodes.map(|(node, mode)| proxy::start(&lab, node, &kubeconfig, mode));
        let proxies = proxies.collect::<Result<_>>().context("starting the kube-proxies")?;
        Ok(Self { proxies, plane, _servers: servers, lab })
    }

    /// The lab that it is in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its control plane.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Its control plane, to stop and start.
    pub fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// Reports whether `node` is ready, as the node controller does when a kubelet falls silent.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn report_node(&self, node: Station, ready: bool) -> Result<()> {
        node::report(self.plane.kubectl(), node, ready)
    }

    /// The end of what the kube-proxies printed, for a failure's message.
    pub fn logs(&self) -> String {
        self.proxies.iter().map(|proxy| format!("--- {}\n{}\n", proxy.name(), proxy.log_end(10))).collect()
    }
}

#[cfg(test)]
mod tests;
