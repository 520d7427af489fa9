// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! OpenBGPD (package `openbgpd`). It shuts itself up in `/run/openbgpd`, which has to be there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::answer::{at, list, number, text};
use super::wire::{Wire, ask};
use super::{Neighbour, Route, Router, Table};
use crate::{Namespace, Process};

#[derive(Debug)]
pub(super) struct OpenBgpd {
    processes: Vec<Process>,
    namespace: Namespace,
    control: PathBuf,
    /// The node, as OpenBGPD calls it.
    neighbour: String,
}

impl OpenBgpd {
    pub(super) fn start(wire: &Wire, node: &Neighbour) -> Result<Self> {
        let (config, control) = (wire.folder().join("bgpd.conf"), wire.folder().join("bgpd.ctl"));
        fs::create_dir_all("/run/openbgpd").context("making the folder that OpenBGPD shuts itself up in")?;
        fs::write(&config, configuration(node, &control.to_string_lossy()))?;
        // It refuses a file that others may read.
        fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        let mut command = Command::new("/usr/sbin/bgpd");
        command.arg("-d").arg("-f").arg(config);
        let process = wire.start("openbgpd", command).context("OpenBGPD is in the package openbgpd")?;
        let neighbour = Wire::scoped_node_address(node.over);
        Ok(Self { processes: vec![process], namespace: wire.router.clone(), control, neighbour })
    }

    fn ask(&self, question: &[&str]) -> Result<String> {
        let control = self.control.to_string_lossy();
        ask(&self.namespace, "bgpctl", &[&["-s", &control, "-j"], question].concat())
    }
}

impl Router for OpenBgpd {
    fn routes(&self) -> Result<Table> {
        let answer = self.ask(&["show", "rib", "detail"])?;
        let all: Value =
            serde_json::from_str(&answer).with_context(|| format!("OpenBGPD answered with {answer}"))?;
        let routes = list(&all, "/rib");
        Ok(routes.map(|route| (text(route, "/prefix"), read(route))).collect())
    }

    fn ask_again(&self) -> Result<()> {
        let control = self.control.to_string_lossy();
        ask(&self.namespace, "bgpctl", &["-s", &control, "neighbor", &self.neighbour, "refresh"]).map(drop)
    }

    fn story(&self) -> String {
        let asked = self.ask(&["show", "neighbor"]).unwrap_or_else(|error| format!("{error:#}"));
        let log = self.processes.first().map(|process| process.log_end(20)).unwrap_or_default();
        format!("{asked}\n{log}")
    }

    fn processes(&mut self) -> &mut Vec<Process> {
        &mut self.processes
    }
}

fn configuration(node: &Neighbour, control: &str) -> String {
    let Neighbour { router_as, node_as, hold, .. } = node;
    let address = Wire::scoped_node_address(node.over);
    let mut options = String::new();
    let mut say = |line: &str| options.push_str(&format!("  {line}\n"));
    if let Some(password) = &node.password {
        say(&format!("tcp md5sig password \"{password}\""));
    }
    if node.gtsm {
        say("ttl-security yes");
    }
    if node.passive {
        say("passive");
    }
    say(&format!("announce restart {}", if node.graceful_restart { "yes" } else { "no" }));
    let own = Wire::scoped_router_address(node.over);
    format!(
        "AS {router_as}\nrouter-id 192.0.2.2\nfib-update no\nconnect-retry 1\nsocket \"{control}\"\nlisten on {own}\n\
         neighbor {address} {{\n  remote-as {node_as}\n  holdtime {hold}\n  announce IPv4 unicast\n  announce IPv6 unicast\n\
         {options}}}\nallow from any\nallow to any\n"
    )
}

fn read(route: &Value) -> Route {
    let texts = |place: &str| list(route, place).filter_map(Value::as_str).map(str::to_owned).collect();
    let path = text(route, "/aspath");
    Route {
        next_hop: text(route, "/exit_nexthop"),
        as_path: path.split_whitespace().filter_map(|number| number.parse().ok()).collect(),
        local_pref: number(at(route, "/localpref")),
        communities: texts("/communities"),
        large_communities: texts("/large_communities"),
    }
}
