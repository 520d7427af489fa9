// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BIRD 2 (package `bird2`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::wire::{Wire, ask};
use super::{Neighbour, Over, Route, Router, Table};
use crate::{Namespace, Process};

#[derive(Debug)]
pub(super) struct Bird {
    processes: Vec<Process>,
    namespace: Namespace,
    control: PathBuf,
}

impl Bird {
    pub(super) fn start(wire: &Wire, node: &Neighbour) -> Result<Self> {
        let (config, control) = (wire.folder().join("bird.conf"), wire.folder().join("bird.ctl"));
        fs::write(&config, configuration(node))?;
        let mut command = Command::new("bird");
        command.arg("-f").arg("-c").arg(config).arg("-s").arg(&control);
        let process = wire.start("bird", command).context("BIRD is in the package bird2")?;
        Ok(Self { processes: vec![process], namespace: wire.router.clone(), control })
    }

    fn ask(&self, question: &str) -> Result<String> {
        let control = self.control.to_string_lossy();
        ask(&self.namespace, "birdc", &["-r", "-s", &control, question])
    }
}

impl Router for Bird {
    fn routes(&self) -> Result<Table> {
        Ok(parse(&self.ask("show route protocol node all")?))
    }

    fn ask_again(&self) -> Result<()> {
        let control = self.control.to_string_lossy();
        ask(&self.namespace, "birdc", &["-s", &control, "reload in node"]).map(drop)
    }

    fn path_is_up(&self) -> Result<bool> {
        let sessions = self.ask("show bfd sessions")?;
        Ok(sessions.lines().any(|line| line.split_whitespace().nth(2) == Some("Up")))
    }

    fn story(&self) -> String {
        let asked = self.ask("show protocols all node").unwrap_or_else(|error| format!("{error:#}"));
        let log = self.processes.first().map(|process| process.log_end(20)).unwrap_or_default();
        format!("{asked}\n{log}")
    }

    fn processes(&mut self) -> &mut Vec<Process> {
        &mut self.processes
    }
}

fn configuration(node: &Neighbour) -> String {
    let mut options = String::new();
    let mut say = |line: &str| options.push_str(&format!("  {line};\n"));
    if let Some(password) = &node.password {
        say(&format!("password \"{password}\""));
    }
    if node.gtsm {
        say("ttl security on");
    }
    say(if node.graceful_restart { "graceful restart on" } else { "graceful restart off" });
    if node.bfd {
        say("bfd on");
    }
    if node.multihop {
        say("multihop 2");
    }
    if node.passive {
        say("passive on");
    }
    let extended = if node.extended_next_hop { "extended next hop on;" } else { "" };
    let interface = if node.over == Over::LinkLocal { "%'eth0'" } else { "" };
    let radv = if node.advertises {
        "protocol radv { interface \"eth0\" { min ra interval 3; max ra interval 4; }; }\n"
    } else {
        ""
    };
    let address = Wire::node_address(node.over);
    let (offered, export) = match node.offers {
        Some(route) => (format!("protocol static {{ ipv4; route {route} blackhole; }}\n"), "all"),
        None => (String::new(), "none"),
    };
    let Neighbour { router_as, node_as, hold, port, .. } = node;
    let own = if node.multihop { Wire::router_address(node.over) } else { "" };
    let keepalive = hold / 3;
    // Without short pauses after an error the node would not be let in for a minute.
    format!(
        "router id 192.0.2.2;\n\
         protocol device {{ scan time 1; }}\n{radv}{offered}\
         protocol bfd {{ interface \"*\" {{ min rx interval 100 ms; min tx interval 100 ms; idle tx interval 300 ms; multiplier 3; }}; \
         multihop {{ min rx interval 100 ms; min tx interval 100 ms; idle tx interval 300 ms; multiplier 3; }}; }}\n\
         protocol bgp node {{\n  local {own} port {port} as {router_as};\n  neighbor {address}{interface} as {node_as};\n  \
         hold time {hold};\n  keepalive time {keepalive};\n  connect delay time 1;\n  connect retry time 1;\n  \
         error wait time 1, 2;\n{options}  \
         ipv4 {{ import all; export {export}; {extended} }};\n  ipv6 {{ import all; export none; }};\n}}\n"
    )
}

/// Reads `show route all`: a line for each route, then one for each attribute, set back.
fn parse(text: &str) -> Table {
    let mut table = Table::new();
    let mut prefix = String::new();
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            let first = line.split_whitespace().next().unwrap_or_default();
            if first.contains('/') {
                first.clone_into(&mut prefix);
                table.insert(prefix.clone(), Route::default());
            }
            continue;
        }
        let Some((name, value)) = line.trim().split_once(": ") else { continue };
        let Some(route) = table.get_mut(&prefix) else { continue };
        match name {
            "BGP.next_hop" => value.clone_into(&mut route.next_hop),
            "BGP.as_path" => {
                route.as_path = value.split(' ').filter_map(|number| number.parse().ok()).collect()
            }
            "BGP.local_pref" => route.local_pref = value.parse().ok(),
            "BGP.community" => route.communities = communities(value),
            "BGP.large_community" => route.large_communities = communities(value),
            _ => {}
        }
    }
    table
}

/// `(65001,1) (65001,2)` or `(65001, 1, 2)`.
fn communities(text: &str) -> std::collections::BTreeSet<String> {
    let plain = text.replace(", ", ":").replace(',', ":");
    plain.split_whitespace().map(|one| one.trim_matches(['(', ')']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_with_their_attributes() {
        let text = "BIRD 2.0.12 ready.\nTable master4:\n\
            198.51.100.1/32      unicast [node 11:22:33.123] * (100) [AS65001i]\n\tvia 192.0.2.1 on eth0\n\
            \tBGP.as_path: 65001\n\tBGP.next_hop: 192.0.2.1\n\tBGP.local_pref: 100\n\
            \tBGP.community: (65001,1) (65535,0)\n\tBGP.large_community: (65001, 1, 2)\n";
        let expected = Route {
            next_hop: "192.0.2.1".to_owned(),
            as_path: vec![65_001],
            local_pref: Some(100),
            communities: ["65001:1", "65535:0"].map(str::to_owned).into(),
            large_communities: ["65001:1:2".to_owned()].into(),
        };
        assert_eq!(parse(text), Table::from([("198.51.100.1/32".to_owned(), expected)]));
    }
}
