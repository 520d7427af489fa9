// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The router: BIRD, which knows to the microsecond since when a session stands, and is asked each millisecond what it has.

mod control;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::Process;
use ferrolb_lab::router::{NODE_V4, Wire};
use k8s_openapi::jiff::Timestamp;

pub(super) use self::control::Control;
use super::{Colour, NODE_AS, ROUTER_AS, router_address};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// BIRD at the router's end of a wire. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Receiver {
    process: Process,
    control: Control,
}

/// A session as the router sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Since when it stands, if it does.
    pub(super) established: Option<Timestamp>,
    /// Routes that the router has from it.
    pub(super) imported: usize,
    /// Routes that it took since the session began, changed ones counted again.
    pub(super) taken: usize,
}

/// All sessions by name, and when that was seen.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) sessions: BTreeMap<String, Standing>,
}

impl Look {
    /// Since when all of them have stood: the last of them.
    pub(super) fn established(&self) -> Option<Timestamp> {
        let since: Option<Vec<Timestamp>> = self.sessions.values().map(|one| one.established).collect();
        since?.into_iter().max()
    }

    /// Every session stands, and each has brought exactly `count` routes.
    pub(super) fn is_complete(&self, count: usize) -> bool {
        self.sessions.values().all(|one| one.established.is_some() && one.imported == count)
    }

    /// Routes taken over all sessions.
    pub(super) fn taken(&self) -> usize {
        self.sessions.values().map(|one| one.taken).sum()
    }
}

impl Receiver {
    /// Starts one that waits for `sessions` sessions, each with a table of its own; with BFD at 300 ms, three times, if wanted.
    pub(super) fn start(wire: &Wire, sessions: u8, bfd: bool) -> Result<Self> {
        let (config, socket) = (wire.folder().join("receiver.conf"), wire.folder().join("receiver.ctl"));
        fs::write(&config, configuration(sessions, bfd))?;
        let mut command = Command::new("bird");
        command.arg("-f").arg("-c").arg(config).arg("-s").arg(&socket).env("TZ", "UTC");
        let process = wire.start("receiver", command).context("BIRD is in the package bird2")?;
        let control = Control::open(&socket).with_context(|| process.log_end(5))?;
        Ok(Self { process, control })
    }

    /// Asks it anything.
    pub(super) fn ask(&mut self, question: &str) -> Result<String> {
        self.control.ask(question)
    }

    /// What it has.
    pub(super) fn look(&mut self) -> Result<Look> {
        let answer = self.ask("show protocols all \"s*\"")?;
        Ok(Look { at: Timestamp::now(), sessions: read(&answer)? })
    }

    /// Looks until it sees what is wanted.
    pub(super) fn wait(
        &mut self,
        what: &str,
        patience: Duration,
        mut wanted: impl FnMut(&Look) -> bool,
    ) -> Result<Look> {
        let begun = Instant::now();
        loop {
            let look = self.look()?;
            if wanted(&look) {
                return Ok(look);
            }
            if begun.elapsed() > patience {
                bail!("no {what} within {patience:?}: {look:?}\n{}", self.process.log_end(10));
            }
            thread::sleep(LOOK);
        }
    }

    /// All routes of session `s0` have this colour.
    pub(super) fn check_colour(&mut self, colour: Colour, count: usize) -> Result<()> {
        let number = colour.number();
        let question = format!("show route where ({NODE_AS},{number}) ~ bgp_community protocol s0 count");
        let answer = self.ask(&question)?;
        ensure!(answer.contains(&format!("{count} of ")), "not all routes were changed: {answer}");
        Ok(())
    }

    /// Since when the one BFD session is up.
    pub(super) fn path_up_since(&mut self) -> Result<Option<Timestamp>> {
        let answer = self.ask("show bfd sessions")?;
        let line = answer.lines().find(|line| line.contains(NODE_V4)).map(|line| line.split_whitespace());
        let Some(mut words) = line.map(|words| words.skip_while(|word| *word != "Up").skip(1)) else {
            return Ok(None);
        };
        words.next().zip(words.next()).map(|(day, time)| moment(day, time)).transpose()
    }
}

fn configuration(sessions: u8, bfd: bool) -> String {
    let mut text = "router id 192.0.2.2;\ntimeformat protocol iso long us;\nprotocol device { }\n\
     protocol bfd { interface \"*\" { min rx interval 300 ms; min tx interval 300 ms; multiplier 3; }; }\n"
        .to_owned();
    let watched = if bfd { "bfd on;" } else { "" };
    for number in 0..sessions {
        let address = router_address(number);
        // BIRD lets one session at a time lock an address and port. It never connects, so the ports need not be anybody's.
        let port = 179 + u16::from(number);
        // Without short pauses after an error nobody would be let in for a minute.
        text.push_str(&format!(
            "ipv4 table t{number};\nprotocol bgp s{number} {{ local {address} as {ROUTER_AS}; neighbor {NODE_V4} port {port} as {NODE_AS};\n\
             passive on; hold time 90; error wait time 1, 2; {watched} ipv4 {{ table t{number}; import all; export none; }}; }}\n"
        ));
    }
    text
}

/// Reads `show protocols all`: a first line for each session, then its figures, set back.
fn read(answer: &str) -> Result<BTreeMap<String, Standing>> {
    let mut sessions: BTreeMap<String, Standing> = BTreeMap::new();
    let mut name = String::new();
    for line in answer.lines() {
        if let Some(first) = line.strip_prefix("1002-") {
            let words: Vec<&str> = first.split_whitespace().collect();
            let [called, _, _, state, day, time, ..] = words.as_slice() else { bail!("BIRD says {line}") };
            (*called).clone_into(&mut name);
            let stands = *state == "up" && line.contains("Established");
            let established = if stands { Some(moment(day, time)?) } else { None };
            sessions.insert(name.clone(), Standing { established, imported: 0, taken: 0 });
            continue;
        }
        let Some((label, value)) = line.trim().split_once(':') else { continue };
        let Some(session) = sessions.get_mut(&name) else { continue };
        let mut numbers = value.split_whitespace();
        match label {
            "Routes" => session.imported = numbers.next().and_then(|word| word.parse().ok()).unwrap_or(0),
            "Import updates" => {
                session.taken = numbers.last().and_then(|word| word.parse().ok()).unwrap_or(0)
            }
            _ => {}
        }
    }
    Ok(sessions)
}

fn moment(day: &str, time: &str) -> Result<Timestamp> {
    format!("{day}T{time}Z").parse().with_context(|| format!("BIRD's clock shows {day} {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_with_their_figures() {
        let answer = "2002-Name Proto Table State Since Info\n\
            1002-s0  BGP  ---  up  2026-11-22 14:25:33.123456  Established\n\
            1006-  BGP state:  Established\n   Channel ipv4\n\
            \x20    Routes:   10000 imported, 0 exported, 10000 preferred\n\
            \x20    Import updates:  20000  0  0  0  19999\n\
            1002-s1  BGP  ---  start  2026-11-22 14:25:30.000001  Passive\n";
        let sessions = read(answer).expect("an answer");
        let first = sessions.get("s0").expect("the session");
        assert_eq!((first.imported, first.taken), (10_000, 19_999));
        assert_eq!(first.established.map(|at| at.as_microsecond() % 60_000_000), Some(33_123_456));
        let second = Standing { established: None, imported: 0, taken: 0 };
        assert_eq!(sessions.get("s1"), Some(&second));
        let look = Look { at: Timestamp::now(), sessions };
        assert_eq!((look.established(), look.is_complete(10_000), look.taken()), (None, false, 19_999));
    }
}
