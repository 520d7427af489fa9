// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! GoBGP (package `gobgpd`). It waits some seconds before its first session.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::answer::{at, fields, list, number, text};
use super::wire::{Wire, ask};
use super::{Neighbour, Route, Router, Table};
use crate::{Namespace, Process};

#[derive(Debug)]
pub(super) struct GoBgp {
    processes: Vec<Process>,
    namespace: Namespace,
}

/// Path attributes by their codes (RFC 4271, 1997, 4760, 8092).
const AS_PATH: u64 = 2;
const NEXT_HOP: u64 = 3;
const LOCAL_PREF: u64 = 5;
const COMMUNITIES: u64 = 8;
const MP_REACH: u64 = 14;
const LARGE_COMMUNITIES: u64 = 32;

impl GoBgp {
    pub(super) fn start(wire: &Wire, node: &Neighbour) -> Result<Self> {
        let config = wire.folder().join("gobgpd.toml");
        fs::write(&config, configuration(node))?;
        let mut command = Command::new("gobgpd");
        command.args(["-t", "toml", "-f"]).arg(config);
        command.args(["--api-hosts", "127.0.0.1:50051", "--pprof-disable", "--log-plain"]);
        let process = wire.start("gobgpd", command).context("GoBGP is in the package gobgpd")?;
        Ok(Self { processes: vec![process], namespace: wire.router.clone() })
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        ask(&self.namespace, "gobgp", arguments)
    }
}

impl Router for GoBgp {
    fn routes(&self) -> Result<Table> {
        let mut table = Table::new();
        for family in ["ipv4", "ipv6"] {
            let answer = self.ask(&["-j", "global", "rib", "-a", family])?;
            let all: Value =
                serde_json::from_str(&answer).with_context(|| format!("GoBGP answered with {answer}"))?;
            for (prefix, paths) in fields(&all, "") {
                table.insert(prefix.clone(), read(at(paths, "/0")));
            }
        }
        Ok(table)
    }

    fn ask_again(&self) -> Result<()> {
        anyhow::bail!("GoBGP asks no neighbour: it keeps what it received and judges that again")
    }

    fn story(&self) -> String {
        let asked = self.ask(&["neighbor"]).unwrap_or_else(|error| format!("{error:#}"));
        let log = self.processes.first().map(|process| process.log_end(20)).unwrap_or_default();
        format!("{asked}\n{log}")
    }

    fn processes(&mut self) -> &mut Vec<Process> {
        &mut self.processes
    }
}

fn configuration(node: &Neighbour) -> String {
    let Neighbour { router_as, node_as, hold, passive, graceful_restart, .. } = node;
    let (address, keepalive) = (Wire::scoped_node_address(node.over), hold / 3);
    let password =
        node.password.as_ref().map(|text| format!("auth-password = \"{text}\"\n")).unwrap_or_default();
    let gtsm =
        if node.gtsm { "[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255\n" } else { "" };
    let family = |name: &str| {
        format!(
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{name}-unicast\"\n\
             [neighbors.afi-safis.mp-graceful-restart.config]\nenabled = {graceful_restart}\n"
        )
    };
    format!(
        "[global.config]\nas = {router_as}\nrouter-id = \"192.0.2.2\"\n\
         [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {node_as}\n{password}\
         [neighbors.timers.config]\nconnect-retry = 5\nhold-time = {hold}\nkeepalive-interval = {keepalive}\n\
         [neighbors.transport.config]\npassive-mode = {passive}\n{gtsm}\
         [neighbors.graceful-restart.config]\nenabled = {graceful_restart}\nrestart-time = 120\n{}{}",
        family("ipv4"),
        family("ipv6"),
    )
}

fn read(path: &Value) -> Route {
    let mut route = Route::default();
    for attribute in list(path, "/attrs") {
        match at(attribute, "/type").as_u64() {
            Some(AS_PATH) => {
                let segments = list(attribute, "/as_paths");
                route.as_path = segments.flat_map(|one| list(one, "/asns")).filter_map(number).collect();
            }
            Some(NEXT_HOP | MP_REACH) => route.next_hop = text(attribute, "/nexthop"),
            Some(LOCAL_PREF) => route.local_pref = number(at(attribute, "/value")),
            Some(COMMUNITIES) => {
                let written = |value: u32| format!("{}:{}", value >> 16, value & 0xffff);
                route.communities = list(attribute, "/communities").filter_map(number).map(written).collect();
            }
            Some(LARGE_COMMUNITIES) => {
                let written = |one: &Value| {
                    ["/ASN", "/LocalData1", "/LocalData2"].map(|part| at(one, part).to_string()).join(":")
                };
                route.large_communities = list(attribute, "/value").map(written).collect();
            }
            _ => {}
        }
    }
    route
}
