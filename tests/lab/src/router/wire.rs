// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A node and a router with a wire between them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Over;
use crate::{Namespace, Process, Site, rights, shell};

/// The node's address.
pub const NODE_V4: &str = "192.0.2.1";
/// The router's address.
pub const ROUTER_V4: &str = "192.0.2.2";
/// The node's address.
pub const NODE_V6: &str = "2001:db8:77::1";
/// The router's address.
pub const ROUTER_V6: &str = "2001:db8:77::2";
/// The number of the node's `eth0`.
pub const NODE_LINK: u32 = 10;
/// What the kernel makes of the node's MAC address.
const NODE_LINK_LOCAL: &str = "fe80::ff:fe00:1";
const ROUTER_LINK_LOCAL: &str = "fe80::ff:fe00:2";

/// Two namespaces, `eth0` in each. Everything of it is removed on drop; what a killed run left, when the next is built.
#[derive(Debug)]
pub struct Wire {
    /// Where the speaker runs.
    pub node: Namespace,
    /// Where the router runs.
    pub router: Namespace,
    site: Site,
}

impl Wire {
    /// Builds one.
    ///
    /// # Errors
    /// Rights or tools are missing.
    pub fn build() -> Result<Self> {
        rights::check()?;
        let site = Site::open()?;
        let open = |end: &str| {
            let name = format!("{}-{end}", site.name());
            shell::feed("ip", &["-batch", "-"], &format!("netns add {name}\n"))?;
            let namespace = Namespace::open(&name)?;
            // Addresses can be used at once.
            namespace.sysctl(&[("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")])?;
            Ok::<_, anyhow::Error>(namespace)
        };
        let wire = Self { node: open("node")?, router: open("router")?, site };
        wire.node.ip(&format!(
            "link add eth0 index {NODE_LINK} address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns {}\n",
            wire.router.name()
        ))?;
        for (end, v4, v6) in [(&wire.node, NODE_V4, NODE_V6), (&wire.router, ROUTER_V4, ROUTER_V6)] {
            end.ip(&format!(
                "link set lo up\naddr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\nlink set eth0 up\n"
            ))?;
        }
        Ok(wire)
    }

    /// The node's address, as the router calls it.
    pub fn node_address(over: Over) -> &'static str {
        match over {
            Over::V4 => NODE_V4,
            Over::V6 => NODE_V6,
            Over::LinkLocal => NODE_LINK_LOCAL,
        }
    }

    /// The same with the router's interface, where it means nothing without.
    pub(super) fn scoped_node_address(over: Over) -> String {
        format!("{}{}", Self::node_address(over), scope(over))
    }

    /// The router's address, as the node calls it.
    pub fn router_address(over: Over) -> &'static str {
        match over {
            Over::V4 => ROUTER_V4,
            Over::V6 => ROUTER_V6,
            Over::LinkLocal => ROUTER_LINK_LOCAL,
        }
    }

    /// The same as the router itself calls it, with its interface where that is needed.
    pub(super) fn scoped_router_address(over: Over) -> String {
        format!("{}{}", Self::router_address(over), scope(over))
    }

    /// A folder for configuration and logs; removed with the wire.
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Starts a program at the router's end; what it prints is in `<name>.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, name: &str, command: Command) -> Result<Process> {
        self.site.start(name, Some(&self.router), command)
    }

    /// The same at the node's end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_at_node(&self, name: &str, command: Command) -> Result<Process> {
        self.site.start(name, Some(&self.node), command)
    }

    /// Runs a program at the router's end and returns what it printed.
    ///
    /// # Errors
    /// It fails; what it said is in the message.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        ask(&self.router, program, arguments)
    }
}

/// Runs a program in a namespace and returns what it printed.
pub(crate) fn ask(namespace: &Namespace, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", shell::search_path());
    let output =
        namespace.run(|| command.output().with_context(|| format!("`{program}` cannot be started")))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{program} {} failed: {text}", arguments.join(" "));
    Ok(text)
}

/// What an address of the link needs beside it on the router.
fn scope(over: Over) -> &'static str {
    if over == Over::LinkLocal { "%eth0" } else { "" }
}
