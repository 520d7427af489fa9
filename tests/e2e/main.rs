// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! End to end: the `ferrolb` binary, real frames, a real client. No figure here is tighter than a busy machine allows; figures are the
//! benchmark's business.

mod clients;
mod cluster;
mod crash;
mod floating;
mod hostile;
mod keys;
mod killed;
mod manifests;
mod matrix;
mod patience;
mod planned;
mod reachability;
mod relay;
mod segment;
mod witness;
