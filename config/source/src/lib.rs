// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where objects come from, and where statuses go.

pub mod state;

pub use state::{Role, StateError, StateFile, StateWriter, Written};
