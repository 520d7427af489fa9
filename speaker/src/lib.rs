// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The per-node agent: which node carries which address, and how traffic finds its way in.

mod answering;
pub mod bfd;
pub mod bgp;
pub mod bound;
pub mod datapath;
mod deadline;
pub mod election;
mod gates;
mod group;
pub mod health;
mod hello_keys;
mod http_status;
pub mod intent;
pub mod kernel;
pub mod layer2;
mod metrics;
mod misfit;
mod moves;
mod names;
mod neighbours;
mod options;
mod profile;
mod rebalance;
mod report;
pub mod routers;
mod run;
mod status;
mod turn;

pub use gates::Gates;
pub use group::Group;
pub use options::{Options, Rebalance, Source};
pub use profile::Profile;
pub use run::run;

#[cfg(test)]
mod namespace;
