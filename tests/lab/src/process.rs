// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A process of the lab: started inside a namespace, its output in a file, gone when the lab or its maker is.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

use crate::Namespace;
use crate::leftovers::MARK;
use crate::shell;

/// A running process, the leader of a process group of its own. Killed when dropped, and by the kernel when this process dies first.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    // Dropped last: the end of the thread that started it is what the kernel kills it for.
    _keeper: mpsc::Sender<()>,
}

impl Process {
    /// Starts `command` inside `namespace`; what it prints goes to `<folder>/<name>.log`, which is appended to.
    pub(crate) fn start(
        name: &str,
        namespace: Option<&Namespace>,
        command: Command,
        lab: &str,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening the log {}", log.display()))?;
        let mut command = mortal(&command)?;
        command
            .env(MARK, lab)
            .env("PATH", shell::search_path())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .process_group(0);
        let (keeper, kept) = mpsc::channel::<()>();
        let (started, starts) = mpsc::sync_channel(1);
        let namespace = namespace.cloned();
        let mut start = move || {
            if let Some(namespace) = &namespace {
                namespace.enter()?;
            }
            // A process inherits the blocked signals of the thread that starts it; see `interrupt`.
            SigSet::all().thread_unblock()?;
            Ok(command.spawn()?)
        };
        thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(move || {
            // Nobody waits for the outcome only if the thread that does has panicked.
            if started.send(start()).is_ok() {
                kept.recv().ok();
            }
        })?;
        let child: Result<Child> = starts.recv().context("a thread panicked")?;
        let child = child.with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log, _keeper: keeper })
    }

    /// What it is called in the lab.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// The last lines of it, for a failure's message.
    pub fn log_end(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Sends a signal to it and to the processes it started.
    ///
    /// # Errors
    /// It has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_raw(i32::try_from(self.child.id())?);
        killpg(group, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It has not ended within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                anyhow::bail!("{} has not ended within {patience:?}", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// It has not ended within `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(patience)
    }

    /// Kills it and its children at once and waits until it is gone.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        let group = Pid::from_raw(i32::try_from(self.child.id())?);
        match killpg(group, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("killing {}", self.name)),
        }
        self.child.wait().with_context(|| format!("waiting for the end of {}", self.name))?;
        Ok(())
    }

    /// Its resident memory in bytes, from `/proc`.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
        let kibibytes: u64 =
            line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")?;
        Ok(kibibytes * 1024)
    }

    /// Processor time that it has used, from `/proc` (resolution 10 ms).
    ///
    /// # Errors
    /// It has ended.
    pub fn processor_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let (_, after) = stat.rsplit_once(')').context("no command name in /proc/pid/stat")?;
        // utime and stime, fields 14 and 15 of proc(5), in ticks of 1/100 s (USER_HZ).
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Processor time of its threads called `name` so far, from `/proc` (nanoseconds, where the kernel keeps schedstat).
    ///
    /// # Errors
    /// It has ended, or has no such thread.
    pub fn thread_time(&self, name: &str) -> Result<Duration> {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.pid()));
        let mut found = None;
        for task in fs::read_dir(&tasks).with_context(|| format!("reading {}", tasks.display()))? {
            let folder = task?.path();
            // A thread may end between the two reads.
            let Ok(called) = fs::read_to_string(folder.join("comm")) else { continue };
            if called.trim() != name {
                continue;
            }
            let text = fs::read_to_string(folder.join("schedstat"))?;
            let first = text.split_whitespace().next().context("an empty schedstat")?;
            *found.get_or_insert(Duration::ZERO) += Duration::from_nanos(first.parse()?);
        }
        found.with_context(|| format!("{} has no thread {name}", self.name))
    }
}

/// `command`, to be killed by the kernel when the thread that starts it ends. (`PR_SET_PDEATHSIG` of prctl(2), set by a program in between,
/// since Rust has no safe way to run code between fork and exec.)
fn mortal(command: &Command) -> Result<Command> {
    let mut mortal = Command::new("setpriv");
    mortal
        .args(["--pdeathsig", "KILL", "--"])
        .arg(shell::find(command.get_program())?)
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => mortal.env(key, value),
            None => mortal.env_remove(key),
        };
    }
    Ok(mortal)
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("lab: {error:#}");
        }
    }
}
