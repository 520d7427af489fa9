// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Runs `nft`: texts in, and back what the kernel holds.
//!
//! The text form was chosen over JSON because it is what `nft list` shows: what a test compares, what a user
//! sees and what a log line holds is the same.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::condition::Condition;

/// Writing 10,000 ports takes `nft` about 1 s of a core and reading them 3 s; a busy machine, and others who hold the
/// lock, make it many times that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Applies `text` as one transaction. Returns the id of the process that did it.
///
/// # Errors
/// If `nft` cannot be run or refuses; nothing has changed then.
pub(crate) async fn apply(text: &str) -> Result<u32, Condition> {
    run(&["-f", "-"], text).await.map(|(process, _)| process)
}

/// What `nft -j` prints for the command `list`, or `None` if there is no such object.
///
/// # Errors
/// If `nft` cannot be run or its output is not JSON.
pub(crate) async fn list(list: &[&str]) -> Result<Option<serde_json::Value>, Condition> {
    let arguments = [&["-j", "list"], list].concat();
    match run(&arguments, "").await {
        Ok((_, output)) => serde_json::from_slice(&output)
            .map(Some)
            .map_err(|error| Condition::NftFailed(format!("reading its listing: {error}"))),
        Err(Condition::NftFailed(why)) if why.contains("No such file or directory") => Ok(None),
        Err(other) => Err(other),
    }
}

async fn run(arguments: &[&str], input: &str) -> Result<(u32, Vec<u8>), Condition> {
    let talk = async {
        let mut child = Command::new("nft")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Condition::NftMissing(error.to_string()))?;
        let process = child.id().unwrap_or_default();
        let stdin = child.stdin.take();
        let feed = async move {
            match stdin {
                Some(mut stdin) => stdin.write_all(input.as_bytes()).await,
                None => Ok(()),
            }
        };
        // Both at once: nft may complain before it has read everything.
        let (fed, output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(|error| Condition::NftFailed(error.to_string()))?;
        match fed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Condition::NftFailed(error.to_string()))
            }
            _ => Ok((process, verdict(output)?)),
        }
    };
    timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(Condition::NftFailed(format!("no answer within {} s", PATIENCE.as_secs()))))
}

fn verdict(output: Output) -> Result<Vec<u8>, Condition> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("Operation not permitted") {
        return Err(Condition::NotPermitted);
    }
    Err(Condition::NftFailed(match first_error(&complaint) {
        Some(line) => line.to_owned(),
        None => output.status.to_string(),
    }))
}

/// The first line that says what is wrong, without the position in a text that nobody has.
fn first_error(complaint: &str) -> Option<&str> {
    let line = complaint.lines().find(|line| line.contains("Error:")).or_else(|| complaint.lines().next())?;
    Some(line.split_once("Error: ").map_or(line, |(_, error)| error))
}

#[cfg(test)]
mod tests {
    use super::first_error;

    #[test]
    fn the_first_error_is_found_and_freed_of_its_position() {
        let complaint = "/dev/stdin:1:13-23: Error: Could not process rule: File exists\nadd table\n    ^^\n";
        assert_eq!(first_error(complaint), Some("Could not process rule: File exists"));
        assert_eq!(first_error("netlink: gone\n"), Some("netlink: gone"));
        assert_eq!(first_error(""), None);
    }
}
