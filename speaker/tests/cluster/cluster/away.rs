// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The API server goes away.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use ferrolb_lab::{backend, rights};

use crate::stage::{Stage, VIP, until};

#[test]
fn with_the_api_server_away_a_speaker_starts_from_the_disk_and_addresses_move() {
    rights::within(|| {
        let mut stage = Stage::build()?;
        let (first, second) = (stage.start(stage.node(0)?)?, stage.start(stage.node(1)?)?);
        stage.owner_other_than("")?;
        // The view is saved at most every ten seconds.
        std::thread::sleep(std::time::Duration::from_secs(12));
        second.stop()?;
        stage.owner_other_than("n2")?;

        stage.cluster.plane_mut().stop_api_server()?;
        let second = stage.start(stage.node(1)?)?;
        first.stop()?;
        let vip: SocketAddr = format!("{VIP}:80").parse()?;
        let lab = stage.cluster.lab();
        until("an answer with the API server away", || Ok(backend::ask(&lab.client, vip).ok()))?;

        stage.cluster.plane_mut().start_api_server()?;
        let owner = stage.owner_other_than("n1").context("what was done meanwhile is told")?;
        ensure!(owner.node == "n2", "{owner:?}");
        second.stop()
    });
}
