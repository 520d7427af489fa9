// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Asks the speakers of this machine which routes they tell to whom.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ferrolb_config::api::SessionState;
use ferrolb_config::routes_told::RoutesTold;
use ferrolb_source::questions;
use serde::Serialize;

use super::arguments::RoutesArguments;
use super::{VERSION, json, yaml};
use crate::columns::Columns;
use crate::format::StatusFormat;

/// A speaker says nothing for so long only if it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all speakers said. Fields may be added; none is renamed or removed within its version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoutesReport {
    version: String,
    peers: Vec<RoutesTold>,
}

pub(super) fn answer(question: RoutesArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let state = question.origin.state.clone();
    ensure!(
        question.origin.kubeconfig.is_none(),
        "routes are too many for the cluster's objects; ask a speaker in its pod: kubectl -n {} exec POD -- ferrolb bgp routes",
        question.origin.namespace
    );
    let mut peers = Vec::new();
    let sockets = questions::sockets(&state).with_context(|| not_here(&state))?;
    let sockets =
        sockets.into_iter().filter(|(node, _)| question.node.as_ref().is_none_or(|asked| asked == node));
    let mut asked = 0;
    for (node, socket) in sockets {
        asked += 1;
        let said = ask(&socket).with_context(|| format!("asking the speaker of the node {node}"))?;
        peers.extend(
            said.into_iter().filter(|told| question.peer.as_ref().is_none_or(|peer| told.peer == *peer)),
        );
    }
    ensure!(asked > 0, "{}", not_here(&state));
    let report = RoutesReport { version: VERSION.to_owned(), peers };
    match question.output {
        StatusFormat::Table | StatusFormat::Wide => table(&report.peers, out),
        StatusFormat::Json => json(&report, out),
        StatusFormat::Yaml => yaml(&report, out),
    }
}

fn not_here(state: &Path) -> String {
    format!(
        "no speaker answers in {}; ask on the machine or in the pod of a speaker, and name its folder by --state",
        state.display()
    )
}

fn ask(socket: &Path) -> anyhow::Result<Vec<RoutesTold>> {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => bail!("it has ended"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("{}: {error}; ask as the user that it runs as", socket.display())
        }
        Err(error) => return Err(error).with_context(|| socket.display().to_string()),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    let lines = BufReader::new(stream).lines();
    lines
        .map(|line| serde_json::from_str(&line?).context("the answer is not what this program understands"))
        .collect()
}

fn table(peers: &[RoutesTold], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut columns = Columns::new(vec!["NODE", "PEER", "PREFIX", "NEXT HOP", "LOCALPREF", "COMMUNITIES"]);
    for told in peers {
        for route in &told.routes {
            columns.push(vec![
                told.node.clone(),
                told.peer.clone(),
                route.prefix.clone(),
                route.next_hop.clone().unwrap_or_default(),
                route.local_pref.map(|value| value.to_string()).unwrap_or_default(),
                route.communities.join(","),
            ]);
        }
    }
    if columns.is_empty() {
        writeln!(out, "No router is to be told a route.")?;
    } else {
        columns.write(out)?;
    }
    for told in peers {
        if let Some(remark) = remark(told) {
            writeln!(out, "{} on {}: {remark}", told.peer, told.node)?;
        }
    }
    Ok(())
}

/// What of this the router does not know.
fn remark(told: &RoutesTold) -> Option<String> {
    let asks = "see ferrolb bgp neighbor";
    match told.state {
        SessionState::Blocked => Some(format!("this node cannot speak to it; {asks}")),
        SessionState::Connecting => Some(format!("no session, so that it knows none of these; {asks}")),
        SessionState::Established if told.waiting > 0 => {
            Some(format!("{} changes wait until the router reads them", told.waiting))
        }
        SessionState::Established if told.unsendable > 0 => {
            Some(format!("the session cannot carry {} of these; {asks}", told.unsendable))
        }
        SessionState::Established => None,
    }
}
