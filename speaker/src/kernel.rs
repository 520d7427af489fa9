// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Everything the speaker asks of the Linux kernel: sockets, interfaces, rights and scheduling.
//!
//! Only this folder names netlink's types and holds the few `unsafe` calls that no safe wrapper offers.

mod batch;
pub(crate) mod bfd_socket;
mod bound_addresses;
mod filter;
mod hello_socket;
mod interface_settings;
mod link_message;
mod link_monitor;
pub mod links;
mod packet_socket;
pub mod priority;
mod receive;
mod receive_clock;
pub mod rights;
pub(crate) mod router_discovery_socket;
pub mod router_socket;
mod socket_option;
mod solicited_node;
pub(crate) mod table_monitor;
mod wait;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use bound_addresses::{BindError, BoundAddresses, Place};
pub use hello_socket::{Family, HELLO_PORT, HelloDatagram, HelloSocket};
pub use interface_settings::InterfaceSettings;
pub use link_monitor::{LinkMonitor, LinkMonitorError};
pub use packet_socket::{Frame, FrameKind, PacketSocket};
pub use solicited_node::SolicitedNodeGroups;
pub use wait::{Bell, wait};
