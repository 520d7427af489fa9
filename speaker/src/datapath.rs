// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Leads traffic for virtual IPs into Services, by one nftables table of our own, `inet ferrolb`.
//!
//! [`DataPath`] says what shall be; [`ruleset`] turns it into chains and elements, [`transaction`] into the text that
//! leads there from what the kernel holds; both are pure. The driver ([`start`]) runs `nft`, retries, and
//! publishes which virtual IPs are ready ([`Observed`]).
//!
//! The rules outlive the process: after a crash the kernel goes on as before, and the next process takes over what
//! it finds without a gap. [`Handle::linger`] gives the rules a lifetime instead, so that clients that still send
//! to this node after a hand-over are served until they have learned the new one.

mod condition;
mod conntrack;
mod driver;
mod flows;
mod found;
mod host;
mod kernel_table;
mod model;
mod nft;
#[cfg(test)]
mod oracle;
mod ruleset;
#[cfg(test)]
mod texts;
mod transaction;

pub use condition::Condition;
pub use driver::{Handle, Observed, cleanup, start};
pub use model::{Backends, Clients, DataPath, Frontend, Protocol, Role, Source};
