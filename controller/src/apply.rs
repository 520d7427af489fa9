// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a plan to writes: what differs from what is there, in an order in which the process may die after any write.
//!
//! The record comes first: a VirtualIP is written before a Service shows its address, and removed after no Service
//! shows it any more. So at every moment each address that is shown is recorded for the one who shows it.
//!
//! [`steps`] says what to write and what comes before what, a [`Course`] hands the steps out as they become possible.

mod course;
mod order;
mod reach;
mod render;
mod target;
mod verdict;
mod write;

pub use course::{Course, Outcome, carry_out};
pub use order::{Haste, Step, steps};
pub use reach::{Reach, UnderWay};
pub(crate) use render::{PATIENCE, floating_addresses, in_sight as addresses_in_sight, may_depart, shown};
pub use target::{Target, Written};
pub use verdict::{Judged, Verdict};
pub use write::Write;
