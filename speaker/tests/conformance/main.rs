// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users can rely on when addresses are announced on their segments: each test is one observable behaviour, named
//! after its number in docs/conformance.md. `cargo test -p ferrolb-speaker l2_` runs them.
//!
//! Whole speakers but for their sockets: from manifests to the intent, to the interfaces, to the engines, to the frames
//! that a client sees, in virtual time.

#![cfg(test)]

mod advertisements;
mod announcers;
mod cluster;
mod elections;
mod interfaces;
mod manifests;
mod order;
mod preferences;
mod wire;
