// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The command line: commands, flags, and the examples that `--help` shows.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::demo::DemoArguments;

/// Addresses for Services on bare metal, kept alive when nodes die.
#[derive(Parser, Debug)]
#[command(name = "ferrolb", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "FERROLB_LOG_FORMAT")]
    pub log_format: LogFormat,

    /// Log more: -v debug, -vv trace. RUST_LOG, where it is set, says it in detail instead.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ferrolb validate /etc/ferrolb               look for mistakes before anything is used

Results go to standard output, log lines to standard error.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Find every mistake in manifests; exit code 1 if anything is refused
    #[command(after_help = "\
Examples:
  ferrolb validate /etc/ferrolb
  ferrolb validate pools.yaml services.yaml -o json")]
    Validate(ValidateArguments),

    Demo(DemoArguments),

    /// Remove at once what FerroLB put into this machine's kernel
    #[command(after_help = "\
Example:
  sudo ferrolb cleanup

A speaker that ends keeps its rules for a while, so that connections survive a restart. This removes them now.
A speaker that still runs would put them back: end it first.")]
    Cleanup,
}

/// What to look at.
#[derive(Args, Debug)]
pub struct ValidateArguments {
    /// Files and folders of manifests
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = ValidateFormat::Text)]
    pub output: ValidateFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The forms of `ferrolb validate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ValidateFormat {
    /// Lines for people.
    Text,
    /// The findings as JSON.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }
}
