// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Runs `nft`: texts in, and back what the kernel holds.
//!
//! The text form was chosen over JSON because it is what `nft list` shows: what a test compares, what a user
//! sees and what a log line holds is the same.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
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
    let input =
        whole(input).map_err(|error| Condition::NftFailed(format!("preparing its input: {error}")))?;
    let talk = async {
        let child = Command::new("nft")
            .args(arguments)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Condition::NftMissing(error.to_string()))?;
        let process = child.id().unwrap_or_default();
        let output =
            child.wait_with_output().await.map_err(|error| Condition::NftFailed(error.to_string()))?;
        Ok((process, verdict(output)?))
    };
    timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(Condition::NftFailed(format!("no answer within {} s", PATIENCE.as_secs()))))
}

/// An input that is there as a whole before `nft` starts. Were it a pipe, and this process killed while it writes,
/// `nft` would take what came so far for everything, and apply it.
fn whole(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"ferrolb-nft", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
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
