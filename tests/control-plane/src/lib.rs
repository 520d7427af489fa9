// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A real control plane for tests and benchmarks: etcd, kube-apiserver and kubectl, and where asked for kube-controller-manager
//! and kube-proxy.
//!
//! ```no_run
//! use ferrolb_control_plane::{Account, ControlPlane, Options};
//!
//! # fn main() -> anyhow::Result<()> {
//! let plane = ControlPlane::start(Options::default())?;
//! plane.kubectl().run(&["get", "--raw", "/version"])?;
//! let kubeconfig = plane.kubeconfig(&Account::controller())?;
//! # drop(kubeconfig);
//! # Ok(()) }
//! ```
//!
//! The programs are built once by `tests/control-plane/build`, which `make test` runs before the tests. Everything that was
//! started ends with the [`ControlPlane`], or with this process if that comes first.

mod account;
mod binaries;
mod cluster;
mod controllers;
mod etcd;
mod installation;
mod kubeconfig;
mod kubectl;
mod metallb;
mod node;
mod options;
mod patience;
mod plane;
mod port;
mod proxy;
mod requests;
mod server;
mod shared;

pub use account::Account;
pub use binaries::Program;
pub use cluster::Cluster;
pub use installation::{DEPLOYMENT, Installation, ended_well, install};
pub use kubectl::{Answer, Kubectl};
pub use metallb::{METALLB_NAMESPACE, metallb_definitions};
pub use options::{Options, Place};
pub use plane::ControlPlane;
pub use proxy::ProxyMode;
pub use requests::{Request, Requests};
pub use shared::shared;
