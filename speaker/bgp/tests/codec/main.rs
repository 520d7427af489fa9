// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The codec against the world: damaged messages by the million, and two independent codecs that must understand the same.

#![cfg(test)]

mod bgpkit;
mod corpus;
mod damage;
mod differential;
mod hostile;
mod meaning;
mod rustbgpd;
