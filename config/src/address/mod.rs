// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Arithmetic of addresses: ranges, interval sets, families, and the name of a VirtualIP.

mod family;
mod name;

pub use family::Family;
pub use name::{parse_virtual_ip_name, virtual_ip_name};
