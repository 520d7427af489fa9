// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BIRD's control socket: a question a line; the last line of an answer begins with its code and a space.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Until a BIRD that was just started listens.
const OPENS: Duration = Duration::from_secs(10);
/// Until it answers; it may be busy with routes.
const ANSWERS: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(in crate::bgp) struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Waits until BIRD listens there.
    pub(in crate::bgp) fn open(path: &Path) -> Result<Self> {
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    ensure!(begun.elapsed() < OPENS, "BIRD does not open {}", path.display());
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
            }
        };
        stream.set_read_timeout(Some(ANSWERS))?;
        let mut control = Self { stream: BufReader::new(stream) };
        control.answer()?;
        Ok(control)
    }

    /// The whole answer, with its codes.
    pub(in crate::bgp) fn ask(&mut self, question: &str) -> Result<String> {
        self.stream.get_mut().write_all(format!("{question}\n").as_bytes())?;
        let answer = self.answer().with_context(|| format!("asking BIRD: {question}"))?;
        // Codes of errors begin with 8 and 9.
        let last = answer.lines().last().unwrap_or_default();
        if last.starts_with(['8', '9']) {
            bail!("BIRD says to `{question}`: {last}");
        }
        Ok(answer)
    }

    fn answer(&mut self) -> Result<String> {
        let mut answer = String::new();
        loop {
            let begins = answer.len();
            ensure!(self.stream.read_line(&mut answer)? > 0, "BIRD has closed the connection");
            if is_last(answer.get(begins..).unwrap_or_default()) {
                return Ok(answer);
            }
        }
    }
}

fn is_last(line: &str) -> bool {
    let (code, rest) = line.split_at_checked(4).unwrap_or_default();
    code.bytes().all(|digit| digit.is_ascii_digit()) && rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_a_code_and_a_space() {
        assert!(is_last("0000 \n") && is_last("0003 Reconfigured\n"));
        assert!(!is_last("1002-s0 BGP\n") && !is_last("   Routes: 1\n") && !is_last("\n"));
    }
}
