// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The validated, indexed view of all objects.
