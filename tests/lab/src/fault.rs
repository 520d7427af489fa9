// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors
//! Faults: what can break between a node and the rest of the segment.

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
        let table = format!("bridge lab-{}", node.name);
        self.switch.nft(&format!(
            "table {table}\ndelete table {table}\ntable {table} {{ chain forward {{ type filter hook forward priority 0; {rules} }} }}\n"
        ))
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
