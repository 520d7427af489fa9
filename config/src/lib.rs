// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users write, and what controller and speaker agree on.
//!
//! The kinds of the group `ferrolb.io` stand in [`api`], the arithmetic of addresses in [`address`], every object
//! that a source delivers in [`Objects`], and the validated, indexed view of them in [`Snapshot`]: a broken object
//! is set aside with a [`Reason`](reason::Reason), the rest works on. Everything here is types and pure functions;
//! there is no I/O and no clock.

pub mod address;
pub mod api;
pub mod compat;
pub mod condition;
pub mod defaults;
pub mod manifest;
mod move_request;
mod name;
pub mod objects;
pub mod reason;
pub mod routes_told;
pub mod selector;
pub mod snapshot;
mod validate;

pub use move_request::{ClaimRef, MoveRequest};
pub use name::{ObjectRef, ServiceName};
pub use objects::{Freshness, Object, Objects};
pub use snapshot::Snapshot;
pub use validate::validate;
