// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Pure allocation: which consumer gets which address.
//!
//! [`allocate`] computes everything anew from pools, claims and records, and depends on nothing else: not on the order
//! of its input, not on a clock, not on chance. Its rules, in the order in which they count:
//!
//! 1. Who may keep an address keeps it. Only a valid configuration takes one away.
//! 2. Who has an address is served before who has none: first moves and missing families, then the rest, those who
//!    ask for certain addresses first, then those who ask for a pool; among equals the older, then by name.
//! 3. A move is made before it is broken: until the address asked for is to be had, the old one is kept.
//! 4. Both addresses of a consumer come from one pool, except where a pool was split under them.
//! 5. Pools that say whom they serve are tried first, by priority, then the others; among equals by name. A pool gives
//!    its lowest free address. Sharers first try to join their key.
//! 6. What a pool keeps for somebody who went, and what is over a namespace's quota, nobody else is given.

mod allocator;
mod case;
mod claim;
mod ground;
mod keep;
mod place;
mod quota;
mod retained;
mod sharers;
mod tenancy;
mod unread;

use place::Place;
pub(crate) use place::bound_not_allowed;

pub use allocator::{Allocation, Given, Verdict, allocate};
pub use claim::{Backends, Claim, Families, Named, Request, Sharing, Standing};
pub use retained::Retained;
pub use tenancy::{Conflict, Holding, Tenant};
pub use unread::Unread;
