// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where objects come from, and where statuses go.
//!
//! Without a cluster, [`Directory`] follows a folder of manifests and the state folder, and delivers every change as
//! one [`Objects`](ferrolb_config::Objects). [`StateWriter`] writes the state folder: one writer a file, and every
//! write is whole or not there. In a cluster, [`kube`] does both.

mod directory;
pub mod events;
mod files;
pub mod kube;
pub mod lease;
mod merge;
pub mod metrics;
pub mod pace;
pub mod questions;
pub mod records;
pub mod state;

pub use directory::{Directory, DirectoryError};
pub use state::{Role, StateError, StateFile, StateWriter, Written};
