// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! WHAT: which consumer gets which address.

pub mod ipam;
