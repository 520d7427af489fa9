// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Three nodes whose speakers read an example, with a proxy on each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::backend::{self, Server};
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::{Lab, Place};

use crate::cluster::binary;
use crate::patience::{SLOWLY, eventually};

/// The addresses of `deploy/examples/ingress`.
pub(crate) const INGRESS: &str = "198.51.100.120";
pub(crate) const INGRESS_V6: &str = "2001:db8:1::120";
/// Where its proxies say that they are ready.
const HEALTH_PORT: u16 = 8080;
/// Where UDP is echoed.
const ECHO_PORT: u16 = 9000;
/// How long to look at who answers before believing it.
const LOOK: Duration = Duration::from_millis(300);

pub(crate) const INGRESS_MANIFESTS: [(&str, &str); 4] = [
    ("pool.yaml", include_str!("../../../deploy/examples/ingress/pool.yaml")),
    ("nodes.yaml", include_str!("../../../deploy/examples/ingress/nodes.yaml")),
    ("ingress.yaml", include_str!("../../../deploy/examples/ingress/ingress.yaml")),
    ("virtual-ips.yaml", include_str!("../../../deploy/examples/ingress/virtual-ips.yaml")),
];

/// What runs.
pub(crate) struct Stage {
    // Fields drop in this order: servers before the namespaces they live in.
    _echoes: Vec<Server>,
    proxies: BTreeMap<String, Server>,
    health_port: u16,
    pub(crate) installation: Installation,
}

impl Stage {
    /// `deploy/examples/ingress`, carried.
    pub(crate) fn ingress() -> Result<Self> {
        Self::of(Lab::build(3)?, &INGRESS_MANIFESTS, HEALTH_PORT, INGRESS)
    }

    /// Any example: proxies listen on `health_port` of every node, UDP is echoed on `address`, which is carried at last.
    pub(crate) fn of(lab: Lab, manifests: &[(&str, &str)], health_port: u16, address: &str) -> Result<Self> {
        let echo = SocketAddr::new(address.parse()?, ECHO_PORT);
        let echoes = lab.nodes.iter().map(|node| backend::udp_echo(&node.namespace, node, echo));
        let echoes = echoes.collect::<Result<_>>()?;
        let mut installation = Installation::prepare(lab, binary(), manifests)?;
        let nodes: Vec<String> = installation.lab().nodes.iter().map(|node| node.name.clone()).collect();
        for node in &nodes {
            installation.start_speaker(node)?;
        }
        let mut stage = Self { _echoes: echoes, proxies: BTreeMap::new(), health_port, installation };
        for node in &nodes {
            stage.start_proxy(node)?;
        }
        stage.carrier(address)?;
        Ok(stage)
    }

    pub(crate) fn lab(&self) -> &Lab {
        self.installation.lab()
    }

    pub(crate) fn logs(&self) -> String {
        let nodes = self.lab().nodes.iter();
        let shown =
            nodes.map(|node| format!("--- {}\n{}", node.name, self.shown(&node.name).unwrap_or_default()));
        format!("{}{}", self.installation.logs(), shown.collect::<String>())
    }

    /// Where UDP is echoed.
    pub(crate) fn echo(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::from([198, 51, 100, 120]), ECHO_PORT)
    }

    /// The proxy of `node` is well from now on.
    pub(crate) fn start_proxy(&mut self, node: &str) -> Result<()> {
        let host = self.lab().node(node)?;
        let server = backend::tcp_echo(&host.namespace, host, self.health_port)?;
        self.proxies.insert(node.to_owned(), server);
        Ok(())
    }

    /// The proxy of `node` is gone.
    pub(crate) fn stop_proxy(&mut self, node: &str) -> Result<()> {
        self.proxies.remove(node).map(drop).with_context(|| format!("no proxy runs on {node}"))
    }

    /// The one node that answers new clients for `address`.
    pub(crate) fn carrier(&self, address: &str) -> Result<Place> {
        let address: IpAddr = address.parse()?;
        let found = eventually("one node answers", SLOWLY, || {
            let watching = NewClients::start(&self.lab().newcomer, address)?;
            thread::sleep(LOOK);
            let presences = watching.finish()?.presences();
            ensure!(presences.len() == 1, "for {address} answer {:?}", presences.keys());
            let only = presences.keys().next().copied().context("one")?;
            Place::of_mac(only).with_context(|| format!("{only} is no node"))
        });
        found.with_context(|| self.logs())
    }

    /// The nodes that have `address` on `eth0`, once the kernel has done what it was told.
    pub(crate) fn bearers(&self, address: &str) -> Result<Vec<String>> {
        let mut bearers = Vec::new();
        for node in &self.lab().nodes {
            if self.shown(&node.name)?.contains(&format!("{address}/")) {
                bearers.push(node.name.clone());
            }
        }
        Ok(bearers)
    }

    /// What `ip` shows of a node's `eth0`.
    pub(crate) fn shown(&self, node: &str) -> Result<String> {
        self.on(node, "eth0")
    }

    /// What `ip` shows of an interface.
    pub(crate) fn on(&self, node: &str, interface: &str) -> Result<String> {
        let mut ip = Command::new("ip");
        ip.args(["address", "show", "dev", interface]);
        self.lab().output(&self.lab().node(node)?.namespace, ip)
    }
}
