// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether the machine itself ran: a core that a hypervisor takes away for half a second freezes all that is on it, and to
//! its neighbours that is the same as a node that froze.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::{Running, Task, hurry};
use crate::Namespace;

const INTERVAL: Duration = Duration::from_millis(5);

/// One thread a core, above all ordinary ones, that looks at the clock every 5 ms.
#[derive(Debug)]
pub struct Cores(Vec<Task<Vec<Standstill>>>);

/// A core did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standstill {
    /// Which, from 0.
    pub core: usize,
    /// When it ran last.
    pub from: Instant,
    /// When it ran again.
    pub to: Instant,
}

impl Standstill {
    /// How long it did not run.
    pub fn length(&self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }
}

impl Cores {
    /// Starts, on each core that this process may use; from now on standstills of `at_least` are noted. `namespace` lends
    /// its threads, nothing is sent in it.
    ///
    /// # Errors
    /// The threads cannot be started, or not be tied to their cores.
    pub fn start(namespace: &Namespace, at_least: Duration) -> Result<Self> {
        let ours = sched_getaffinity(Pid::from_raw(0))?;
        let cores = (0..CpuSet::count()).filter(|core| ours.is_set(*core).unwrap_or(false));
        let watch = |core| {
            Task::start(namespace, &format!("core-{core}"), move |running, ready| {
                let mut alone = CpuSet::new();
                alone.set(core)?;
                sched_setaffinity(Pid::from_raw(0), &alone).with_context(|| format!("core {core}"))?;
                hurry();
                ready.ready();
                Ok(standstills(core, at_least, &running))
            })
        };
        cores.map(watch).collect::<Result<_>>().map(Self)
    }

    /// Ends and returns what was noted, the earliest first.
    ///
    /// # Errors
    /// A thread panicked.
    pub fn finish(self) -> Result<Vec<Standstill>> {
        let mut all = Vec::new();
        for task in self.0 {
            all.extend(task.finish()?);
        }
        all.sort_unstable_by_key(|standstill| standstill.from);
        Ok(all)
    }
}

fn standstills(core: usize, at_least: Duration, running: &Running) -> Vec<Standstill> {
    let mut noted = Vec::new();
    let mut from = Instant::now();
    while running.go_on() {
        thread::sleep(INTERVAL);
        let to = Instant::now();
        if to.saturating_duration_since(from) >= at_least + INTERVAL {
            noted.push(Standstill { core, from, to });
        }
        from = to;
    }
    noted
}
