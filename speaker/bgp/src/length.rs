// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How long messages may be, header included.

/// Marker, length, type.
pub const HEADER_LEN: usize = 19;
/// Longest message without RFC 8654, and longest OPEN and KEEPALIVE with it.
pub const STANDARD_LEN: usize = 4096;
/// Longest message with RFC 8654.
pub const EXTENDED_LEN: usize = 65_535;
