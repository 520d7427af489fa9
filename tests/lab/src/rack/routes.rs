// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a router's kernel does with the route of the address, and when: `ip monitor` says it with the time.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use super::ADDRESS;
use crate::Process;

const DAY: Duration = Duration::from_secs(86_400);

/// A moment on the wall clock, since `ip` knows no other.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(
            Duration::from_secs(since.as_secs() % DAY.as_secs())
                + Duration::from_nanos(since.subsec_nanos().into()),
        )
    }

    /// How long after `earlier`, or `None` if it was before; within half a day.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.checked_sub(earlier.0).unwrap_or_else(|| self.0 + DAY - earlier.0);
        (difference < DAY / 2).then_some(difference)
    }
}

/// The changes so far.
#[derive(Debug)]
pub struct Routes {
    monitor: Process,
}

impl Routes {
    pub(super) fn start(start: &dyn Fn(&str, Command) -> Result<Process>) -> Result<Self> {
        let mut command = Command::new("ip");
        command.args(["-ts", "-o", "-4", "monitor", "route"]).env("TZ", "UTC");
        Ok(Self { monitor: start("routes", command)? })
    }

    /// Waits until the kernel sends nothing to `node` any more, and answers how long after `begun` that was.
    ///
    /// # Errors
    /// It does so for longer than `patience`.
    pub fn leave(&self, node: Ipv4Addr, begun: Moment, patience: Duration) -> Result<Duration> {
        let deadline = Instant::now() + patience;
        loop {
            let log = self.monitor.log();
            let left = log.lines().filter_map(|line| read(line, begun)).find(|(_, to)| !to.contains(&node));
            if let Some((after, _)) = left {
                return Ok(after);
            }
            ensure!(Instant::now() < deadline, "the router leads to {node} after {patience:?}:\n{log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every change of the route since `begun`: how long after, and which nodes it leads to then.
    pub fn changes(&self, begun: Moment) -> Vec<(Duration, BTreeSet<Ipv4Addr>)> {
        self.monitor.log().lines().filter_map(|line| read(line, begun)).collect()
    }
}

/// A change of the address's route at or after `begun`.
fn read(line: &str, begun: Moment) -> Option<(Duration, BTreeSet<Ipv4Addr>)> {
    let (time, said) = line.strip_prefix('[')?.split_once("] ")?;
    let (said, deleted) = said.strip_prefix("Deleted ").map_or((said, false), |rest| (rest, true));
    (said.split_whitespace().next()? == ADDRESS.to_string()).then_some(())?;
    let after = time_of_day(time).ok()?.since(begun)?;
    Some((after, if deleted { BTreeSet::new() } else { next_hops(said) }))
}

/// `2026-11-22T14:23:01.123456`
fn time_of_day(text: &str) -> Result<Moment> {
    let (_, time) = text.split_once('T').context("no time")?;
    let mut parts = time.split(':');
    let mut next = || parts.next().context("too short a time");
    let (hours, minutes): (u64, u64) = (next()?.parse()?, next()?.parse()?);
    let seconds: f64 = next()?.parse()?;
    Ok(Moment(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::try_from_secs_f64(seconds)?))
}

/// The addresses behind each `via`.
pub(super) fn next_hops(route: &str) -> BTreeSet<Ipv4Addr> {
    let words: Vec<&str> = route.split_whitespace().collect();
    let pairs = words.windows(2).filter_map(|pair| match pair {
        ["via", address] => address.parse().ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_with_its_time_and_what_came_before_is_left_out() {
        let begun = time_of_day("2026-11-22T23:59:59.900000").expect("a time");
        let line = |time: &str, rest: &str| format!("[2026-11-22T{time}] {rest}");
        let both = "203.0.113.1 proto bird metric 32 \\\tnexthop via 198.51.100.11 dev eth0 weight 1 \\\tnexthop via 198.51.100.12 dev eth0";
        let (after, to) = read(&line("00:00:00.050000", both), begun).expect("a change");
        assert_eq!(after, Duration::from_millis(150));
        assert_eq!(to, [Ipv4Addr::new(198, 51, 100, 11), Ipv4Addr::new(198, 51, 100, 12)].into());
        let gone = format!("Deleted {both}");
        assert_eq!(read(&line("00:00:00.050000", &gone), begun).expect("a change").1, BTreeSet::new());
        assert_eq!(read(&line("23:59:59.800000", both), begun), None);
        assert_eq!(read(&line("00:00:01.000000", "203.0.113.10 via 192.0.2.7"), begun), None);
    }
}
