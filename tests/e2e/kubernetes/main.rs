// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! End to end in Kubernetes: a real API server, real kube-proxies, the `ferrolb` binary, real frames, a real client. One cluster at a time.

mod connections;
mod metallb;
mod migrate;
mod outage;
#[path = "../patience.rs"]
mod patience;
mod pods;
mod reach;
mod start;
mod traffic;
mod transcript;
mod upgrade;
