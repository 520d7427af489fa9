// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Bound mode: the owner has the address on its interface, and the kernel drops it when nobody renews it.
//!
//! The layer-2 thread says again and again which addresses it owns, and a thread of its own keeps exactly those on the
//! interfaces: netlink may wait for the kernel's lock, and a hello must not. Each address is given [`LIFETIME`] and renewed
//! every [`RENEW_EVERY`], as long as the layer-2 thread has spoken within [`FRESH`]; so a process that is killed, stopped,
//! or whose election hangs, does not answer beside its successor for longer than that. [`Ledger`](ledger::Ledger) is the
//! pure part: what to do about which address, and when.

mod binder;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use binder::{Binder, BinderThread};

use crate::kernel::BoundAddresses;

/// How long the kernel keeps an address that nobody renews.
pub const LIFETIME: Duration = Duration::from_secs(3);
/// How often an address is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How old the layer-2 thread's word may be for a renewal.
pub const FRESH: Duration = Duration::from_secs(1);
/// How often the layer-2 thread says what it owns when nothing changes.
pub(crate) const CONFIRM_EVERY: Duration = Duration::from_millis(250);
/// An address that could not be bound is left to other nodes for so long.
const REST: Duration = Duration::from_secs(30);

/// Takes every address of ours off the interfaces of this network namespace; which those were.
///
/// # Errors
/// The kernel does not list them, or refuses to remove one.
pub fn cleanup() -> io::Result<BTreeSet<IpAddr>> {
    let mut kernel = BoundAddresses::open()?;
    let places = kernel.list()?;
    places.iter().try_for_each(|place| kernel.remove(*place))?;
    Ok(places.into_iter().map(|place| place.address).collect())
}

/// Addresses that cannot be on an interface of this node, and why.
pub type Unbindable = Arc<BTreeMap<IpAddr, String>>;
