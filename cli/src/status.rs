// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb status`: who carries which address, since when, and why.

mod collect;
pub mod report;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, Snapshot};
use ferrolb_source::Directory;
use ferrolb_source::kube::{Cluster, Interest};
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch::Receiver;

use crate::arguments::StatusArguments;
use crate::format::StatusFormat;
use crate::origin::Origin;
use collect::collect;
pub use collect::is_silent;
use report::StatusReport;

/// Reads the folders or the cluster and writes the report in the form asked for.
///
/// # Errors
/// A folder or the cluster cannot be read, or `out` cannot be written.
pub fn answer(question: &StatusArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let origin = question.origin.clone().choose();
    let scope = scope(question, &origin);
    if let (Origin::Folder(folders), false) = (&origin, question.watch) {
        let objects = Directory::read(&folders.source, &folders.state)?;
        return write(&report(&objects, &scope), question.output, out);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(async {
        match (origin, question.watch) {
            (Origin::Folder(folders), _) => {
                let objects = Directory::watch(folders.source, folders.state, None).await?;
                follow(objects, &scope, question.output, out).await
            }
            (Origin::Cluster(options), watch) => {
                let cluster = Cluster::connect(options).await?;
                // What cannot be read is an error now; once it is watched, it is waited for.
                let objects = cluster.read(&Interest::Onlooker).await?;
                if !watch {
                    return write(&report(&objects, &scope), question.output, out);
                }
                drop(objects);
                follow(cluster.watch(Interest::Onlooker).await?, &scope, question.output, out).await
            }
        }
    })
}

/// Writes the report now and after every change; returns only with an error.
async fn follow(
    mut objects: Receiver<Arc<Objects>>,
    scope: &Scope,
    format: StatusFormat,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // A terminal shows the newest report only; a file or a pipe gets one after the other.
    let before = if io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    loop {
        let report = report(&objects.borrow_and_update(), scope);
        write!(out, "{before}")?;
        write(&report, format, out)?;
        out.flush()?;
        objects.changed().await.context("following the objects")?;
    }
}

/// The Services that are the controllers' there. In a folder a class is no reason to leave one out.
fn scope(question: &StatusArguments, origin: &Origin) -> Scope {
    match (&question.load_balancer_class, origin) {
        (Some(class), Origin::Cluster(_)) => Scope::Class(class.clone()),
        (None, _) | (_, Origin::Folder(_)) => Scope::Ours,
    }
}

fn report(objects: &Objects, scope: &Scope) -> StatusReport {
    collect(objects, &Snapshot::build_within(objects, scope), Timestamp::now())
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
