// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb bgp`: how speakers stand with routers, and what they tell them.

pub mod arguments;
mod neighbor;
mod report;
mod routes;
mod table;
#[cfg(test)]
mod tests;

use std::io::Write;

use anyhow::{Context, ensure};
use ferrolb_config::Objects;
use ferrolb_source::Directory;
use ferrolb_source::kube::{Cluster, Interest};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::format::StatusFormat;
use crate::origin::{Origin, OriginArguments};
use crate::status::report::VERSION;
use arguments::{BgpCommand, NeighborArguments, PeersArguments};
use report::{SessionReport, sessions};
use table::Width;

/// Answers one of the questions.
///
/// # Errors
/// A folder, the cluster or a speaker cannot be asked, or `out` cannot be written.
pub fn answer(question: BgpCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match question {
        BgpCommand::Peers(question) => peers(question, out),
        BgpCommand::Neighbor(question) => neighbor(question, out),
        BgpCommand::Routes(question) => routes::answer(question, out),
    }
}

fn peers(question: PeersArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let objects = read(question.origin)?;
    let now = Timestamp::now();
    let report =
        sessions(&objects, now, |session| question.node.as_ref().is_none_or(|node| session.node == *node));
    match question.output {
        StatusFormat::Table => table::write(&report, Width::Normal, out)?,
        StatusFormat::Wide => table::write(&report, Width::Wide, out)?,
        StatusFormat::Json => json(&report, out)?,
        StatusFormat::Yaml => yaml(&report, out)?,
    }
    Ok(())
}

fn neighbor(question: NeighborArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let objects = read(question.origin)?;
    let asked = |session: &SessionReport| {
        session.session.peer == question.peer
            && question.node.as_ref().is_none_or(|node| session.node == *node)
    };
    let report = sessions(&objects, Timestamp::now(), asked);
    ensure!(
        !report.sessions.is_empty(),
        "{}",
        nobody_speaks_to(&objects, &question.peer, question.node.as_deref())
    );
    match question.output {
        StatusFormat::Table | StatusFormat::Wide => neighbor::write(&report, out)?,
        StatusFormat::Json => json(&report, out)?,
        StatusFormat::Yaml => yaml(&report, out)?,
    }
    Ok(())
}

/// Why nothing is known of a peer.
fn nobody_speaks_to(objects: &Objects, peer: &str, node: Option<&str>) -> String {
    let whose = node.map_or_else(|| "no speaker".to_owned(), |node| format!("no speaker of the node {node}"));
    if objects.bgp_peers.contains_key(peer) {
        return format!(
            "{whose} says anything of BGPPeer {peer}; its nodeSelectors say which nodes speak to it"
        );
    }
    let known: Vec<&str> = objects.bgp_peers.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("there is no BGPPeer {peer}, and {whose} says anything of it; there are: {known}")
}

/// What folders or the cluster say now.
fn read(origin: OriginArguments) -> anyhow::Result<Objects> {
    match origin.choose() {
        Origin::Folder(folders) => Ok(Directory::read(&folders.source, &folders.state)?),
        Origin::Cluster(options) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("starting the runtime")?.block_on(async {
                let cluster = Cluster::connect(options).await?;
                Ok(cluster.read(&Interest::Onlooker).await?)
            })
        }
    }
}

fn json<T: Serialize>(report: &T, out: &mut dyn Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report).context("writing the report as JSON")?;
    Ok(writeln!(out)?)
}

fn yaml<T: Serialize>(report: &T, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(report).context("writing the report as YAML")?;
    Ok(out.write_all(text.as_bytes())?)
}
