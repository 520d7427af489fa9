// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The objects that a plan says should be there, as they are written, and only where they differ from what is there.

mod configuration;
mod departed;
mod external;
mod floating;
mod records;
mod services;
mod sessions;

pub(super) use configuration::configuration;
pub(super) use departed::departed;
pub(crate) use departed::{PATIENCE, may_depart};
pub(crate) use external::in_sight;
pub(super) use external::{external_ips, lists_of_external_ips, put_external_ips};
pub(crate) use floating::floating_addresses;
pub(super) use floating::{floating_ips, only_floating_addresses};
pub(super) use records::records;
pub(crate) use services::shown;
pub(super) use services::{has_our_condition, name_of, only_addresses, services};
