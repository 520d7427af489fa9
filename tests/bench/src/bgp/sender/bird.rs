// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BIRD: static routes, painted where they are exported.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use ferrolb_lab::Process;
use ferrolb_lab::router::{NODE_V4, Wire};

use super::super::receiver::Control;
use super::super::{Colour, NODE_AS, ROUTER_AS, addresses, router_address};
use super::{Load, Sender};

pub(super) struct Bird {
    process: Process,
    control: Control,
    config: PathBuf,
    load: Load,
    kept_awake: bool,
}

impl Bird {
    pub(super) fn start(wire: &Wire, load: Load, kept_awake: bool) -> Result<Self> {
        let (config, socket) = (wire.folder().join("sender.conf"), wire.folder().join("sender.ctl"));
        let routes: String = addresses(load.routes).fold(String::new(), |mut text, address| {
            // Writing to a String does not fail.
            writeln!(text, "route {address}/32 blackhole;").ok();
            text
        });
        fs::write(wire.folder().join("routes.conf"), routes)?;
        fs::write(&config, configuration(load, Colour::First))?;
        let mut command = Command::new("bird");
        command.arg("-f").arg("-c").arg(&config).arg("-s").arg(&socket);
        let process = wire.start_at_node("sender", command).context("BIRD is in the package bird2")?;
        let control = Control::open(&socket).with_context(|| process.log_end(5))?;
        Ok(Self { process, control, config, load, kept_awake })
    }
}

impl Sender for Bird {
    fn process(&self) -> &Process {
        &self.process
    }

    fn paint(&mut self, colour: Colour) -> Result<()> {
        fs::write(&self.config, configuration(self.load, colour))?;
        self.control.ask("configure").map(drop)
    }

    fn stir(&mut self) {
        if self.kept_awake {
            // One that has ended is noticed by what it does not send.
            let _answer = self.control.ask("show status");
        }
    }
}

fn configuration(load: Load, colour: Colour) -> String {
    let mut text = format!(
        "router id {NODE_V4};\nprotocol device {{ }}\nprotocol static {{ ipv4;\ninclude \"routes.conf\";\n}}\n\
         filter painted {{ bgp_community.add(({NODE_AS},{})); accept; }}\n",
        colour.number()
    );
    for number in 0..load.sessions {
        let router = router_address(number);
        text.push_str(&format!(
            "protocol bgp s{number} {{ local {NODE_V4} as {NODE_AS}; neighbor {router} as {ROUTER_AS}; hold time 90;\n\
             connect delay time 1; connect retry time 1; error wait time 1, 2;\n\
             ipv4 {{ import all; export filter painted; }}; }}\n"
        ));
    }
    text
}
