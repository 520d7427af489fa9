// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Speakers in a lab whose nodes are those of a real Kubernetes API server. These tests need root, or the right to make
//! user and network namespaces.

mod stage;

mod cluster {
    mod away;
    mod owners;
    mod routers;
}
