// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! This folder against a real kernel, in namespaces.

mod bound_addresses;
mod link_monitor;
mod router_socket;
mod sockets;
