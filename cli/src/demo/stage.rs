// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the demo prints: scenes, and lines with the time since the demo began.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use anyhow::{Context, Result};

/// Standard output, written to line by line, so that a reader sees each thing when it happens.
#[derive(Debug)]
pub(super) struct Stage {
    begun: Instant,
    bold: bool,
}

impl Default for Stage {
    fn default() -> Self {
        let bold = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { begun: Instant::now(), bold }
    }
}

impl Stage {
    /// Begins a scene.
    pub(super) fn scene(&self, title: &str) -> Result<()> {
        if self.bold {
            self.print(&format!("\n\x1b[1m{title}\x1b[0m\n"))
        } else {
            self.print(&format!("\n== {title}\n"))
        }
    }

    /// Says one thing that happened, and when.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        self.print(&format!("{:6.1} s  {text}\n", self.begun.elapsed().as_secs_f64()))
    }

    /// Shows lines as they are, indented.
    pub(super) fn text(&self, text: &str) -> Result<()> {
        let indented: String = text.lines().map(|line| format!("          {line}\n")).collect();
        self.print(&indented)
    }

    fn print(&self, text: &str) -> Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).context("writing to standard output")
    }
}
