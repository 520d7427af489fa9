// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! keepalived beside us: the yardstick for layer-2 failover.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::backend::{self, Server};
use crate::frame::{Content, Frame};
use crate::trial::Contender;
use crate::{Lab, Node, Place, Process, shell};

/// The virtual IP that keepalived carries.
pub const VIRTUAL_IP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
/// The one of IPv6, an instance of its own.
pub const VIRTUAL_IP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x200);
const PORT: u16 = 9000;

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

/// How often adverts are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adverts {
    /// Each 100 ms.
    Hundred,
    /// Each 30 ms.
    Thirty,
}

impl Adverts {
    fn interval(self) -> Duration {
        match self {
            Self::Hundred => Duration::from_millis(100),
            Self::Thirty => Duration::from_millis(30),
        }
    }
}

/// keepalived on every node of a lab of its own: VRRPv3, priorities 254, 253, 252, all start as backup and none pre-empts. At 100 ms
/// that is the tuning with the shortest failover that does not duel (priorities one step apart, skew below 1 ms); at 30 ms it does.
#[derive(Debug)]
pub struct Keepalived {
    // Fields drop in this order: processes and servers before the namespaces they live in.
    processes: BTreeMap<String, Process>,
    _servers: Vec<Server>,
    nodes: Nodes,
    adverts: Adverts,
    lab: Lab,
}

impl Keepalived {
    /// Starts it on every node of `lab`, with adverts each 100 ms and a UDP echo on the virtual IPs.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start(lab: Lab, nodes: Nodes) -> Result<Self> {
        Self::start_with(lab, nodes, Adverts::Hundred)
    }

    /// Starts it with other adverts.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start_with(lab: Lab, nodes: Nodes, adverts: Adverts) -> Result<Self> {
        if nodes == Nodes::Hosts {
            for node in &lab.nodes {
                node.namespace.sysctl(&[("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0")])?;
            }
        }
        let mut servers = Vec::new();
        for node in &lab.nodes {
            for address in [IpAddr::from(VIRTUAL_IP), VIRTUAL_IP_V6.into()] {
                servers.push(backend::udp_echo(&node.namespace, node, (address, PORT).into())?);
            }
        }
        let names: Vec<String> = lab.nodes.iter().map(|node| node.name.clone()).collect();
        let mut keepalived = Self { processes: BTreeMap::new(), _servers: servers, nodes, adverts, lab };
        for name in names {
            keepalived.rejoin(&name)?;
        }
        Ok(keepalived)
    }
}

impl Contender for Keepalived {
    fn name(&self) -> &'static str {
        match (self.nodes, self.adverts) {
            (Nodes::Routers, Adverts::Hundred) => "keepalived",
            (Nodes::Routers, Adverts::Thirty) => "keepalived, 30 ms",
            (Nodes::Hosts, Adverts::Hundred) => "keepalived, hosts",
            (Nodes::Hosts, Adverts::Thirty) => "keepalived, hosts, 30 ms",
        }
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn target(&self) -> SocketAddr {
        (VIRTUAL_IP, PORT).into()
    }

    fn target_v6(&self) -> Option<SocketAddr> {
        Some((VIRTUAL_IP_V6, PORT).into())
    }

    fn advert_interval(&self) -> Duration {
        self.adverts.interval()
    }

    fn is_advert(&self, frame: &Frame, place: Place, address: IpAddr) -> bool {
        // Over IPv6 the sender's address is its link-local one, which nothing else in the lab needs to know.
        matches!(frame.content, Content::Vrrp { from } if from.is_ipv4() == address.is_ipv4())
            && frame.source == place.mac()
    }

    fn recovery(&self) -> Duration {
        Duration::from_millis(1000)
    }

    fn process(&self, node: &str) -> Result<&Process> {
        self.processes.get(node).with_context(|| format!("keepalived does not run on {node}"))
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
        // One that was killed leaves its addresses behind, and would start with them.
        node.namespace
            .ip(&format!("addr flush dev eth0 to {VIRTUAL_IP}/32\naddr flush dev eth0 to {VIRTUAL_IP_V6}/128\naddr flush dev eth0 to {LINK_LOCAL}/128\n"))?;
        // It also leaves its pid files, and would refuse to start while one names a process that nobody has reaped yet.
        for kind in ["pid", "vrrp.pid"] {
            match fs::remove_file(file(kind)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", file(kind).display()));
                }
                _ => {}
            }
        }
        let configuration = file("conf");
        fs::write(&configuration, configure(node, self.adverts))
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
        // A contender that is a node short would look worse than it is.
        let deadline = Instant::now() + START;
        let takes_part = |log: &str| {
            ["lab", "lab6"]
                .iter()
                .all(|instance| log.contains(&format!("({instance}) Entering BACKUP STATE")))
        };
        while !takes_part(&process.log()) {
            ensure!(
                Instant::now() < deadline,
                "{} does not start; it said:\n{}",
                process.name(),
                process.log_end(20)
            );
            thread::sleep(Duration::from_millis(10));
        }
        self.processes.insert(node.name.clone(), process);
        Ok(())
    }
}

/// How long it may take until it takes part.
const START: Duration = Duration::from_secs(10);

/// The first address of an IPv6 instance has to be link-local (RFC 9568 section 5.2.9).
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x200);

fn configure(node: &Node, adverts: Adverts) -> String {
    let (priority, interval) = (255_u8.saturating_sub(node.index), adverts.interval().as_secs_f64());
    let instance = |name: &str, id: u8, addresses: String| {
        format!(
            "vrrp_instance {name} {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id {id}\n  \
             priority {priority}\n  advert_int {interval}\n  virtual_ipaddress {{\n{addresses}  }}\n}}\n"
        )
    };
    format!(
        "global_defs {{\n  router_id {}\n  vrrp_version 3\n}}\n{}{}",
        node.name,
        instance("lab", 51, format!("    {VIRTUAL_IP}/32 dev eth0\n")),
        instance("lab6", 52, format!("    {LINK_LOCAL}/64 dev eth0\n    {VIRTUAL_IP_V6}/128 dev eth0\n")),
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
