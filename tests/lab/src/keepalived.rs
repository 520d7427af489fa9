// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! keepalived beside us: the yardstick for layer-2 failover.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backend::{self, Server};
use crate::frame::{Content, Frame};
use crate::trial::Contender;
use crate::{Lab, Node, Place, Process, shell};

/// The virtual IP that keepalived carries.
pub const VIRTUAL_IP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
const PORT: u16 = 9000;
const ADVERT: Duration = Duration::from_millis(100);

/// Whether keepalived is installed.
pub fn is_installed() -> bool {
    Command::new("keepalived")
        .arg("--version")
        .env("PATH", shell::search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What the kernels of keepalived's nodes do with packets for an address that has left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// They forward them (`ip_forward=1`), as Kubernetes nodes and routers do: a client that has not heard of the move yet loses little.
    Routers,
    /// They drop them, as plain hosts do.
    Hosts,
}

/// keepalived on every node of a lab of its own: VRRPv3, adverts each 100 ms, priorities 254, 253, 252, all start as backup and none
/// pre-empts. That is the tuning with the shortest failover that does not duel (priorities one step apart, skew below 1 ms).
#[derive(Debug)]
pub struct Keepalived {
    // Fields drop in this order: processes and servers before the namespaces they live in.
    processes: BTreeMap<String, Process>,
    _servers: Vec<Server>,
    nodes: Nodes,
    lab: Lab,
}

impl Keepalived {
    /// Starts it on every node of `lab`, with a UDP echo on the virtual IP.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start(lab: Lab, nodes: Nodes) -> Result<Self> {
        if nodes == Nodes::Hosts {
            for node in &lab.nodes {
                node.namespace.sysctl(&[("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0")])?;
            }
        }
        let servers = lab
            .nodes
            .iter()
            .map(|node| backend::udp_echo(&node.namespace, node, SocketAddr::from((VIRTUAL_IP, PORT))))
            .collect::<Result<_>>()?;
        let names: Vec<String> = lab.nodes.iter().map(|node| node.name.clone()).collect();
        let mut keepalived = Self { processes: BTreeMap::new(), _servers: servers, nodes, lab };
        for name in names {
            keepalived.rejoin(&name)?;
        }
        Ok(keepalived)
    }
}

impl Contender for Keepalived {
    fn name(&self) -> &'static str {
        match self.nodes {
            Nodes::Routers => "keepalived",
            Nodes::Hosts => "keepalived, hosts",
        }
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn target(&self) -> SocketAddr {
        (VIRTUAL_IP, PORT).into()
    }

    fn advert_interval(&self) -> Duration {
        ADVERT
    }

    fn is_advert(&self, frame: &Frame, place: Place) -> bool {
        frame.content == Content::Vrrp { from: place.ipv4().into() }
    }

    fn recovery(&self) -> Duration {
        Duration::from_millis(1000)
    }

    fn leave(&mut self, node: &str) -> Result<()> {
        let mut process =
            self.processes.remove(node).with_context(|| format!("keepalived does not run on {node}"))?;
        process.terminate(Duration::from_secs(10))?;
        Ok(())
    }

    fn rejoin(&mut self, node: &str) -> Result<()> {
        let node = self.lab.node(node)?;
        let folder = self.lab.folder();
        let file = |kind: &str| folder.join(format!("keepalived-{}.{kind}", node.name));
        let configuration = file("conf");
        fs::write(&configuration, configure(node))
            .with_context(|| format!("writing {}", configuration.display()))?;
        let mut command = Command::new("keepalived");
        command
            .args(["--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file"])
            .arg(configuration)
            .arg("--pid")
            .arg(file("pid"))
            .arg("--vrrp_pid")
            .arg(file("vrrp.pid"));
        let process = self.lab.start(&format!("keepalived-{}", node.name), Some(&node.namespace), command)?;
        self.processes.insert(node.name.clone(), process);
        Ok(())
    }
}

fn configure(node: &Node) -> String {
    format!(
        "global_defs {{\n  router_id {name}\n  vrrp_version 3\n}}\n\
         vrrp_instance lab {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 51\n  priority {priority}\n  \
         advert_int 0.1\n  virtual_ipaddress {{\n    {VIRTUAL_IP}/32 dev eth0\n  }}\n}}\n",
        name = node.name,
        priority = 255_u8.saturating_sub(node.index),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rights, trial};

    #[test]
    fn keepalived_carries_its_address_through_a_crash_and_a_stop() {
        rights::within(|| {
            let mut keepalived = Keepalived::start(Lab::build(3)?, Nodes::Routers)?;
            let crash = trial::crash(&keepalived, 0.5)?;
            eprintln!("{crash:#?}");
            assert!(
                crash.outage > Duration::from_millis(150) && crash.outage < Duration::from_secs(1),
                "{crash:?}"
            );
            assert!(crash.to.is_some_and(|to| to != crash.from), "{crash:?}");
            let stop = trial::hand_over(&mut keepalived, 0.5)?;
            eprintln!("{stop:#?}");
            assert!(stop.outage < Duration::from_millis(500), "{stop:?}");
            Ok(())
        });
    }
}
