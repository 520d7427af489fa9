// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Building the lab and taking it down.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::addresses::{
    Place, SEGMENT_V4_LENGTH, SEGMENT_V6_LENGTH, pod_gateway_v4, pod_gateway_v6, pod_v4, pod_v6,
};
use crate::{Namespace, Process, Site, rights, shell};

/// A node of the lab with the pod behind it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Counted from 1.
    pub index: u8,
    /// `n1`, `n2`, …
    pub name: String,
    /// Where its processes run; `eth0` is its link to the segment.
    pub namespace: Namespace,
    /// A pod that only this node leads to.
    pub pod: Namespace,
}

impl Node {
    /// Its place on the segment.
    pub fn place(&self) -> Place {
        Place::Node(self.index)
    }

    /// The switch's port that its link is plugged into.
    pub(crate) fn port(&self) -> String {
        format!("p-{}", self.name)
    }
}

/// A segment (`198.51.100.0/24`, `2001:db8:1::/64`) with nodes, a client and a newcomer on it. Everything of it is removed on drop;
/// what a killed run left is removed when the next lab is built.
#[derive(Debug)]
pub struct Lab {
    site: Site,
    pub(crate) switch: Namespace,
    /// The nodes, `n1` first.
    pub nodes: Vec<Node>,
    /// A client that knows the virtual IPs from before.
    pub client: Namespace,
    /// A client that does not, see [`Place::Newcomer`].
    pub newcomer: Namespace,
}

impl Lab {
    /// Builds a lab with `count` nodes (at most 32).
    ///
    /// # Errors
    /// Rights or tools are missing, or the kernel refuses; nothing is left behind then.
    pub fn build(count: u8) -> Result<Self> {
        anyhow::ensure!((1..=32).contains(&count), "a lab has 1 to 32 nodes, not {count}");
        rights::check()?;
        Self::build_at(Site::open()?, count).context("building the lab")
    }

    fn build_at(site: Site, count: u8) -> Result<Self> {
        let name = site.name();
        let full = |short: &str| format!("{name}-{short}");
        let nodes = || (1..=count).map(|index| (index, Place::Node(index).name()));

        let mut names = vec![full("sw"), full("client"), full("newcomer")];
        for (index, node) in nodes() {
            names.extend([full(&node), full(&format!("pod{index}"))]);
        }
        let batch: String = names.iter().map(|name| format!("netns add {name}\n")).collect();
        shell::feed("ip", &["-batch", "-"], &batch)?;

        let open = |short: &str| Namespace::open(&full(short));
        let lab = Self {
            switch: open("sw")?,
            nodes: nodes()
                .map(|(index, name)| {
                    let namespace = open(&name)?;
                    Ok(Node { index, name, namespace, pod: open(&format!("pod{index}"))? })
                })
                .collect::<Result<_>>()?,
            client: open("client")?,
            newcomer: open("newcomer")?,
            site,
        };
        lab.wire()?;
        Ok(lab)
    }

    fn wire(&self) -> Result<()> {
        // Bridged frames must not take a detour through this kernel's packet filter.
        self.switch.sysctl(&[
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
            ("bridge/bridge-nf-call-arptables", "0"),
        ])?;
        let stations = || {
            let nodes = self.nodes.iter().map(|node| (node.place(), &node.namespace));
            nodes.chain([(Place::Client, &self.client), (Place::Newcomer, &self.newcomer)])
        };
        let mut ports =
            String::from("link add br0 type bridge stp_state 0 mcast_snooping 0\nlink set br0 up\n");
        for (place, namespace) in stations() {
            prepare(namespace, matches!(place, Place::Node(_)))?;
            ports.push_str(&port(place, namespace));
        }
        self.switch.ip(&ports)?;
        for (place, namespace) in stations() {
            namespace.ip(&format!("link set lo up\n{}", segment_addresses(place)))?;
        }
        for node in &self.nodes {
            prepare(&node.pod, false)?;
            let index = node.index;
            node.namespace.ip(&format!(
                "link add pod type veth peer name eth0 netns {}\n\
                 addr add {}/24 dev pod\naddr add {}/64 dev pod nodad\nlink set pod up\n{}",
                node.pod.name(),
                pod_gateway_v4(index),
                pod_gateway_v6(index),
                self.routes_of(node),
            ))?;
            node.pod.ip(&format!(
                "link set lo up\naddr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\nlink set eth0 up\n\
                 route add default via {}\nroute add default via {}\n",
                pod_v4(index),
                pod_v6(index),
                pod_gateway_v4(index),
                pod_gateway_v6(index),
            ))?;
        }
        Ok(())
    }

    /// Gives every station an address in `198.18.0.0/16` too (RFC 2544: for benchmarks), where thousands of virtual IPs have room.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn widen(&self) -> Result<()> {
        let nodes = self.nodes.iter().map(|node| (node.place(), &node.namespace));
        for (place, namespace) in
            nodes.chain([(Place::Client, &self.client), (Place::Newcomer, &self.newcomer)])
        {
            let [.., host] = place.ipv4().octets();
            namespace.ip(&format!("addr replace 198.18.255.{host}/16 dev eth0\n"))?;
        }
        Ok(())
    }

    /// Adds the station of `place`, one that a lab does not have from the start.
    ///
    /// # Errors
    /// It is there already, or the kernel refuses.
    pub fn add_station(&self, place: Place) -> Result<Namespace> {
        let name = format!("{}-{}", self.name(), place.name());
        shell::feed("ip", &["-batch", "-"], &format!("netns add {name}\n"))?;
        let namespace = Namespace::open(&name)?;
        prepare(&namespace, false)?;
        self.switch.ip(&port(place, &namespace))?;
        namespace.ip(&format!("link set lo up\n{}", segment_addresses(place)))?;
        Ok(namespace)
    }

    /// `ip -batch` lines: the ways to the pods of the other nodes.
    pub(crate) fn routes_of(&self, node: &Node) -> String {
        let others = self.nodes.iter().filter(|other| other.index != node.index);
        others
            .map(|other| {
                let (index, place) = (other.index, other.place());
                format!(
                    "route replace 10.244.{index}.0/24 via {}\nroute replace fd00:244:{index}::/64 via {}\n",
                    place.ipv4(),
                    place.ipv6()
                )
            })
            .collect()
    }

    /// The lab's name, with which the full names of its namespaces begin.
    pub fn name(&self) -> String {
        self.site.name()
    }

    /// A folder of the lab's own for configuration, state and logs; removed with it.
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Where its processes live.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The node called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .with_context(|| format!("the lab has no node {name}"))
    }

    /// The node at `place`.
    ///
    /// # Errors
    /// There is none: it is the client or the newcomer.
    pub fn node_at(&self, place: Place) -> Result<&Node> {
        self.node(&place.name())
    }

    /// Starts `command` inside `namespace`, or where this process is if it is `None`. Its output goes to `<name>.log` in the
    /// lab's folder, which is its working directory too.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, name: &str, namespace: Option<&Namespace>, command: Command) -> Result<Process> {
        self.site.start(name, namespace, command)
    }

    /// Runs `command` inside `namespace` to its end and returns what it printed.
    ///
    /// # Errors
    /// It cannot be started or ends with a failure.
    pub fn output(&self, namespace: &Namespace, mut command: Command) -> Result<String> {
        let output = namespace.run(|| Ok(command.env("PATH", shell::search_path()).output()?))?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "{command:?} failed: {text}");
        Ok(text)
    }
}

/// Kernel settings of a station; before its link exists, which takes over the defaults.
fn prepare(namespace: &Namespace, forwards: bool) -> Result<()> {
    let forwarding = if forwards { "1" } else { "0" };
    namespace.sysctl(&[
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/ip_forward", forwarding),
        ("ipv6/conf/all/forwarding", forwarding),
    ])
}

/// `ip -batch` lines for the switch: a port with the station's link plugged in.
fn port(place: Place, namespace: &Namespace) -> String {
    let port = format!("p-{}", place.name());
    format!(
        "link add {port} type veth peer name eth0 address {} netns {}\nlink set {port} master br0 up\n",
        place.mac(),
        namespace.name(),
    )
}

/// `ip -batch` lines: `eth0` with its addresses on the segment, up.
pub(crate) fn segment_addresses(place: Place) -> String {
    format!(
        "addr replace {}/{SEGMENT_V4_LENGTH} dev eth0\naddr replace {}/{SEGMENT_V6_LENGTH} dev eth0 nodad\nlink set eth0 up\n",
        place.ipv4(),
        place.ipv6(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::leftovers;

    #[test]
    fn a_lab_stands_within_seconds_and_leaves_nothing_behind() {
        rights::within(|| {
            let begun = Instant::now();
            let lab = Lab::build(3)?;
            eprintln!("the lab stood after {:?}", begun.elapsed());
            let name = lab.name();
            let mut ping = Command::new("ping");
            ping.args(["-c1", "-W2", "198.51.100.13"]);
            lab.output(&lab.client, ping)?;
            for target in ["10.244.3.10", "fd00:244:3::10"] {
                let mut ping = Command::new("ping");
                ping.args(["-c1", "-W2", target]);
                lab.output(&lab.node("n1")?.namespace, ping)?;
            }
            let mut sleep = Command::new("sleep");
            sleep.arg("600");
            let process = lab.start("sleeper", Some(&lab.client), sleep)?;
            let pid = process.pid();
            drop(process);
            drop(lab);
            assert!(!leftovers::namespaces().iter().any(|left| left.starts_with(&name)));
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
            Ok(())
        });
    }
}
