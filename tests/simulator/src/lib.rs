// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many layer-2 engines on one virtual segment, in virtual time.
//!
//! A [`World`] holds nodes (an engine, the kernel below it, and a driver that behaves like the real one), stations that
//! resolve addresses as clients and routers do, and a network that delays, loses, doubles, reorders and blocks packets. All
//! randomness comes from one seed, so that every run repeats exactly. After every event the [`Book`] checks what must hold
//! at all times; a violation ends the run with the last lines of its trace.

mod book;
mod faults;
mod network;
mod node;
mod station;
mod world;

pub use book::{Book, Happening, Violation};
pub use faults::Fault;
pub use network::{Network, Port};
pub use node::{GroupPlan, Health};
pub use world::{Setup, World};
