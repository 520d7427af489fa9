// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The daemons from start to end, as far as that needs no network and no right.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::{ended, ferrolb, repository};

/// A daemon that does not outlive its test.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn end(mut self, signal: Signal) -> Output {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
        let status = self.0.wait().unwrap();
        let mut stderr = Vec::new();
        std::io::copy(self.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
        Output { status, stdout: Vec::new(), stderr }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already in a test that succeeds.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn controller(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    command.arg("controller").arg("--source").arg(repository("deploy/examples/quickstart"));
    command.arg("--state").arg(state).env_remove("RUST_LOG");
    command
}

/// Waits until `ferrolb status` shows an address for every Service.
fn wait_for_addresses(state: &Path) {
    let source = repository("deploy/examples/quickstart");
    let folders = ["--source", source.to_str().unwrap(), "--state", state.to_str().unwrap()];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = ferrolb(&[&["status"], &folders[..]].concat());
        if status.answer.contains("198.51.100.") && !status.answer.contains("PENDING") {
            return;
        }
        assert!(Instant::now() < deadline, "{}{}", status.answer, status.complaint);
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_controller_gives_addresses_and_ends_in_good_order_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let state = tempfile::tempdir().unwrap();
        let controller = Daemon::start(&mut controller(state.path()));
        wait_for_addresses(state.path());
        let output = controller.end(signal);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert!(log.contains(signal.as_str()), "{log}");
    }
}

#[test]
fn a_second_controller_on_the_same_state_refuses_and_the_first_works_on() {
    let state = tempfile::tempdir().unwrap();
    let first = Daemon::start(&mut controller(state.path()));
    wait_for_addresses(state.path());
    let second = ended(&mut controller(state.path()));
    assert_eq!(second.code, Some(1));
    assert!(second.complaint.contains("is in use by another ferrolb process"), "{}", second.complaint);
    assert_eq!(first.end(Signal::SIGTERM).status.code(), Some(0));
}

#[test]
fn log_lines_can_be_json_one_object_a_line() {
    let state = tempfile::tempdir().unwrap();
    let controller = Daemon::start(controller(state.path()).args(["--log-format", "json"]));
    wait_for_addresses(state.path());
    let log = String::from_utf8(controller.end(Signal::SIGTERM).stderr).unwrap();
    assert!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn a_speaker_without_rights_says_in_one_line_which_and_how_to_give_them() {
    let state = tempfile::tempdir().unwrap();
    let mut command = without_rights(env!("CARGO_BIN_EXE_ferrolb"));
    command.args(["speaker", "--node-name", "n1", "--source"]).arg(repository("deploy/examples/quickstart"));
    let refused = ended(command.arg("--state").arg(state.path()).env_remove("RUST_LOG"));
    assert_eq!(refused.code, Some(1), "{}", refused.complaint);
    assert_eq!(refused.complaint.lines().count(), 1, "{}", refused.complaint);
    for word in ["CAP_NET_RAW", "CAP_NET_ADMIN", "setcap", "sudo", "securityContext"] {
        assert!(refused.complaint.contains(word), "{word}: {}", refused.complaint);
    }
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "nothing was begun");
}

/// `program` with none of the rights that root would have.
fn without_rights(program: &str) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", program]);
    command
}
