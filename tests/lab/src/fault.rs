// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Faults: what can break between a node and the rest of the segment.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use crate::lab::segment_addresses;
use crate::{Lab, Node};

/// Which way a black hole swallows frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the node sends is lost; it hears the others.
    FromNode,
    /// What is sent to the node is lost; the others hear it.
    ToNode,
    /// Both.
    Both,
}

impl Lab {
    /// Pulls the cable: the switch's port goes down, the node sees its carrier go. To the others this is the crash of a node.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn cut(&self, node: &Node) -> Result<()> {
        self.switch
            .ip(&format!("link set {} down\n", node.port()))
            .with_context(|| format!("cutting {}", node.name))
    }

    /// Puts the cable back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn plug(&self, node: &Node) -> Result<()> {
        self.switch
            .ip(&format!("link set {} up\n", node.port()))
            .with_context(|| format!("plugging {}", node.name))
    }

    /// Takes the node's own interface down, as an administrator does.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn interface_down(&self, node: &Node) -> Result<()> {
        node.namespace
            .ip("link set eth0 down\n")
            .with_context(|| format!("taking eth0 of {} down", node.name))
    }

    /// Takes it up again, with the IPv6 addresses and the routes that the kernel dropped.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn interface_up(&self, node: &Node) -> Result<()> {
        let lines = format!("link set eth0 up\n{}{}", segment_addresses(node.place()), self.routes_of(node));
        node.namespace.ip(&lines).with_context(|| format!("taking eth0 of {} up", node.name))
    }

    /// Swallows frames between the node and the segment without a sign: carrier stays. Replaces the node's earlier black hole.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn black_hole(&self, node: &Node, direction: Direction) -> Result<()> {
        let port = node.port();
        let from = format!("iifname \"{port}\" drop;");
        let to = format!("oifname \"{port}\" drop;");
        let rules = match direction {
            Direction::FromNode => from,
            Direction::ToNode => to,
            Direction::Both => format!("{from} {to}"),
        };
        self.filter(node, &rules)
    }

    fn filter(&self, node: &Node, rules: &str) -> Result<()> {
        let table = format!("bridge lab-{}", node.name);
        self.switch.nft(&format!(
            "table {table}\ndelete table {table}\ntable {table} {{\nchain forward {{ type filter hook forward priority 0; {rules}\n}}\n}}\n"
        ))
    }

    /// Takes away what the node says by ARP of other addresses than its own, as dynamic ARP inspection does. Replaces
    /// the node's earlier black hole.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn inspect_arp(&self, node: &Node) -> Result<()> {
        let (port, own) = (node.port(), node.place().ipv4());
        self.filter(node, &format!("iifname \"{port}\" ether type arp arp saddr ip != {own} drop;"))
    }

    /// Takes away what is sent to a TCP port of an address by way of the node. Replaces the node's earlier black hole.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn filter_port(&self, node: &Node, address: Ipv4Addr, tcp_port: u16) -> Result<()> {
        let port = node.port();
        self.filter(node, &format!("oifname \"{port}\" ip daddr {address} tcp dport {tcp_port} drop;"))
    }

    /// Ends the node's black hole.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn fill_hole(&self, node: &Node) -> Result<()> {
        let table = format!("bridge lab-{}", node.name);
        self.switch.nft(&format!("table {table}\ndelete table {table}\n"))
    }

    /// The whole switch loses power: every port goes down at once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn all_ports_down(&self) -> Result<()> {
        let lines: String = self.port_names().map(|port| format!("link set {port} down\n")).collect();
        self.switch.ip(&lines).context("taking all ports down")
    }

    /// The ports that a node or a client is plugged into, the client's and the newcomer's first.
    pub fn port_names(&self) -> impl Iterator<Item = String> {
        let clients = ["p-client".to_owned(), "p-newcomer".to_owned()];
        clients.into_iter().chain(self.nodes.iter().map(Node::port))
    }

    /// One port of the switch comes back.
    ///
    /// # Errors
    /// There is no such port.
    pub fn port_up(&self, port: &str) -> Result<()> {
        self.switch.ip(&format!("link set {port} up\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::addresses::{POD_TCP, POD_UDP, pod_v4};
    use crate::capture::Capture;
    use crate::probe::{Connections, Connects, NewClients, UdpEcho};
    use crate::{Place, backend, rights};

    /// Dark for this long; a busy machine adds to it.
    const DARK: Duration = Duration::from_millis(400);

    #[test]
    fn every_prober_sees_a_pulled_cable_and_that_it_is_back() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let _servers = backend::in_pods(&lab)?;
            let node = lab.node("n1")?;
            lab.client.ip(&format!("route add 10.244.1.0/24 via {}\n", Place::Node(1).ipv4()))?;
            let pod = |port| SocketAddr::from((pod_v4(1), port));

            let datagrams = UdpEcho::start(&lab.client, pod(POD_UDP))?;
            let connects = Connects::start(&lab.client, pod(POD_TCP))?;
            let open = Connections::start(&lab.client, pod(POD_TCP), 10)?;
            let new = NewClients::start(&lab.newcomer, Place::Node(1).ipv4().into())?;
            thread::sleep(DARK);
            lab.cut(node)?;
            thread::sleep(DARK);
            lab.plug(node)?;
            thread::sleep(DARK * 4);

            let datagrams = datagrams.finish()?;
            assert!(datagrams.outage >= DARK - Duration::from_millis(10), "{datagrams:?}");
            assert!(datagrams.outage < DARK * 3 && datagrams.lost < datagrams.sent / 2, "{datagrams:?}");
            assert_eq!(datagrams.answered_by.keys().copied().collect::<Vec<Place>>(), [Place::Node(1)]);
            let connects = connects.finish()?;
            assert!(connects.failed > 0 && connects.failed < connects.attempts / 2, "{connects:?}");
            let open = open.finish()?;
            assert_eq!((open.opened, open.reset, open.stalled), (10, 0, 0), "{open:?}");
            assert!(open.longest_wait >= DARK / 2, "{open:?}");
            let new = new.finish()?;
            assert!(new.longest_dark() >= DARK - Duration::from_millis(20), "{:?}", new.longest_dark());
            assert_eq!(new.last_answerer(), Some(Place::Node(1).mac()));
            assert_eq!(new.two_answered(), Duration::ZERO);
            Ok(())
        });
    }

    #[test]
    fn a_black_hole_swallows_one_direction_only_and_can_be_filled() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let node = lab.node("n1")?;
            // Whether the client sees the node ask, and whether the node answers when asked.
            let heard = || -> Result<(bool, bool)> {
                let capture = Capture::start(&lab.client, |frame| frame.source == Place::Node(1).mac())?;
                node.namespace.ip("neigh flush dev eth0\n")?;
                node.namespace.run(|| {
                    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
                    socket.send_to(b"?", (Place::Client.ipv4(), 9))?;
                    Ok(())
                })?;
                thread::sleep(Duration::from_millis(100));
                let asks = !capture.finish()?.is_empty();
                let new = NewClients::start(&lab.newcomer, Place::Node(1).ipv4().into())?;
                thread::sleep(Duration::from_millis(100));
                Ok((asks, !new.finish()?.answers.is_empty()))
            };
            assert_eq!(heard()?, (true, true));
            lab.black_hole(node, Direction::ToNode)?;
            assert_eq!(heard()?, (true, false));
            lab.black_hole(node, Direction::FromNode)?;
            assert_eq!(heard()?, (false, false));
            lab.fill_hole(node)?;
            assert_eq!(heard()?, (true, true));
            Ok(())
        });
    }

    #[test]
    fn an_interface_that_was_down_has_its_addresses_and_routes_again() {
        rights::within(|| {
            let lab = Lab::build(2)?;
            let node = lab.node("n1")?;
            let describe = || {
                let mut show = std::process::Command::new("sh");
                show.args(["-c", "ip -br addr show dev eth0; ip route; ip -6 route | sort"]);
                lab.output(&node.namespace, show)
            };
            let before = describe()?;
            lab.interface_down(node)?;
            assert_ne!(describe()?, before);
            lab.interface_up(node)?;
            assert_eq!(describe()?, before);
            Ok(())
        });
    }
}
