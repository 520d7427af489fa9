// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The objects that a plan says should be there, as they are written, and only where they differ from what is there.

mod configuration;
mod departed;
mod external;
mod records;
mod services;

pub(super) use configuration::configuration;
pub(super) use departed::departed;
pub(crate) use departed::{PATIENCE, may_depart};
pub(crate) use external::in_sight;
pub(super) use external::{external_ips, lists_of_external_ips, put_external_ips};
pub(super) use records::records;
pub(crate) use services::shown;
pub(super) use services::{has_our_condition, only_addresses, service_name, services};
