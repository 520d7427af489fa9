// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who may speak to whom.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::{Result, ensure};
use ferrolb_bgp::Ending;
use ferrolb_lab::router::{Daemon, Neighbour, Over};
use ferrolb_speaker::kernel::router_socket::{Password, Reach};

use super::FOUR;
use crate::stage::{Stage, plain, settings};

pub fn only_the_right_password_opens_the_session(daemon: Daemon) -> Result<()> {
    for over in [Over::V4, Over::V6] {
        let password = Some("s3cret-of-both".to_owned());
        let node = Neighbour { over, password, ..Neighbour::default() };
        let stage = Stage::build(daemon, &node)?;
        stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
        stage.router_shows("the route", |table| table.contains_key(FOUR))?;

        let mut wrong = settings(&node)?;
        wrong.transport.password = Some(Password::new(b"another")?);
        let stage = Stage::with(daemon, &node, &wrong)?;
        let view = stage.speaker.sees("failure", |view| view.peer.last_error.is_some())?;
        let ending = view.peer.last_error.as_ref().map(|(_, ending)| ending.clone());
        // A router that does not listen yet refuses; one that does says nothing.
        ensure!(
            matches!(ending, Some(Ending::NoConnection(ErrorKind::TimedOut | ErrorKind::ConnectionRefused))),
            "{view:#?}"
        );
        let view = stage.speaker.sees("hint at the password", |view| {
            view.last_error().is_some_and(|words| words.contains("passwords"))
        })?;
        ensure!(view.peer.counts.sessions == 0, "{view:#?}");
    }
    Ok(())
}

pub fn a_router_that_wants_proof_of_nearness_gets_it(daemon: Daemon) -> Result<()> {
    for over in [Over::V4, Over::V6] {
        // ExaBGP answers the first packet of a connection like any other host, which we do not take: so it connects.
        let passive = daemon != Daemon::ExaBgp;
        let node = Neighbour { over, gtsm: true, passive, ..Neighbour::default() };
        let stage = Stage::build(daemon, &node)?;
        stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
        stage.router_shows("the route", |table| table.contains_key(FOUR))?;

        if daemon == Daemon::ExaBgp {
            // It checks only connections that it took.
            continue;
        }
        let mut far = settings(&node)?;
        far.transport.reach = Reach::Hops(64.try_into()?);
        let stage = Stage::with(daemon, &node, &far)?;
        stage.speaker.wish(BTreeMap::from([(FOUR, plain())]))?;
        // The first packets may come in before the router has set what it wants. No route does.
        stage.speaker.sees("end", |view| {
            let ending = view.peer.last_error.as_ref().map(|(_, ending)| ending);
            ending.is_some_and(|ending| !matches!(ending, Ending::NoConnection(ErrorKind::ConnectionRefused)))
        })?;
        let table = stage.router.routes()?;
        ensure!(!table.contains_key(FOUR), "packets from afar were taken: {table:?}");
    }
    Ok(())
}
