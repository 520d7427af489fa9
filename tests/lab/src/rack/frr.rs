// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FRR as the router of several nodes, and as a node beside FerroLB's.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{ADDRESS, MULTIPLIER, NODE_AS, Questions, ROUTER_AS};
use crate::router::launch_frr;
use crate::{Lab, Node, Place, Process};

/// GRACEFUL_SHUTDOWN (RFC 8326) needs no line: FRR heeds it by itself.
pub(super) fn start(
    folder: &Path,
    nodes: &[Ipv4Addr],
    interval: Duration,
    keeps: bool,
    start: &dyn Fn(&str, Command) -> Result<Process>,
) -> Result<(Vec<Process>, Questions)> {
    let peers: String = nodes.iter().map(|node| peer(*node, NODE_AS, interval, " passive")).collect();
    let active: String = nodes.iter().map(|node| format!("  neighbor {node} activate\n")).collect();
    let family = format!("{active}  maximum-paths 16\n");
    let configuration = configuration(ROUTER_AS, Place::Newcomer.ipv4(), keeps, &peers, &family);
    let processes = launch_frr(folder, &configuration, start)?;
    let socket = folder.to_string_lossy().into_owned();
    let questions = Questions {
        program: "vtysh",
        arguments: vec!["--vty_socket".to_owned(), socket, "-c".to_owned()],
        bfd: ("show bfd peers brief", " up"),
        story: "show bgp neighbors",
    };
    Ok((processes, questions))
}

/// A node that leads to the address with bgpd and bfdd: the address is on its loopback.
///
/// # Errors
/// FRR is missing, or does not start.
pub fn node(lab: &Lab, node: &Node, interval: Duration) -> Result<Vec<Process>> {
    node.namespace.ip(&format!("addr replace {ADDRESS}/32 dev lo\n"))?;
    let router = Place::Newcomer.ipv4();
    let peers = peer(router, ROUTER_AS, interval, " timers connect 1");
    let family = format!("  network {ADDRESS}/32\n  neighbor {router} activate\n");
    let configuration = configuration(NODE_AS, node.place().ipv4(), false, &peers, &family);
    let start = |name: &str, command: Command| {
        lab.start(&format!("{name}-{}", node.name), Some(&node.namespace), command)
    };
    // Started once more, after it was stopped, it needs another.
    let folder = tempfile::Builder::new().prefix(&format!("frr-{}-", node.name)).tempdir_in(lab.folder())?;
    launch_frr(&folder.keep().join("frr"), &configuration, &start)
}

fn peer(address: Ipv4Addr, number: u32, interval: Duration, more: &str) -> String {
    let every = interval.as_millis();
    let line = |words: &str| format!(" neighbor {address} {words}\n");
    [
        line(&format!("remote-as {number}")),
        line(&format!("bfd {MULTIPLIER} {every} {every}")),
        line(more.trim()),
    ]
    .concat()
}

fn configuration(number: u32, id: Ipv4Addr, keeps: bool, peers: &str, family: &str) -> String {
    let restart = if keeps { "bgp graceful-restart" } else { "bgp graceful-restart-disable" };
    format!(
        "router bgp {number}\n bgp router-id {id}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n \
         no bgp network import-check\n {restart}\n timers bgp 3 9\n{peers} address-family ipv4 unicast\n{family} exit-address-family\n"
    )
}
