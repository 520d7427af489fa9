// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A lab of network namespaces: three nodes, a client and a newcomer on one layer-2 segment, pods behind the nodes, faults to
//! inflict on them, and probers that say what a client noticed.
//!
//! ```no_run
//! use std::time::Duration;
//! use ferrolb_lab::{Lab, probe::UdpEcho};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::build(3)?;
//! let probe = UdpEcho::start(&lab.client, "198.51.100.100:9000".parse()?)?;
//! lab.cut(lab.node("n1")?)?;
//! std::thread::sleep(Duration::from_secs(1));
//! println!("dark for {:?}", probe.finish()?.outage);
//! # Ok(()) }
//! ```
//!
//! Needs root, or a user namespace of its own: see [`rights`].

pub mod addresses;
pub mod arp_load;
pub mod backend;
pub mod capture;
mod fault;
pub mod figures;
pub mod frame;
pub mod impostor;
pub mod installation;
pub mod interrupt;
pub mod keepalived;
mod lab;
mod leftovers;
pub mod namespace;
mod packet_socket;
mod partition;
pub mod probe;
pub mod process;
pub mod quickstart;
pub mod rack;
pub mod rights;
pub mod router;
mod shell;
mod site;

pub mod storm;
pub mod trial;
pub mod visit;

pub use addresses::{Mac, Place};
pub use fault::Direction;
pub use lab::{Lab, Node};
pub use namespace::Namespace;
pub use process::Process;
pub use site::Site;
