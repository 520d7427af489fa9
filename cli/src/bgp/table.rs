// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions as a table.

use std::io::{self, Write};

use super::report::{SessionReport, SessionsReport};
use crate::age::age;
use crate::columns::Columns;

/// How much the table tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// What is asked for every day.
    Normal,
    /// Also what was agreed on, and how the last session ended.
    Wide,
}

/// Writes a line for each node and router.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write(report: &SessionsReport, width: Width, out: &mut dyn Write) -> io::Result<()> {
    if report.sessions.is_empty() {
        return writeln!(
            out,
            "No speaker has a router to speak to: no BGPPeer selects its node, or none runs."
        );
    }
    let mut titles = vec!["NODE", "PEER", "ROUTER", "AS", "STATE", "FOR", "ROUTES", "BFD"];
    if width == Width::Wide {
        titles.extend(["LOCAL", "HOLD", "FAMILIES", "LAST END"]);
    }
    titles.push("WHY");
    let mut columns = Columns::new(titles);
    for row in &report.sessions {
        columns.push(cells(row, report, width));
    }
    columns.write(out)?;
    if report.left_out > 0 {
        writeln!(out, "{} more are not told of by their speakers; metrics hold them.", report.left_out)?;
    }
    Ok(())
}

fn cells(
    SessionReport { node, silent, session }: &SessionReport,
    report: &SessionsReport,
    width: Width,
) -> Vec<String> {
    let agreed = session.agreed.as_ref();
    let text = |text: Option<String>| text.unwrap_or_default();
    let routes = session.counters.get("routesAnnounced").filter(|_| agreed.is_some());
    let mut cells = vec![
        if *silent { format!("{node} (silent)") } else { node.clone() },
        session.peer.clone(),
        session.router.clone(),
        text(agreed.map(|agreed| agreed.peer_asn.to_string())),
        session.state.as_str().to_owned(),
        text(session.since.as_ref().map(|since| age(since, &report.read_at))),
        text(routes.map(u64::to_string)),
        text(session.bfd.as_ref().map(|path| path.state.clone())),
    ];
    if width == Width::Wide {
        let end = session.last_end.as_ref();
        cells.extend([
            text(agreed.map(|agreed| agreed.local_address.clone())),
            text(agreed.map(|agreed| format!("{}s", agreed.hold_seconds))),
            text(agreed.map(|agreed| agreed.families.join(","))),
            text(end.map(|end| format!("{} ago: {}", age(&end.at, &report.read_at), end.message))),
        ]);
    }
    cells.push(why(session));
    cells
}

/// What is wrong, with its word.
fn why(session: &ferrolb_config::api::BGPSession) -> String {
    let down = session.message.as_ref().map(|message| match &session.reason {
        Some(reason) => format!("{reason}: {message}"),
        None => message.clone(),
    });
    let path = session.bfd.as_ref().and_then(|path| path.message.as_ref());
    let path = path.map(|message| format!("BFD: {message}"));
    let routes = session.unsendable.as_ref().map(|message| format!("routes left out: {message}"));
    [down, path, routes, session.note.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
