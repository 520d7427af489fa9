// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The API server is away.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_control_plane::{Installation, ProxyMode};
use ferrolb_lab::Place;
use ferrolb_lab::backend::ask;
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::rights::within;

use crate::patience::{SLOWLY, SOON, eventually};
use crate::start::{alone, eventually_reported, serving};

/// Who answers new clients, once it is one node only.
fn answerer(installation: &Installation, address: IpAddr) -> Result<Place> {
    let mac = eventually("one node answers", SLOWLY, || {
        let look = NewClients::start(&installation.lab().newcomer, address)?;
        thread::sleep(Duration::from_millis(500));
        let report = look.finish()?;
        anyhow::ensure!(report.presences().len() == 1, "{:?} answer", report.presences());
        report.last_answerer().context("nobody answers")
    });
    let mac = mac.map_err(|error| error.context(installation.logs()))?;
    Place::of_mac(mac).with_context(|| format!("a stranger answers: {mac}"))
}

#[test]
fn l2_020_failover_works_without_the_api_server_also_where_speakers_were_restarted_meanwhile() {
    within(|| {
        let _turn = alone();
        let mut installation = serving(3, ProxyMode::NFTables)?;
        let address = installation.address_of("local", true)?;
        let first = eventually_reported(&installation, "local", "")?;
        // The view is kept on disk every few seconds.
        thread::sleep(Duration::from_secs(12));
        installation.cluster_mut().plane_mut().stop_api_server()?;

        // Everybody else is restarted and knows of the cluster by the disk only.
        let others: Vec<String> = installation.lab().nodes.iter().map(|node| node.name.clone()).collect();
        for node in others.iter().filter(|node| **node != first) {
            installation.speaker(node)?.kill()?;
            installation.start_speaker(node)?;
        }
        thread::sleep(SOON + SOON);
        assert_eq!(answerer(&installation, address)?.name(), first, "the owner goes on meanwhile");

        installation.lab().cut(installation.lab().node(&first)?)?;
        thread::sleep(SOON);
        let second = answerer(&installation, address)?;
        assert_ne!(second.name(), first);
        let served = eventually("the successor serves", SLOWLY, || {
            ask(&installation.lab().client, SocketAddr::new(address, 80))
        });
        let (pod, client) = served.map_err(|error| error.context(installation.logs()))?;
        assert_eq!((pod, client), (second.name(), IpAddr::V4(Place::Client.ipv4())));

        // When it is back, what happened meanwhile is reported.
        installation.cluster_mut().plane_mut().start_api_server()?;
        assert_eq!(eventually_reported(&installation, "local", &first)?, second.name());
        Ok(())
    });
}
