// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The per-node agent: which node carries which address, and how traffic finds its way in.

pub mod datapath;
pub mod intent;
pub mod kernel;
pub mod layer2;

#[cfg(test)]
mod namespace;
