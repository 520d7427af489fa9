// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! GoBGP: routes from an MRT file, which its own command reads in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::router::{NODE_V4, Wire};
use ferrolb_lab::{Namespace, Process};

use super::super::{Colour, NODE_AS, ROUTER_AS, router_address};
use super::{Load, Sender, mrt};

/// Until it answers, and until it has read all routes.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Gobgp {
    process: Process,
    namespace: Namespace,
    files: [PathBuf; 2],
}

impl Gobgp {
    pub(super) fn start(wire: &Wire, load: Load) -> Result<Self> {
        let config = wire.folder().join("gobgpd.toml");
        fs::write(&config, configuration(load))?;
        let files = [Colour::First, Colour::Second]
            .map(|colour| (colour, wire.folder().join(format!("{colour:?}.mrt"))));
        for (colour, file) in &files {
            fs::write(file, mrt::table(load.routes, *colour)?)?;
        }
        let mut command = Command::new("gobgpd");
        command.args(["-t", "toml", "-f"]).arg(config);
        command.args(["--api-hosts", "127.0.0.1:50051", "--pprof-disable", "--log-plain"]);
        let process = wire.start_at_node("gobgpd", command).context("GoBGP is in the package gobgpd")?;
        let mut sender = Self { process, namespace: wire.node.clone(), files: files.map(|(_, file)| file) };
        let begun = Instant::now();
        while sender.ask(&["global"]).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "gobgpd does not answer:\n{}", sender.process.log_end(10));
            thread::sleep(Duration::from_millis(100));
        }
        sender.paint(Colour::First)?;
        let all = format!("Destination: {},", load.routes);
        loop {
            let summary = sender.ask(&["global", "rib", "summary"])?;
            if summary.contains(&all) {
                return Ok(sender);
            }
            ensure!(begun.elapsed() < PATIENCE, "gobgpd has not taken all routes: {summary}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("gobgp");
        command.args(arguments);
        let output = self.namespace.run(|| command.output().context("gobgp cannot be started"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("gobgp {}: {text}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(text)
    }
}

impl Sender for Gobgp {
    fn process(&self) -> &Process {
        &self.process
    }

    fn paint(&mut self, colour: Colour) -> Result<()> {
        let [first, second] = &self.files;
        let file = if colour == Colour::First { first } else { second };
        self.ask(&["mrt", "inject", "global", &file.to_string_lossy()]).map(drop)
    }
}

fn configuration(load: Load) -> String {
    let mut text = format!("[global.config]\nas = {NODE_AS}\nrouter-id = \"{NODE_V4}\"\n");
    for number in 0..load.sessions {
        let router = router_address(number);
        // Its shortest times; it waits five seconds between attempts at least.
        text.push_str(&format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{router}\"\npeer-as = {ROUTER_AS}\n\
             [neighbors.timers.config]\nconnect-retry = 5\nidle-hold-time-after-reset = 1\nhold-time = 90\nkeepalive-interval = 30\n\
             [neighbors.transport.config]\nlocal-address = \"{NODE_V4}\"\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"ipv4-unicast\"\n"
        ));
    }
    text
}
