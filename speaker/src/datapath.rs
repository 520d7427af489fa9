// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Leads traffic for virtual IPs into Services, by one nftables table of our own, `inet ferrolb`; where kube-proxy does
//! that ([`Mode::KubeProxy`]), the table refuses only what nobody translated.
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
mod fixed;
mod flows;
mod found;
mod host;
mod kernel_table;
mod kube_proxy;
mod mode;
mod model;
mod nft;
#[cfg(test)]
mod oracle;
mod ruleset;
#[cfg(test)]
mod texts;
mod transaction;

use std::sync::Arc;

use tokio::sync::watch;

pub use condition::Condition;
pub use driver::{Handle, Observed, cleanup};
pub use kube_proxy::{Healthz, HealthzError};
pub use mode::{Mode, Setup};
pub use model::{Backends, Clients, DataPath, Frontend, Protocol, Role, Source};

/// Starts to do what `desired` says. While that is `None`, what shall be is not known yet, and whatever an earlier
/// process left stays untouched.
pub fn start(setup: Setup, desired: watch::Receiver<Option<Arc<DataPath>>>) -> Handle {
    match setup {
        Setup::NFTables => driver::start_table(Mode::NFTables, desired),
        Setup::KubeProxy { healthz, guarded } => kube_proxy::start(desired, healthz, guarded),
    }
}
