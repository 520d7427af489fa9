// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb status`: who carries which address, since when, and why.

mod collect;
mod columns;
pub mod report;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use ferrolb_config::{Objects, Snapshot};
use ferrolb_source::Directory;
use k8s_openapi::jiff::Timestamp;

use crate::arguments::{StatusArguments, StatusFormat};
use collect::collect;
use report::StatusReport;

/// Reads the folders and writes the report in the form asked for.
///
/// # Errors
/// A folder cannot be read, or `out` cannot be written.
pub fn answer(question: &StatusArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    if question.watch {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.context("starting the runtime")?.block_on(follow(question, out));
    }
    let objects = Directory::read(&question.folders.source, &question.folders.state)?;
    write(&report(&objects), question.output, out)
}

/// Writes the report now and after every change; returns only with an error.
async fn follow(question: &StatusArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let folders = question.folders.clone();
    let mut objects = Directory::watch(folders.source, folders.state).await?;
    // A terminal shows the newest report only; a file or a pipe gets one after the other.
    let before = if io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    loop {
        let report = report(&objects.borrow_and_update());
        write!(out, "{before}")?;
        write(&report, question.output, out)?;
        out.flush()?;
        objects.changed().await.context("following the folders")?;
    }
}

fn report(objects: &Objects) -> StatusReport {
    collect(objects, &Snapshot::build(objects), Timestamp::now())
}

fn write(report: &StatusReport, format: StatusFormat, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        StatusFormat::Table => table::write(report, table::Width::Normal, out)?,
        StatusFormat::Wide => table::write(report, table::Width::Wide, out)?,
        StatusFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, report).context("writing the report as JSON")?;
            writeln!(out)?;
        }
        StatusFormat::Yaml => {
            let text = serde_saphyr::to_string(report).context("writing the report as YAML")?;
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}
