// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The rules of allocation over both sources: each scenario is written once, and runs on a folder of manifests and beside a
//! real API server.

#![cfg(test)]

mod allocation;
mod cluster;
mod configuration;
mod folder;
mod ground;
mod running;

/// Makes two tests of each scenario.
macro_rules! over_both_sources {
    ($($scenario:ident)*) => {
        mod folder {
            $(#[tokio::test]
            async fn $scenario() {
                let mut ground = crate::ground::Ground::of(crate::folder::Folder::open());
                super::$scenario(&mut ground).await;
                ground.close().await;
            })*
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let mut ground = crate::ground::Ground::of(crate::cluster::Cluster::open().await);
                super::$scenario(&mut ground).await;
                ground.close().await;
            })*
        }
    };
}
pub(crate) use over_both_sources;
