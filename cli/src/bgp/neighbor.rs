// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Everything about one router, a paragraph for each node that speaks to it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::report::{SessionReport, SessionsReport};
use crate::age::age;

/// Writes a paragraph for each session.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write(report: &SessionsReport, out: &mut dyn Write) -> io::Result<()> {
    for (index, session) in report.sessions.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        paragraph(session, &report.read_at, out)?;
    }
    Ok(())
}

fn paragraph(report: &SessionReport, now: &Time, out: &mut dyn Write) -> io::Result<()> {
    let SessionReport { node, silent, session } = report;
    let silent = if *silent { ", whose speaker is silent: this may be past" } else { "" };
    writeln!(out, "BGPPeer {} on the node {node}{silent}", session.peer)?;
    let mut line = |title: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { writeln!(out, "  {title:<17}{text}") }
    };
    line("router", &session.router)?;
    let since = session.since.as_ref().map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
    line("state", &format!("{}{since}", session.state.as_str()))?;
    line("reason", session.reason.as_deref().unwrap_or_default())?;
    line("why", session.message.as_deref().unwrap_or_default())?;
    line("note", session.note.as_deref().unwrap_or_default())?;
    if let Some(agreed) = &session.agreed {
        line("our end", &format!("{}, AS {}", agreed.local_address, agreed.local_asn))?;
        let id = &agreed.peer_router_id;
        line("its end", &format!("{}, AS {}, router id {id}", agreed.peer_address, agreed.peer_asn))?;
        line(
            "hold time",
            &if agreed.hold_seconds == 0 {
                "for ever".to_owned()
            } else {
                format!("{} s", agreed.hold_seconds)
            },
        )?;
        line("families", &agreed.families.join(", "))?;
        line("we can", &agreed.capabilities_sent.join(", "))?;
        line("it can", &agreed.capabilities_received.join(", "))?;
    }
    line("routes left out", session.unsendable.as_deref().unwrap_or_default())?;
    if let Some(path) = &session.bfd {
        let since = path.since.as_ref().map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
        let message = path.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        line("BFD", &format!("{}{since}{message}", path.state))?;
        line("BFD counters", &counters(&path.counters))?;
    }
    if let Some(end) = &session.last_end {
        line("last end", &format!("{} ago: {}", age(&end.at, now), end.message))?;
    }
    line("counters", &counters(&session.counters))
}

/// Those that are not zero.
fn counters(counters: &BTreeMap<String, u64>) -> String {
    let counted = counters.iter().filter(|(_, count)| **count > 0);
    counted.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
