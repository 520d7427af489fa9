// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FRR (package `frr`): zebra, bfdd and bgpd, each a process of its own. They give up root for the user `frr`, so their folder is
//! that user's, and only root can start them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::unistd::User;
use serde_json::Value;

use super::answer::{at, fields, list, number, text};
use super::wire::{Wire, ask};
use super::{Neighbour, Over, Route, Router, Table};
use crate::{Namespace, Process};

const PROGRAMS: &str = "/usr/lib/frr";
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Frr {
    processes: Vec<Process>,
    namespace: Namespace,
    folder: PathBuf,
    /// The node, as FRR calls it.
    neighbour: String,
}

impl Frr {
    pub(super) fn start(wire: &Wire, node: &Neighbour) -> Result<Self> {
        let folder = wire.folder().join("frr");
        let processes =
            launch(&folder, &configuration(node), &|daemon, command| wire.start(daemon, command))?;
        let neighbour = name(node).to_owned();
        Ok(Self { processes, namespace: wire.router.clone(), folder, neighbour })
    }

    fn ask(&self, question: &str) -> Result<String> {
        ask(&self.namespace, "vtysh", &["--vty_socket", &self.folder.to_string_lossy(), "-c", question])
    }

    fn json(&self, question: &str) -> Result<Value> {
        let answer = self.ask(question)?;
        serde_json::from_str(&answer).with_context(|| format!("FRR answered {question:?} with {answer}"))
    }
}

/// Whether it can run here: it is installed, and its user is one that this user namespace knows.
pub(crate) fn is_possible() -> bool {
    let Ok(Some(user)) = User::from_name("frr") else { return false };
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let knows = |line: &str| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        (first..first + count).contains(&user.uid.as_raw().into())
    };
    map.lines().any(knows)
}

/// Starts zebra, bfdd and bgpd, each of which needs the one before, with a new folder of theirs. `start` is given a daemon's name
/// and its command.
///
/// # Errors
/// FRR is not installed, this is not root, or a daemon does not start.
pub(crate) fn launch(
    folder: &Path,
    configuration: &str,
    start: &dyn Fn(&str, Command) -> Result<Process>,
) -> Result<Vec<Process>> {
    let user = User::from_name("frr")?.context("there is no user frr: install the package frr")?;
    let file = folder.join("frr.conf");
    fs::create_dir(folder)?;
    if let Some(above) = folder.parent() {
        fs::set_permissions(above, Permissions::from_mode(0o711))?;
    }
    fs::write(&file, configuration)?;
    for path in [folder, &file] {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .context("giving a folder to the user frr")?;
    }
    ["zebra", "bfdd", "bgpd"].into_iter().map(|daemon| begin(folder, daemon, start)).collect()
}

fn begin(folder: &Path, daemon: &str, start: &dyn Fn(&str, Command) -> Result<Process>) -> Result<Process> {
    let within = |name: &str| folder.join(name);
    let mut command = Command::new(Path::new(PROGRAMS).join(daemon));
    command.arg("-f").arg(within("frr.conf")).arg("-i").arg(within(&format!("{daemon}.pid")));
    command.arg("-z").arg(within("zserv.api")).arg("--vty_socket").arg(folder);
    command.args(["-u", "frr", "-g", "frr", "-A", "127.0.0.1"]);
    if daemon == "bfdd" {
        command.arg("--bfdctl").arg(within("bfdd.sock"));
    }
    let process = start(daemon, command).context("FRR is in the package frr")?;
    let (begun, socket) = (Instant::now(), within(&format!("{daemon}.vty")));
    while !socket.exists() {
        let said = process.log_end(5);
        ensure!(begun.elapsed() < PATIENCE, "{daemon} of FRR does not start: {said}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(process)
}

impl Router for Frr {
    fn routes(&self) -> Result<Table> {
        let mut table = Table::new();
        for family in ["ipv4", "ipv6"] {
            let all = self.json(&format!("show bgp {family} unicast json"))?;
            for prefix in fields(&all, "/routes").map(|(prefix, _)| prefix) {
                let route = self.json(&format!("show bgp {family} unicast {prefix} json"))?;
                // It may have gone in between.
                if let Some(path) = route.pointer("/paths/0") {
                    table.insert(prefix.clone(), read(path));
                }
            }
        }
        Ok(table)
    }

    fn ask_again(&self) -> Result<()> {
        self.ask(&format!("clear bgp {} in", self.neighbour)).map(drop)
    }

    fn path_is_up(&self) -> Result<bool> {
        let paths = self.json("show bfd peers json")?;
        Ok(list(&paths, "").any(|path| text(path, "/status") == "up"))
    }

    fn story(&self) -> String {
        self.ask("show bgp neighbors").unwrap_or_else(|error| format!("{error:#}"))
    }

    fn processes(&mut self) -> &mut Vec<Process> {
        &mut self.processes
    }
}

/// What FRR calls the node.
fn name(node: &Neighbour) -> &'static str {
    if node.advertises { "eth0" } else { Wire::node_address(node.over) }
}

fn configuration(node: &Neighbour) -> String {
    let address = name(node);
    let Neighbour { router_as, node_as, hold, .. } = node;
    let mut options = String::new();
    let mut say = |line: &str| options.push_str(&format!(" neighbor {address} {line}\n"));
    let unnumbered = if node.advertises { "interface " } else { "" };
    say(&format!("{unnumbered}remote-as {node_as}"));
    say("timers connect 1");
    if node.over == Over::LinkLocal && !node.advertises {
        say("interface eth0");
    }
    if let Some(password) = &node.password {
        say(&format!("password {password}"));
    }
    if node.gtsm {
        say("ttl-security hops 1");
    }
    if node.bfd {
        say("bfd 3 100 100");
    }
    if node.passive {
        say("passive");
    }
    if node.extended_next_hop {
        say("capability extended-nexthop");
    }
    let restart = if node.graceful_restart { "bgp graceful-restart" } else { "bgp graceful-restart-disable" };
    let keepalive = hold / 3;
    let family = |name: &str| {
        format!(" address-family {name} unicast\n  neighbor {address} activate\n exit-address-family\n")
    };
    format!(
        "router bgp {router_as}\n bgp router-id 192.0.2.2\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n \
         {restart}\n timers bgp {keepalive} {hold}\n{options}{}{}",
        family("ipv4"),
        family("ipv6"),
    )
}

fn read(path: &Value) -> Route {
    let texts = |place: &str| list(path, place).filter_map(Value::as_str).map(str::to_owned).collect();
    let segments = list(path, "/aspath/segments");
    Route {
        next_hop: text(path, "/nexthops/0/ip"),
        as_path: segments.flat_map(|segment| list(segment, "/list")).filter_map(number).collect(),
        local_pref: number(at(path, "/locPrf")),
        communities: texts("/community/list"),
        large_communities: texts("/largeCommunity/list"),
    }
}
