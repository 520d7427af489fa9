// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Services that come and go: how soon the router knows of one, and whether a thousand disturb a session that BFD watches.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use ferrolb_lab::router::Wire;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::addresses;
use super::receiver::{Look, Receiver};
use super::sender::{Ferrolb, Load, Sender, Watching, services, virtual_ips};
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::report::{Book, Budget};

/// Services that stay.
const STAYING: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two edits, so that the next meets a speaker that waits for nothing; some of it is drawn.
const PAUSE: Duration = Duration::from_millis(400);
const PAUSE_MORE: u64 = 200;
/// BIRD counts back from now, so that the same moment is shown some microseconds apart.
const SAME: SignedDuration = SignedDuration::from_millis(200);
/// Until the last of what a speaker wanted is done, and a flap would show.
const AFTER: Duration = Duration::from_secs(3);

/// How often, how many.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Addresses that come and go one by one
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    singles: u32,
    /// Services that come and go at once
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    services: u32,
    /// How often they do
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// From the record of an address in the folder until the router has the route.
    added: Quantiles,
    /// From the edit that takes it away until the router has it no more.
    removed: Quantiles,
    /// The same where the only endpoint of its Service becomes ready, or is so no more.
    served: Quantiles,
    unserved: Quantiles,
    /// The same for many Services at once, until the last.
    services: usize,
    many_added: Quantiles,
    many_removed: Quantiles,
    /// Sessions of BGP and BFD that began anew meanwhile, as the router sees it.
    session_flaps: usize,
    path_flaps: usize,
}

/// Measures it, if it is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    if !book.report.services.is_empty() || budget.is_spent() {
        return Ok(());
    }
    println!("BGP: addresses that come and go, one by one and {} at once.", arguments.services);
    let wire = Wire::build()?;
    let speaker = Ferrolb::start(binary, &wire, Load { routes: STAYING, sessions: 1 }, Watching::Bfd)?;
    let router = Receiver::start(&wire, 1, true)?;
    let mut stage = Stage { speaker, router };
    stage.wait(STAYING)?;
    thread::sleep(AFTER);
    let (session, path) = stage.since()?;

    let many = usize::try_from(arguments.services)?;
    let more: Vec<Ipv4Addr> = addresses(STAYING + many).skip(STAYING).collect();
    let one: Vec<Ipv4Addr> = addresses(STAYING + many + 1).skip(STAYING + many).collect();
    stage.speaker.folder().write("one.yaml", &services(&one))?;
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for _ in 0..arguments.singles {
        pause();
        added.push(stage.comes("address.yaml", &virtual_ips(&one), 1)?);
        pause();
        removed.push(stage.goes("address.yaml", "")?);
    }
    let idle = services(&one).replace("ready: true", "ready: false");
    stage.speaker.folder().write("one.yaml", &idle)?;
    stage.speaker.folder().write("address.yaml", &virtual_ips(&one))?;
    let (mut served, mut unserved) = (Vec::new(), Vec::new());
    for _ in 0..arguments.singles {
        pause();
        served.push(stage.comes("one.yaml", &services(&one), 1)?);
        pause();
        unserved.push(stage.goes("one.yaml", &idle)?);
    }
    let text = services(&more) + &virtual_ips(&more);
    let (mut many_added, mut many_removed) = (Vec::new(), Vec::new());
    let (mut session_flaps, mut path_flaps) = (0, 0);
    let (mut session, mut path) = (session, path);
    for _ in 0..arguments.rounds {
        pause();
        many_added.push(stage.comes("many.yaml", &text, many)?);
        pause();
        many_removed.push(stage.goes("many.yaml", "")?);
        thread::sleep(AFTER);
        let (session_now, path_now) = stage.since()?;
        session_flaps += usize::from(is_another(session, session_now));
        path_flaps += usize::from(is_another(path, path_now));
        (session, path) = (session_now, path_now);
    }
    let quantiles = |values: Vec<Duration>| Quantiles::of(values).context("nothing was measured");
    let figures = Figures {
        added: quantiles(added)?,
        removed: quantiles(removed)?,
        served: quantiles(served)?,
        unserved: quantiles(unserved)?,
        services: many,
        many_added: quantiles(many_added)?,
        many_removed: quantiles(many_removed)?,
        session_flaps,
        path_flaps,
    };
    println!("  {figures:?}");
    book.report.services.push(figures);
    book.save()
}

fn is_another(before: Timestamp, now: Timestamp) -> bool {
    now.duration_since(before).abs() > SAME
}

fn pause() {
    thread::sleep(PAUSE + Duration::from_millis(fastrand::u64(..PAUSE_MORE)));
}

struct Stage {
    speaker: Ferrolb,
    router: Receiver,
}

impl Stage {
    /// Waits until the router has exactly so many routes.
    fn wait(&mut self, count: usize) -> Result<Look> {
        let waited = self.router.wait("such number of routes", PATIENCE, |look| look.is_complete(count));
        waited.with_context(|| self.speaker.process().log_end(20))
    }

    fn comes(&mut self, file: &str, text: &str, count: usize) -> Result<Duration> {
        let edited = self.speaker.folder().write(file, text)?;
        let look = self.wait(STAYING + count)?;
        Ok(look.at.duration_since(edited).try_into()?)
    }

    fn goes(&mut self, file: &str, rest: &str) -> Result<Duration> {
        let edited = self.speaker.folder().write(file, rest)?;
        let look = self.wait(STAYING)?;
        Ok(look.at.duration_since(edited).try_into()?)
    }

    /// Since when the session and the path have stood.
    fn since(&mut self) -> Result<(Timestamp, Timestamp)> {
        let session = self.router.look()?.established().context("there is no session")?;
        Ok((session, self.router.path_up_since()?.context("BFD is not up")?))
    }
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(figures) = self.0.last() else { return Ok(()) };
        let Figures { added, removed, served, unserved, services, .. } = figures;
        let Figures { many_added, many_removed, session_flaps, path_flaps, .. } = figures;
        writeln!(f, "### Services that come and go\n")?;
        head(f, "ms: min / median / max", &["comes", "goes", "times"].map(str::to_owned))?;
        let mut line = |label: &str, come: &Quantiles, go: &Quantiles| {
            row(f, label, &[or_dash(Some(*come)), or_dash(Some(*go)), come.count.to_string()])
        };
        line("one address, until the router knows", added, removed)?;
        line("the only endpoint of its Service, ready or not", served, unserved)?;
        line(&format!("{services} Services at once"), many_added, many_removed)?;
        writeln!(f, "\nSessions that flapped: {session_flaps}; BFD: {path_flaps}.\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_began_anew_is_told_from_one_that_is_shown_microseconds_apart() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        assert!(!is_another(at("2026-11-22T14:25:33.123456Z"), at("2026-11-22T14:25:33.123401Z")));
        assert!(is_another(at("2026-11-22T14:25:33.123456Z"), at("2026-11-22T14:25:35Z")));
    }
}
