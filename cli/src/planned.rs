// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Moves that somebody wants: `ferrolb move`, `drain`, `undrain` and `rebalance`.
//!
//! They write what is wanted where the speakers read it, watch what comes of it, and say so.

pub mod arguments;
mod desk;
mod journey;
mod prospect;
mod report;
mod shares;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use ferrolb_config::reason::Reason;
use ferrolb_config::snapshot::{Away, NodeInfo};
use ferrolb_config::{ClaimRef, MoveRequest, Objects};
use ferrolb_layer2::balance::Why;
use k8s_openapi::jiff::Timestamp;

use arguments::{
    DrainArguments, MoveArguments, MoveFormat, RebalanceArguments, UndrainArguments, WaitArguments,
};
use desk::Desk;
use journey::Journey;
use prospect::{Prospect, prospect};
use report::{MoveReport, Outcome};
use shares::Shift;

/// The least time between two moves of a rebalancing.
const PACE: Duration = Duration::from_millis(200);

/// Moves one address, with all that is elected together with it. The exit code is 1 when it did not go where it should.
///
/// # Errors
/// The folders or the cluster cannot be used, or `out` cannot be written.
pub fn move_address(arguments: MoveArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let MoveArguments { address, to, origin, wait } = arguments;
    runtime()?.block_on(async {
        let mut desk = Desk::open(origin).await?;
        let view = desk.view();
        let departure = match prospect(&view, address, to.as_deref(), Timestamp::now()) {
            Ok(Prospect::There(node)) => {
                let report = MoveReport::new(vec![Outcome::there(address, &node)]);
                return finish(&report, &wait, out);
            }
            Ok(Prospect::Go(departure)) => departure,
            Err(no) => {
                let report = MoveReport::new(vec![Outcome::refused(address, None, to, no)]);
                return finish(&report, &wait, out);
            }
        };
        let request = MoveRequest {
            to: to.clone(),
            until: until(wait.timeout()),
            from: departure.owners.iter().map(ClaimRef::from).collect(),
        };
        desk.ask_to_move(&departure.name, Some(&request)).await?;
        let mut journey = Journey::new(departure.owners.iter().map(|owner| (address, owner)), to);
        if wait.no_wait {
            return finish(&journey.asked(), &wait, out);
        }
        let followed = follow(&mut desk, &mut journey, &wait, out).await;
        // Void already, or in a moment: taken back so that nobody wonders at it later.
        let taken_back = desk.ask_to_move(&departure.name, None).await;
        followed?;
        taken_back.context("the request is carried out, but cannot be taken back")?;
        finish(&journey.report(&desk.view()), &wait, out)
    })
}

/// Empties a node until further notice. The exit code is 1 when something stays there.
///
/// # Errors
/// There is no such node, the folders or the cluster cannot be used, or `out` cannot be written.
pub fn drain(arguments: DrainArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let DrainArguments { node, force, origin, wait } = arguments;
    runtime()?.block_on(async {
        let mut desk = Desk::open(origin).await?;
        let view = desk.view();
        known(&view, &node)?;
        let carried = prospect::carried_by(&view, &node);
        if !force {
            let stuck = prospect::bound_to(&view, &node, carried.iter().map(|(address, _)| *address));
            if !stuck.is_empty() {
                let refused = |(address, no)| Outcome::refused(address, Some(node.clone()), None, no);
                return finish(&MoveReport::new(stuck.into_iter().map(refused).collect()), &wait, out);
            }
        }
        desk.set_drained(&node, true).await?;
        let mut journey = Journey::new(carried.iter().map(|(address, owner)| (*address, owner)), None);
        if wait.no_wait {
            return finish(&journey.asked(), &wait, out);
        }
        follow(&mut desk, &mut journey, &wait, out).await?;
        finish(&journey.report(&desk.view()), &wait, out)
    })
}

/// Moves what is not where preferences and the load bound want it, one address after the other. The exit code is 1 when
/// something did not go there.
///
/// # Errors
/// The folders or the cluster cannot be used, or `out` cannot be written.
pub fn rebalance(arguments: RebalanceArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let RebalanceArguments { dry_run, origin, wait } = arguments;
    runtime()?.block_on(async {
        let mut desk = Desk::open(origin).await?;
        let planned = shares::shifts(&desk.view(), Timestamp::now());
        if wait.output == MoveFormat::Text {
            for shift in &planned {
                let why = match shift.why {
                    Why::Preference => "is preferred",
                    Why::Load => "carries less",
                };
                let Shift { address, from, to, .. } = shift;
                writeln!(out, "{address}: should go from {from} to {to}, which {why}")?;
            }
        }
        if dry_run {
            let planned = planned.into_iter().map(|it| Outcome::planned(it.address, it.from, it.to));
            let report = MoveReport::new(planned.map(Outcome::told).collect());
            return finish(&report, &wait, out);
        }
        let mut outcomes = Vec::new();
        for shift in planned {
            outcomes.extend(carry_out(&mut desk, shift, &wait, out).await?);
            // Neighbours learn of one move before the next.
            tokio::time::sleep(PACE).await;
        }
        finish(&MoveReport::new(outcomes), &wait, out)
    })
}

/// Moves one address as planned, if it is still where it was.
async fn carry_out(
    desk: &mut Desk,
    shift: Shift,
    wait: &WaitArguments,
    out: &mut dyn Write,
) -> anyhow::Result<Vec<Outcome>> {
    let Shift { address, from, to, .. } = shift;
    let departure = match prospect(&desk.view(), address, Some(&to), Timestamp::now()) {
        Ok(Prospect::There(node)) => return Ok(vec![Outcome::there(address, &node)]),
        Ok(Prospect::Go(departure)) => departure,
        Err(no) => return Ok(vec![Outcome::refused(address, Some(from), Some(to), no)]),
    };
    let owners: Vec<_> = departure.owners.into_iter().filter(|owner| owner.node == from).collect();
    let request = MoveRequest {
        to: Some(to.clone()),
        until: until(wait.timeout()),
        from: owners.iter().map(ClaimRef::from).collect(),
    };
    desk.ask_to_move(&departure.name, Some(&request)).await?;
    let mut journey = Journey::new(owners.iter().map(|owner| (address, owner)), Some(to));
    if wait.no_wait {
        return Ok(journey.asked().into_outcomes());
    }
    let followed = follow(desk, &mut journey, wait, out).await;
    let taken_back = desk.ask_to_move(&departure.name, None).await;
    followed?;
    taken_back?;
    Ok(journey.report(&desk.view()).into_outcomes())
}

/// Lets a node take addresses again. What left it stays where it is.
///
/// # Errors
/// There is no such node, something else than a drain keeps addresses away from it, or the folders or the cluster cannot be
/// used.
pub fn undrain(arguments: UndrainArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let UndrainArguments { node, origin } = arguments;
    runtime()?.block_on(async {
        let mut desk = Desk::open(origin).await?;
        known(&desk.view(), &node)?;
        desk.set_drained(&node, false).await?;
        let away = |view: &Objects| view.nodes.get(&node).and_then(|node| NodeInfo::from(node.as_ref()).away);
        desk.until(Duration::from_secs(5), |view| away(view) != Some(Away::Draining)).await?;
        match away(&desk.view()) {
            None => writeln!(out, "{node} takes addresses again; those that left it stay where they are")?,
            Some(Away::Draining) => {
                return Err(anyhow!(
                    "the manifest of Node {node} has the annotation ferrolb.io/drain: remove it there"
                ));
            }
            Some(other) => return Err(anyhow!("{node} is not drained any more, but it {other}")),
        }
        Ok(())
    })
}

fn known(view: &Objects, node: &str) -> anyhow::Result<()> {
    let known: Vec<&str> = view.nodes.keys().map(String::as_str).collect();
    ensure!(
        view.nodes.contains_key(node),
        "there is no Node {node}; there are: {} ({})",
        known.join(", "),
        Reason::NotFound
    );
    Ok(())
}

/// Watches until everything has arrived or the time is up; tells people of each arrival.
async fn follow(
    desk: &mut Desk,
    journey: &mut Journey,
    wait: &WaitArguments,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !journey.is_over() {
        for outcome in journey.look(&desk.view(), begun.elapsed()) {
            if wait.output == MoveFormat::Text {
                outcome.write_text(out)?;
                out.flush()?;
            }
        }
        let Some(left) = wait.timeout().checked_sub(begun.elapsed()) else { break };
        if !journey.is_over() && !desk.changed(left).await? {
            break;
        }
    }
    Ok(())
}

/// Writes what has not been told yet, and says by the exit code whether all is well.
fn finish(report: &MoveReport, wait: &WaitArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    report.write(wait.output, out)?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn until(timeout: Duration) -> Timestamp {
    let now = Timestamp::now();
    now.checked_add(timeout).unwrap_or(now)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}
