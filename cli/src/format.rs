// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The forms in which answers and log lines can be had.

use clap::ValueEnum;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The forms of `ferrolb status` and `ferrolb bgp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// Tables for people.
    Table,
    /// Tables with everything that is known.
    Wide,
    /// The report as JSON.
    Json,
    /// The report as YAML.
    Yaml,
}

/// The forms of `ferrolb validate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ValidateFormat {
    /// Lines for people.
    Text,
    /// The findings as JSON.
    Json,
}
