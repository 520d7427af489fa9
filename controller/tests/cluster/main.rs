// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The controller beside a real API server.

#![cfg(test)]

mod life;
mod metallb;
mod outage;
mod stage;
