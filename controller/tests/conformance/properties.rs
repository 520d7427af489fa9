// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What holds whatever users do.
