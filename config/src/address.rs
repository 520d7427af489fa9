// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Arithmetic of addresses: ranges, interval sets, families, and the name of a VirtualIP.

mod buggy;
mod family;
mod interval;
mod name;
mod range;
mod range_set;

pub use family::Family;
pub use name::{parse_virtual_ip_name, virtual_ip_name};
pub use range::{Parsed, Range, RangeError};
pub use range_set::{LastOctet, RangeSet};
