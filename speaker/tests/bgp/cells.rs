// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The columns of the table: each is played with every router that can do it.

mod paths;
mod restarts;
mod routes;
mod security;

use anyhow::{Context, Result};
use ferrolb_lab::router::{Route, Table};

pub use paths::*;
pub use restarts::*;
pub use routes::*;
pub use security::*;

/// An IPv4 route that is announced.
const FOUR: &str = "198.51.100.1/32";
/// An IPv6 route that is announced.
const SIX: &str = "2001:db8:1::1/128";

/// What a router shows of a route.
fn seen<'a>(table: &'a Table, prefix: &str) -> Result<&'a Route> {
    table.get(prefix).with_context(|| format!("there is no {prefix} in {table:?}"))
}
