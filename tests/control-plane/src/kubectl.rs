// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! kubectl, as one account.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::Namespace;
use serde::de::DeserializeOwned;

/// kubectl with the kubeconfig of one account.
#[derive(Clone, Debug)]
pub struct Kubectl {
    pub(crate) program: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) cache: PathBuf,
    pub(crate) namespace: Option<Namespace>,
}

/// What a successful kubectl said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its standard output.
    pub text: String,
    /// Its standard error: warnings.
    pub warnings: String,
}

impl Kubectl {
    /// Runs it with these arguments and returns its standard output.
    ///
    /// # Errors
    /// It failed; the message is what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.feed(arguments, "")?.text)
    }

    /// Runs it with `input` on its standard input.
    ///
    /// # Errors
    /// It failed; the message is what it said.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Result<Answer> {
        let output = self.output(arguments, input)?;
        let answer = Answer { text: lossy(&output.stdout), warnings: lossy(&output.stderr) };
        ensure!(
            output.status.success(),
            "kubectl {}: {}{}",
            arguments.join(" "),
            answer.text,
            answer.warnings.trim_end()
        );
        Ok(answer)
    }

    /// Creates what `manifests` (a YAML stream) hold, or changes it, by server-side apply.
    ///
    /// # Errors
    /// Something of it was refused.
    pub fn apply(&self, manifests: &str) -> Result<Answer> {
        self.feed(&["apply", "--server-side", "--force-conflicts", "-f", "-"], manifests)
    }

    /// Changes the statuses that `manifests` hold, by server-side apply.
    ///
    /// # Errors
    /// Something of it was refused.
    pub fn apply_status(&self, manifests: &str) -> Result<Answer> {
        self.feed(
            &["apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", "-"],
            manifests,
        )
    }

    /// Creates what `manifests` hold.
    ///
    /// # Errors
    /// Something of it was refused, or exists.
    pub fn create(&self, manifests: &str) -> Result<Answer> {
        self.feed(&["create", "-f", "-"], manifests)
    }

    /// What the server says when it refuses these arguments and this input.
    ///
    /// # Errors
    /// It does not refuse.
    pub fn refused(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.output(arguments, input)?;
        let said = format!("{}{}", lossy(&output.stdout), lossy(&output.stderr));
        ensure!(!output.status.success(), "kubectl {} was not refused: {said}", arguments.join(" "));
        Ok(said)
    }

    /// Reads objects: `kubectl get <what> -o json`.
    ///
    /// # Errors
    /// kubectl fails, or what it prints is no `T`.
    pub fn get<T: DeserializeOwned>(&self, what: &[&str]) -> Result<T> {
        let mut arguments = vec!["get", "-o", "json"];
        arguments.extend(what);
        let text = self.run(&arguments)?;
        serde_json::from_str(&text)
            .with_context(|| format!("reading what kubectl {} printed", arguments.join(" ")))
    }

    /// A command for arguments that the caller adds. It must be started where the server can be reached from.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(&self.cache)
            .env_remove("KUBECONFIG");
        command
    }

    fn output(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = || {
            let mut child = command.spawn().context("starting kubectl")?;
            let Some(mut stdin) = child.stdin.take() else { bail!("kubectl has no standard input") };
            // It may end before it has read everything; what it says then is the outcome.
            let fed = stdin.write_all(input.as_bytes());
            drop(stdin);
            let output = child.wait_with_output().context("waiting for kubectl")?;
            if output.status.success() {
                fed.context("feeding kubectl")?;
            }
            Ok(output)
        };
        match &self.namespace {
            Some(namespace) => namespace.run(run),
            None => run(),
        }
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
