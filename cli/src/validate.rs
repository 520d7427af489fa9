// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb validate`: every mistake in manifests, before they are used.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use ferrolb_config::validate;
use serde::Serialize;

use crate::arguments::ValidateArguments;
use crate::finding::{Finding, Weight};
use crate::format::ValidateFormat;
use crate::manifests::read;

/// The shape of `ferrolb validate -o json`. Fields may be added; none is renamed or removed.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// How many files were read.
    files: usize,
    /// How many objects they hold that FerroLB uses.
    objects: usize,
    /// How many of the findings are errors.
    errors: usize,
    /// How many of the findings are warnings.
    warnings: usize,
    /// What was found, by file and line.
    findings: Vec<Finding>,
}

/// Reads the manifests and writes what is wrong with them. The exit code is 1 if anything is refused.
///
/// # Errors
/// A file or folder cannot be read, or `out` cannot be written.
pub fn answer(question: &ValidateArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let answer = examine(&question.paths)?;
    match question.output {
        ValidateFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &answer).context("writing the findings as JSON")?;
            writeln!(out)?;
        }
        ValidateFormat::Text => {
            answer.findings.iter().try_for_each(|finding| finding.write_text(out))?;
            writeln!(out, "{}", summary(&answer))?;
        }
    }
    Ok(if answer.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine(paths: &[PathBuf]) -> anyhow::Result<Answer> {
    let manifests = read(paths)?;
    let findings: Vec<Finding> = validate(&manifests).iter().map(Finding::from).collect();
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    Ok(Answer {
        files: manifests.len(),
        objects: manifests.iter().map(|manifest| manifest.documents.len()).sum(),
        errors: count(Weight::Error),
        warnings: count(Weight::Warning),
        findings,
    })
}

fn summary(answer: &Answer) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let seen = format!("{} in {}", counted(answer.objects, "object"), counted(answer.files, "file"));
    let errors =
        if answer.errors == 0 { "nothing is refused".to_owned() } else { counted(answer.errors, "error") };
    match answer.warnings {
        0 => format!("{seen}: {errors}"),
        warnings => format!("{seen}: {errors}, {}", counted(warnings, "warning")),
    }
}
