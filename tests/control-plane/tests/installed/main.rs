// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `kubectl apply -k deploy/base` installs, judged by a real API server.

#![cfg(test)]

mod accepted;
mod columns;
mod external_ips;
mod floating;
mod install;
mod refused;
mod rights;
mod virtual_ips;
