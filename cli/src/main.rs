// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb`: the one program. Its daemons hand out addresses and carry them; its other commands answer questions.

mod age;
mod allocate;
mod arguments;
mod bgp;
mod cleanup;
mod columns;
mod daemon;
mod definitions;
mod demo;
mod finding;
mod folders;
mod format;
mod logging;
mod manifests;
mod migrate;
mod node;
mod origin;
mod planned;
mod shutdown;
mod status;
mod uninstall;
mod validate;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command, MigrateCommand};

/// How a shell shows a program that SIGPIPE ended: 128 + 13. Rust programs ignore that signal and see an error instead.
const CLOSED_PIPE: u8 = 141;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let asks = arguments.command.asks();
    match run(arguments) {
        Ok(code) => code,
        Err(error) if asks && is_closed_pipe(&error) => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            // Nothing is left to tell when standard error is gone too; the exit code still says it.
            drop(writeln!(io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    logging::start(arguments.log_format, arguments.verbose, arguments.command.asks())?;
    match arguments.command {
        Command::Controller(arguments) => daemon::controller(arguments)?,
        Command::Speaker(speaker) => daemon::speaker(speaker)?,
        Command::Run(both) => daemon::both(both)?,
        Command::Status(question) => status::answer(&question, &mut io::stdout().lock())?,
        Command::Bgp(question) => bgp::answer(question, &mut io::stdout().lock())?,
        Command::Validate(question) => return validate::answer(&question, &mut io::stdout().lock()),
        Command::Move(wish) => return planned::move_address(wish, &mut io::stdout().lock()),
        Command::Drain(wish) => return planned::drain(wish, &mut io::stdout().lock()),
        Command::Rebalance(wish) => return planned::rebalance(wish, &mut io::stdout().lock()),
        Command::Undrain(wish) => planned::undrain(wish, &mut io::stdout().lock())?,
        Command::Allocate(what) => return allocate::now(&what, &mut io::stdout().lock()),
        Command::Demo(play) => return demo::demo(&play),
        Command::Crds => definitions::write(&mut io::stdout().lock())?,
        Command::Cleanup => cleanup::now(&mut io::stdout().lock())?,
        Command::Migrate(MigrateCommand::ExternalIps(what)) => migrate::external_ips(what)?,
        Command::Uninstall(cluster) => return uninstall::now(cluster),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever read our answer has had enough of it, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is_it = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(is_it)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}
