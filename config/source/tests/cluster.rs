// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The source against a real API server.

#[path = "cluster/away.rs"]
mod away;
#[path = "cluster/event.rs"]
mod event;
#[path = "cluster/lease.rs"]
mod lease;
#[path = "cluster/odd_server.rs"]
mod odd_server;
#[path = "cluster/stage.rs"]
mod stage;
#[path = "cluster/watch.rs"]
mod watch;
#[path = "cluster/write.rs"]
mod write;
