// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The program as people meet it: what it prints, where, and how it exits. Nothing here needs a network or a right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocate;
mod daemon;
mod status;
mod usage;
mod validate;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run of the program left behind.
struct Ended {
    /// Its exit code.
    code: Option<i32>,
    /// What it wrote to standard output.
    answer: String,
    /// What it wrote to standard error.
    complaint: String,
}

fn ferrolb(arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    ended(command.args(arguments).env_remove("RUST_LOG").env_remove("NODE_NAME"))
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), answer: text(output.stdout), complaint: text(output.stderr) }
}

/// A folder of this repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
