// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The two folders of a machine without a cluster.

use std::path::PathBuf;

use clap::Args;

/// Where manifests are read and where the program keeps what it decides and observes.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The folder of manifests (*.yaml, *.yml, *.json)
    #[arg(long, value_name = "DIR", env = "FERROLB_SOURCE", default_value = "/etc/ferrolb")]
    pub source: PathBuf,

    /// The folder of what was decided and observed; not inside the source
    #[arg(long, value_name = "DIR", env = "FERROLB_STATE", default_value = "/var/lib/ferrolb")]
    pub state: PathBuf,
}
