// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The report as tables for people.

use std::io::{self, Write};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::report::{AddressStatus, Carrier, SpeakerReport, StatusReport};
use crate::age::age;
use crate::columns::Columns;

/// How much the tables tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// What is asked for every day.
    Normal,
    /// Also ports, groups, versions, profiles, keys, neighbours and interfaces.
    Wide,
}

/// Writes `report` for people: addresses, then Services that lack something, speakers, and what is refused.
///
/// # Errors
/// `out` cannot be written.
pub fn write(report: &StatusReport, width: Width, out: &mut dyn Write) -> io::Result<()> {
    let addresses = addresses(report, width);
    if addresses.is_empty() {
        writeln!(out, "No address is in use.")?;
    } else {
        addresses.write(out)?;
    }
    for columns in [
        unreachable(report),
        pending(report),
        floating(report),
        unserved(report),
        speakers(report, width),
        problems(report),
    ] {
        if !columns.is_empty() {
            writeln!(out)?;
            columns.write(out)?;
        }
    }
    if !report.refused.is_empty() {
        writeln!(out)?;
    }
    report.refused.iter().try_for_each(|finding| finding.write_text(out))
}

fn addresses(report: &StatusReport, width: Width) -> Columns {
    let mut titles = vec!["ADDRESS", "SERVICE", "POOL", "NODE", "SEGMENT", "SINCE", "TERM"];
    if width == Width::Wide {
        titles.extend(["INTERFACE", "PORTS", "GROUP"]);
    }
    titles.push("WHY");
    let mut columns = Columns::new(titles);
    for vip in &report.addresses {
        let mut row = |carrier: [String; 4], interface: &str, why: String| {
            let mut cells = vec![vip.address.clone(), users(vip), vip.pool.clone()];
            cells.extend(carrier);
            if width == Width::Wide {
                let group = vip.group.clone().unwrap_or_default();
                cells.extend([interface.to_owned(), vip.ports.join(","), group]);
            }
            cells.push(why);
            columns.push(cells);
        };
        if !vip.told_to_routers_by.is_empty() {
            let nodes = vip.told_to_routers_by.join(",");
            row([&nodes, "routers", "", ""].map(str::to_owned), "", "told to routers".to_owned());
        } else if vip.carriers.is_empty() {
            row(["nobody", "", "", ""].map(str::to_owned), "", why_nobody(vip, report));
        }
        for carrier in &vip.carriers {
            row(carried(carrier, &report.read_at), &carrier.interface, carrier.why.clone());
        }
    }
    columns
}

/// Who uses an address.
fn users(vip: &AddressStatus) -> String {
    let mode = vip.mode.map(|mode| format!(" ({mode})")).unwrap_or_default();
    let floating_ip = vip.floating_ip.iter().map(|name| format!("FloatingIP {name}{mode}"));
    vip.services.iter().cloned().chain(floating_ip).collect::<Vec<_>>().join(",")
}

fn carried(carrier: &Carrier, now: &Time) -> [String; 4] {
    let node = if carrier.stale { format!("{} (silent)", carrier.node) } else { carrier.node.clone() };
    [node, carrier.segment.clone(), age(&carrier.since, now), carrier.term.to_string()]
}

/// Why nobody carries `vip`: what the nodes say, equal answers told once.
fn why_nobody(vip: &AddressStatus, report: &StatusReport) -> String {
    if report.speakers.iter().all(|speaker| speaker.silent) {
        return "no speaker is running".to_owned();
    }
    let mut answers: Vec<(&str, Vec<&str>)> = Vec::new();
    for refusal in &vip.refusals {
        match answers.iter_mut().find(|(why, _)| *why == refusal.why) {
            Some((_, nodes)) => nodes.push(&refusal.node),
            None => answers.push((&refusal.why, vec![&refusal.node])),
        }
    }
    if answers.is_empty() {
        return "not taken yet".to_owned();
    }
    answers.iter().map(|(why, nodes)| format!("{}: {why}", nodes.join(","))).collect::<Vec<_>>().join("; ")
}

fn pending(report: &StatusReport) -> Columns {
    let mut columns = Columns::new(vec!["PENDING SERVICE", "HAS", "REASON", "MESSAGE"]);
    for service in &report.services {
        if let Some(problem) = &service.pending {
            columns.push(vec![
                format!("{}/{}", service.namespace, service.name),
                service.addresses.join(","),
                problem.reason.clone(),
                problem.message.clone(),
            ]);
        }
    }
    columns
}

fn floating(report: &StatusReport) -> Columns {
    let mut columns = Columns::new(vec!["PENDING FLOATINGIP", "HAS", "REASON", "MESSAGE"]);
    for floating_ip in &report.floating_ips {
        if let Some(problem) = &floating_ip.pending {
            columns.push(vec![
                format!("{}/{}", floating_ip.namespace, floating_ip.name),
                floating_ip.addresses.join(","),
                problem.reason.clone(),
                problem.message.clone(),
            ]);
        }
    }
    columns
}

fn unreachable(report: &StatusReport) -> Columns {
    let mut columns = Columns::new(vec!["NOT REACHED", "FOR", "REASON", "MESSAGE"]);
    for vip in &report.addresses {
        if let Some(seen) = vip.reachable.as_ref().filter(|seen| !seen.reached) {
            let since = age(&seen.since, &report.read_at);
            columns.push(vec![vip.address.clone(), since, seen.reason.clone(), seen.message.clone()]);
        }
    }
    columns
}

fn unserved(report: &StatusReport) -> Columns {
    let mut columns = Columns::new(vec!["NOT SERVED", "ON", "REASON", "MESSAGE"]);
    for vip in &report.addresses {
        for one in &vip.unserved {
            let (service, on) = (one.service.clone(), vip.address.clone());
            columns.push(vec![service, on, one.reason.clone(), one.message.clone()]);
        }
    }
    columns
}

fn speakers(report: &StatusReport, width: Width) -> Columns {
    let mut titles = vec!["SPEAKER", "STATE", "HEARTBEAT", "OWNS", "HEARS"];
    let has_routers = report.speakers.iter().any(|speaker| speaker.routers.is_some());
    titles.extend(has_routers.then_some("ROUTERS"));
    if width == Width::Wide {
        titles.extend(["VERSION", "PROFILE", "KEYS", "INTERFACES"]);
    }
    let mut columns = Columns::new(titles);
    for speaker in &report.speakers {
        let heartbeat = match &speaker.heartbeat {
            Some(last) => format!("{} ago", age(last, &report.read_at)),
            None if speaker.silent => "never".to_owned(),
            // In a cluster the Node object says whether the node lives.
            None => String::new(),
        };
        let (node, owned) = (speaker.node.clone(), speaker.owned.to_string());
        let mut cells = vec![node, state(speaker).to_owned(), heartbeat, owned, speaker.heard.join(",")];
        let routers = speaker.routers.map(|routers| format!("{}/{}", routers.established, routers.wanted));
        cells.extend(has_routers.then(|| routers.unwrap_or_default()));
        if width == Width::Wide {
            cells.extend([
                speaker.version.clone(),
                speaker.profile.clone(),
                speaker.hello_keys.join(","),
                speaker.interfaces.join("; "),
            ]);
        }
        columns.push(cells);
    }
    columns
}

fn state(speaker: &SpeakerReport) -> &'static str {
    match (speaker.silent, speaker.problems.is_empty()) {
        (true, _) => "SILENT",
        (false, true) => "ok",
        (false, false) => "NOT OK",
    }
}

fn problems(report: &StatusReport) -> Columns {
    let mut columns = Columns::new(vec!["NOT OK", "REASON", "MESSAGE"]);
    for speaker in report.speakers.iter().filter(|speaker| !speaker.silent) {
        for problem in &speaker.problems {
            columns.push(vec![
                format!("speaker {}", speaker.node),
                problem.reason.clone(),
                problem.message.clone(),
            ]);
        }
    }
    columns
}
