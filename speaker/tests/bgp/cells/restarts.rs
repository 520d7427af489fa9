// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What routers keep of a speaker that is gone.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_bgp::{Beginning, Restart, RestartTime, Stop};
use ferrolb_lab::router::{Daemon, Neighbour};
use ferrolb_speaker::bgp::PeerSettings;

use super::FOUR;
use crate::stage::{Extras, Speaker, Stage, plain, settings};

pub fn routes_outlive_a_restart_and_no_shutdown(daemon: Daemon) -> Result<()> {
    let node = Neighbour { graceful_restart: true, ..Neighbour::default() };
    let with = |beginning| -> Result<PeerSettings> {
        let mut settings = settings(&node)?;
        let time = RestartTime::from_secs(120).context("a restart time")?;
        settings.machine.restart = Some(Restart::new(time, beginning));
        Ok(settings)
    };
    let mut stage = Stage::with(daemon, &node, &with(Beginning::Fresh)?)?;
    stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
    stage.router_shows("the route", |table| table.contains_key(FOUR))?;
    let agreed = stage.is_up()?.peer.negotiated.context("a session has agreed")?;
    ensure!(agreed.peer_restart.is_some(), "the router takes part: {agreed:?}");

    stage.speaker.die()?;
    for _ in 0..30 {
        thread::sleep(Duration::from_millis(100));
        ensure!(
            stage.router.routes()?.contains_key(FOUR),
            "a killed speaker's route went: {}",
            stage.router.story()
        );
    }

    // The next process knows its routes before it speaks, so that none of them goes in between.
    let extras = Extras::default();
    stage.speaker = Speaker::start(
        &stage.wire.node,
        &with(Beginning::Restarted)?,
        extras,
        BTreeMap::from([(FOUR, plain())]),
    )?;
    stage.is_up()?;
    ensure!(stage.router.routes()?.contains_key(FOUR), "the restart lost the route");

    stage.speaker.stop(Stop::Shutdown("maintenance".to_owned()))?;
    stage.router_shows("no route after a shutdown", |table| !table.contains_key(FOUR))?;
    Ok(())
}
