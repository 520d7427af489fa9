// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! ExaBGP (package `exabgp`): it keeps no table, and tells each message that it receives. The table here is made of what it told.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::answer::{at, fields, list, number};
use super::wire::Wire;
use super::{Neighbour, Route, Router, Table};
use crate::Process;

#[derive(Debug)]
pub(super) struct ExaBgp {
    processes: Vec<Process>,
    /// What it told, a line each.
    told: PathBuf,
    /// A pipe to it.
    orders: PathBuf,
}

/// Between ExaBGP and two files: what it tells goes to the first, and the lines of the second go to it. Its pipes do not block.
const CLERK: &str = "\
import os, select, sys
told = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
orders = os.open(sys.argv[2], os.O_RDWR)
while True:
    for ready in select.select([0, orders], [], [])[0]:
        try:
            octets = os.read(ready, 65536)
        except BlockingIOError:
            continue
        if not octets:
            sys.exit()
        os.write(told if ready == 0 else 1, octets)
";

impl ExaBgp {
    pub(super) fn start(wire: &Wire, node: &Neighbour) -> Result<Self> {
        let within = |name: &str| wire.folder().join(name);
        let (config, clerk) = (within("exabgp.conf"), within("clerk.py"));
        let (told, orders) = (within("told.json"), within("orders"));
        nix::unistd::mkfifo(&orders, nix::sys::stat::Mode::S_IRWXU)?;
        fs::write(&clerk, CLERK)?;
        fs::write(&told, "")?;
        let run = format!("/usr/bin/python3 {} {} {}", clerk.display(), told.display(), orders.display());
        fs::write(&config, configuration(node, &run))?;
        let mut command = Command::new("exabgp");
        command
            .env("exabgp.daemon.user", "root")
            .env("exabgp.api.cli", "false")
            .env("exabgp.api.ack", "false");
        command
            .env("exabgp.tcp.bind", Wire::router_address(node.over))
            .env("exabgp.tcp.port", "179")
            .arg(config);
        let process = wire.start("exabgp", command).context("ExaBGP is in the package exabgp")?;
        Ok(Self { processes: vec![process], told, orders })
    }
}

impl Router for ExaBgp {
    fn routes(&self) -> Result<Table> {
        Ok(table(&fs::read_to_string(&self.told)?))
    }

    fn ask_again(&self) -> Result<()> {
        let mut orders = fs::File::options().write(true).open(&self.orders)?;
        Ok(orders.write_all(b"announce route-refresh ipv4 unicast\n")?)
    }

    fn story(&self) -> String {
        let told = fs::read_to_string(&self.told).unwrap_or_default();
        let log = self.processes.first().map(|process| process.log_end(20)).unwrap_or_default();
        format!("{told}\n{log}")
    }

    fn processes(&mut self) -> &mut Vec<Process> {
        &mut self.processes
    }
}

fn configuration(node: &Neighbour, clerk: &str) -> String {
    let Neighbour { router_as, node_as, hold, over, .. } = node;
    let mut options = String::new();
    let mut say = |line: &str| options.push_str(&format!("  {line};\n"));
    if let Some(password) = &node.password {
        say(&format!("md5-password \"{password}\""));
    }
    if node.gtsm {
        say("outgoing-ttl 255");
        say("incoming-ttl 255");
    }
    if node.passive {
        say("passive");
    }
    let mut capability = "route-refresh enable;".to_owned();
    if node.graceful_restart {
        capability.push_str(" graceful-restart 120;");
    }
    let mut next_hop = "";
    if node.extended_next_hop {
        capability.push_str(" nexthop enable;");
        next_hop = "  nexthop { ipv4 unicast ipv6; }\n";
    }
    let (address, own) = (Wire::node_address(*over), Wire::router_address(*over));
    format!(
        "process clerk {{ run {clerk}; encoder json; }}\n\
         neighbor {address} {{\n  router-id 192.0.2.2;\n  local-address {own};\n  local-as {router_as};\n  peer-as {node_as};\n  \
         hold-time {hold};\n{options}  capability {{ {capability} }}\n  family {{ ipv4 unicast; ipv6 unicast; }}\n{next_hop}  \
         api {{ processes [ clerk ]; neighbor-changes; receive {{ parsed; update; }} }}\n}}\n"
    )
}

/// Takes every message in, from the beginning.
fn table(told: &str) -> Table {
    let mut table = Table::new();
    for message in told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if at(&message, "/neighbor/state") == "down" {
            table.clear();
        }
        let update = at(&message, "/neighbor/message/update");
        for prefix in fields(update, "/withdraw").flat_map(|(_, list)| prefixes(list)) {
            table.remove(&prefix);
        }
        let route = read(at(update, "/attribute"));
        let next_hops = fields(update, "/announce").flat_map(|(_, next_hops)| fields(next_hops, ""));
        for (next_hop, list) in next_hops {
            for prefix in prefixes(list) {
                // Of a global and a link-local address each is told by itself.
                let seen = table.remove(&prefix).filter(|_| next_hop.starts_with("fe80:"));
                let next_hop = seen.map_or_else(|| next_hop.clone(), |seen: Route| seen.next_hop);
                table.insert(prefix, Route { next_hop, ..route.clone() });
            }
        }
    }
    table
}

fn prefixes(all: &Value) -> Vec<String> {
    list(all, "").filter_map(|one| at(one, "/nlri").as_str()).map(str::to_owned).collect()
}

fn read(attributes: &Value) -> Route {
    let joined = |place: &str| {
        let written = |one: &Value| {
            let parts: Vec<String> = list(one, "").map(Value::to_string).collect();
            parts.join(":")
        };
        list(attributes, place).map(written).collect()
    };
    Route {
        next_hop: String::new(),
        as_path: list(attributes, "/as-path").filter_map(number).collect(),
        local_pref: number(at(attributes, "/local-preference")),
        communities: joined("/community"),
        large_communities: joined("/large-community"),
    }
}
