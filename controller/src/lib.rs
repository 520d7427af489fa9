// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! WHAT: which consumer gets which address.
//!
//! [`ipam`] is the pure allocation, [`mod@plan`] turns a snapshot into what every object should say,
//! [`apply`] turns the difference into writes, and [`run()`] drives them.

pub mod apply;
pub mod ipam;
pub mod migrate;
pub mod plan;
mod run;
mod settle;
mod uninstall;

pub use plan::{Plan, plan};
pub use run::{ClusterOptions, in_cluster, run};
pub use settle::settle;
pub use uninstall::{LetGo, let_go};
