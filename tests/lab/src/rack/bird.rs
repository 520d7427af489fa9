// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BIRD as the router of several nodes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{MULTIPLIER, NODE_AS, Questions, ROUTER_AS};
use crate::{Place, Process};

pub(super) fn start(
    folder: &Path,
    nodes: &[Ipv4Addr],
    interval: Duration,
    keeps: bool,
    start: &dyn Fn(&str, Command) -> Result<Process>,
) -> Result<(Vec<Process>, Questions)> {
    fs::create_dir(folder)?;
    let (config, control) = (folder.join("bird.conf"), folder.join("bird.ctl"));
    fs::write(&config, configuration(nodes, interval, keeps))?;
    let mut command = Command::new("bird");
    command.arg("-f").arg("-c").arg(config).arg("-s").arg(&control);
    let process = start("bird", command).context("BIRD is in the package bird2")?;
    let questions = Questions {
        program: "birdc",
        arguments: vec!["-r".to_owned(), "-s".to_owned(), control.to_string_lossy().into_owned()],
        bfd: ("show bfd sessions", " Up "),
        story: "show protocols all",
    };
    Ok((vec![process], questions))
}

/// A node that asks for others to be preferred (RFC 8326) is sent to only while there is no other.
fn configuration(nodes: &[Ipv4Addr], interval: Duration, keeps: bool) -> String {
    let (router, every) = (Place::Newcomer.ipv4(), interval.as_millis());
    let restart = if keeps { "on" } else { "off" };
    let sessions: String = nodes
        .iter()
        .map(|node| {
            let name = node.octets().map(|octet| octet.to_string()).join("_");
            format!("protocol bgp n{name} from node {{ neighbor {node} as {NODE_AS}; }}\n")
        })
        .collect();
    format!(
        "router id {router};\n\
         protocol device {{ scan time 1; }}\n\
         protocol kernel {{ merge paths on limit 16; ipv4 {{ import none; export all; }}; }}\n\
         protocol kernel {{ merge paths on limit 16; ipv6 {{ import none; export all; }}; }}\n\
         protocol bfd {{ interface \"*\" {{ min rx interval {every} ms; min tx interval {every} ms; idle tx interval 300 ms; \
         multiplier {MULTIPLIER}; }}; }}\n\
         filter wanted {{ if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; }}\n\
         template bgp node {{ local {router} as {ROUTER_AS}; hold time 9; keepalive time 3; passive on; bfd on; \
         connect delay time 1; connect retry time 1; error wait time 1, 2; graceful restart {restart}; \
         ipv4 {{ import filter wanted; export none; }}; ipv6 {{ import filter wanted; export none; }}; }}\n{sessions}"
    )
}
