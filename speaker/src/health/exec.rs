// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Runs a program that says how things are. It gets a process group of its own, which ends when nobody waits any more.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;
use tracing::debug;

/// As much of what a program says about its failure as is kept, in bytes.
const SAID: usize = 256;
/// How long the last words of a program that has ended are waited for, should another hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The program's process group, which is killed with the last of it unless the program has ended by itself.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = killpg(group, Signal::SIGKILL)
        {
            debug!(%error, "the processes of a health check had ended already");
        }
    }
}

/// Whether the program ends with exit code 0; if not, what it said. Dropped before, it is killed with its children.
pub(super) async fn run(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = ProcessGroup(id.map(Pid::from_raw));
    let mut output = child.stderr.take();
    let mut said = Vec::new();
    let ended = tokio::select! {
        ended = child.wait() => ended,
        // All has been said; that it ends remains.
        () = listen(output.as_mut(), &mut said) => child.wait().await,
    };
    group.0 = None;
    let status = ended.map_err(|error| format!("cannot wait for {program}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    if timeout(LAST_WORDS, listen(output.as_mut(), &mut said)).await.is_err() {
        debug!(program, "a health check left something running that holds its output open");
    }
    Err(failure(status, &said))
}

/// Keeps the first [`SAID`] bytes and reads on, so that whoever says more is not held up.
async fn listen(output: Option<&mut (impl AsyncRead + Unpin)>, said: &mut Vec<u8>) {
    let Some(output) = output else { return };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        let room = SAID.saturating_sub(said.len());
        said.extend(buffer.iter().take(read.min(room)));
    }
}

fn failure(status: ExitStatus, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let said = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if said.is_empty() {
        format!("it ended with {status}")
    } else {
        format!("it ended with {status}: {said}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn exit_code_0_is_well_and_another_is_told_with_what_was_said() {
        assert_eq!(run(&shell("echo ignored; exit 0")).await, Ok(()));
        let error = run(&shell("echo no  master >&2; exit 3")).await.unwrap_err();
        assert_eq!(error, "it ended with exit status: 3: no master");
        let error = run(&["/nonexistent/check".to_owned()]).await.unwrap_err();
        assert!(error.starts_with("cannot start /nonexistent/check: "), "{error}");
    }

    #[tokio::test]
    async fn of_much_output_only_the_beginning_is_kept() {
        let error = run(&shell("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1")).await.unwrap_err();
        assert!(error.len() < SAID + 100, "{} bytes", error.len());
    }

    #[tokio::test]
    async fn at_the_timeout_the_children_are_killed_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        timeout(Duration::from_secs(2), run(&shell(&script))).await.unwrap_err();
        let child = std::fs::read_to_string(&file).expect("the script began within two seconds");
        let process = Path::new("/proc").join(child.trim()).join("stat");
        let end = Instant::now() + Duration::from_secs(20);
        // Gone, or a zombie that waits for its new parent.
        let ended = || std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "));
        while !ended() {
            assert!(Instant::now() < end, "process {child} lives on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
