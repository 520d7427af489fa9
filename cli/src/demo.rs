// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb demo`: a whole cluster on this machine, and the death of its nodes, before one's eyes.

mod arguments;
mod report;
mod scenes;
mod stage;

use std::fs;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};

use ferrolb_lab::figures::{self, Figures};
use ferrolb_lab::keepalived::{self, Keepalived};
use ferrolb_lab::{Lab, interrupt, rights, visit};

pub use arguments::DemoArguments;
use arguments::DemoCommand;
use stage::Stage;

/// Nodes of the demo's cluster.
const NODES: u8 = 3;

/// Runs the demo. Call it before any thread is started: it may have to start this program again in a user namespace, and takes over
/// SIGINT and SIGTERM so that nothing of the lab is left behind.
///
/// # Errors
/// Rights or tools are missing, or what was to be shown did not happen; the message says which process said what.
pub fn demo(arguments: &DemoArguments) -> Result<ExitCode> {
    if let Some(DemoCommand::Exec { namespace, command }) = &arguments.command {
        let status = visit::run("demo", namespace, command)
            .context("looking inside the demo; `ferrolb demo --keep` leaves one up")?;
        return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
    }
    if rights::check().is_err() {
        Stage::default().line(
            "Not root: going on in a user namespace of its own, where an ordinary user may build networks.",
        )?;
    }
    rights::enter_user_namespace()?;
    interrupt::remove_labs_when_told_to_stop()?;
    show(arguments)?;
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &DemoArguments) -> Result<()> {
    let stage = Stage::default();
    let runs = usize::try_from(arguments.runs)?;
    let mut ferrolb = scenes::cluster(&stage)?;
    scenes::questions(&stage, &ferrolb)?;
    let mut ours = scenes::crashes(&stage, &mut ferrolb, runs)?;
    ours.extend(scenes::hand_overs(&stage, &mut ferrolb, runs)?);
    scenes::power_cut(&stage, &ferrolb)?;
    let ours = Figures::of(&ours);

    let theirs = if arguments.no_keepalived {
        None
    } else if keepalived::is_installed() {
        let mut keepalived = Keepalived::start(Lab::build(NODES)?, keepalived::Nodes::Routers)?;
        Some(Figures::of(&scenes::yardstick(&stage, &mut keepalived, runs)?))
    } else {
        stage.line(
            "keepalived is not installed: with it (apt install keepalived), its figures stand beside ours.",
        )?;
        None
    };

    stage.scene("What clients noticed")?;
    let mut columns = vec![("FerroLB", &ours)];
    columns.extend(theirs.as_ref().map(|theirs| ("keepalived, 100 ms", theirs)));
    stage.text(&figures::table(&columns))?;
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&report::Report::of(&ours))?;
        fs::write(path, text + "\n").with_context(|| format!("writing the report {}", path.display()))?;
        stage.line(&format!("The figures are in {}.", path.display()))?;
    }
    if arguments.keep {
        scenes::stay(&stage, &ferrolb)?;
        loop {
            // Ends by a signal, which takes the lab down.
            thread::park();
        }
    }
    Ok(())
}
