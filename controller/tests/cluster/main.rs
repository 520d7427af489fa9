// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The controller beside a real API server.

#![cfg(test)]

mod crash;
mod crowd;
mod floating;
mod ha;
mod life;
mod losses;
mod metallb;
mod migrate;
mod outage;
mod proxy;
mod routers;
mod stage;
mod told;
mod trouble;
mod uninstall;
