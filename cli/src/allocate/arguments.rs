// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `ferrolb allocate` needs to know.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Give addresses once, as VirtualIPs that are handed out with the manifests; exit code 1 if somebody lacks one
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ferrolb allocate /etc/ferrolb --dry-run
  ferrolb allocate ./manifests && git add ./manifests

For several machines without a cluster: the records are written beside the manifests, one file an address, and handed
out with them. Each machine then runs `ferrolb speaker --source DIR`, and nobody a controller. Addresses that were given
before stay with whom they were given to; run it again after every edit.")]
pub struct AllocateArguments {
    /// The folder of manifests (*.yaml, *.yml, *.json); the records are written there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Write nothing; say what would be written
    #[arg(long)]
    pub dry_run: bool,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = AllocateFormat::Text)]
    pub output: AllocateFormat,
}

/// The forms of `ferrolb allocate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AllocateFormat {
    /// Tables for people.
    Text,
    /// The outcome as JSON.
    Json,
    /// The outcome as YAML.
    Yaml,
}
