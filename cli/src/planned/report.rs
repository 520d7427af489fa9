// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What became of planned moves, in the forms that people and scripts read.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use ferrolb_config::api::Layer2Owner;
use serde::Serialize;

use super::arguments::MoveFormat;
use super::prospect::No;

/// What became of every address. Fields may be added; none is renamed or removed within `v1beta1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MoveReport {
    version: &'static str,
    /// One entry for each address and segment.
    moves: Vec<Outcome>,
}

/// What became of one address on one segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    /// Who carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Who carries it now, or should.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    result: Ending,
    /// From the request until the new owner was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// Why it did not move: one CamelCase word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// People have read it already.
    #[serde(skip)]
    told: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Ending {
    /// It is where it should be.
    Moved,
    /// It should move, and nothing was asked yet.
    Planned,
    /// It was asked for, and nobody waited for more.
    Asked,
    /// It is not where it should be.
    NotMoved,
}

impl Outcome {
    fn of(address: IpAddr) -> Self {
        Self {
            address,
            segment: None,
            from: None,
            to: None,
            result: Ending::NotMoved,
            seconds: None,
            reason: None,
            message: None,
            told: false,
        }
    }

    /// It was there before anything was asked.
    pub(super) fn there(address: IpAddr, node: &str) -> Self {
        let message = Some(format!("{node} carries it already"));
        Self { to: Some(node.to_owned()), result: Ending::Moved, message, ..Self::of(address) }
    }

    /// It did not move, or not to where it should.
    pub(super) fn refused(address: IpAddr, from: Option<String>, to: Option<String>, no: No) -> Self {
        let (reason, message) = (Some(no.reason.to_string()), Some(no.message));
        Self { from, to, reason, message, ..Self::of(address) }
    }

    /// It would move.
    pub(super) fn planned(address: IpAddr, from: String, to: String) -> Self {
        Self { from: Some(from), to: Some(to), result: Ending::Planned, ..Self::of(address) }
    }

    /// It was asked to move.
    pub(super) fn asked(address: IpAddr, from: &Layer2Owner, to: Option<String>) -> Self {
        Self {
            segment: Some(from.segment.clone()),
            from: Some(from.node.clone()),
            to,
            result: Ending::Asked,
            message: Some(format!("{} is asked to hand it over", from.node)),
            ..Self::of(address)
        }
    }

    /// It moved; to whom is not always known.
    pub(super) fn moved(address: IpAddr, from: &Layer2Owner, to: Option<&String>, after: Duration) -> Self {
        Self {
            segment: Some(from.segment.clone()),
            from: Some(from.node.clone()),
            to: to.cloned(),
            result: Ending::Moved,
            seconds: Some((after.as_secs_f64() * 1000.0).round() / 1000.0),
            ..Self::of(address)
        }
    }

    /// The same, once people have read it.
    pub(super) fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// One line for people: `198.51.100.100: n1 -> n2 after 0.4 s`.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}: ", self.address)?;
        match (&self.from, &self.to, self.seconds) {
            (Some(from), Some(to), Some(seconds)) => write!(out, "{from} -> {to} after {seconds:.1} s")?,
            (Some(from), None, Some(seconds)) => write!(out, "left {from} after {seconds:.1} s")?,
            _ => {}
        }
        match (&self.message, &self.reason) {
            (Some(message), Some(reason)) => write!(out, "{message} ({reason})")?,
            (Some(message), None) => write!(out, "{message}")?,
            (None, _) => {}
        }
        writeln!(out)
    }
}

impl MoveReport {
    pub(super) fn new(moves: Vec<Outcome>) -> Self {
        Self { version: "v1beta1", moves }
    }

    /// What became of each.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        self.moves
    }

    /// Whether everything is where it should be, or on its way.
    pub(super) fn is_good(&self) -> bool {
        self.moves.iter().all(|outcome| outcome.result != Ending::NotMoved)
    }

    /// Writes the report, without what people have read already.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn write(&self, format: MoveFormat, out: &mut dyn Write) -> anyhow::Result<()> {
        match format {
            MoveFormat::Text => {
                self.moves.iter().filter(|outcome| !outcome.told).try_for_each(|it| it.write_text(out))?;
                if self.moves.is_empty() {
                    writeln!(out, "Nothing had to move.")?;
                }
            }
            MoveFormat::Json => {
                serde_json::to_writer_pretty(&mut *out, self).context("writing the report as JSON")?;
                writeln!(out)?;
            }
            MoveFormat::Yaml => {
                let text = serde_saphyr::to_string(self).context("writing the report as YAML")?;
                out.write_all(text.as_bytes())?;
            }
        }
        Ok(())
    }
}
