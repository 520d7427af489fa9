// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BFD beside a session: it begins, changes and ends as the BFDProfile says, and the session stands all the while.

use std::sync::Arc;

use ferrolb_config::snapshot::PeerSettings;
use tokio::sync::watch;
use tracing::{info, warn};

use super::super::Session;
use super::super::sight::Now;
use super::running::{Course, Running};
use super::settings;
use crate::bfd::{Bfd, PathSettings, Standing, WatchError};
use crate::intent::Router;

/// How a path is watched, or why it is not though it should be.
pub(super) type Watching = (Option<watch::Receiver<Standing>>, Option<String>);

/// Watches the path of a session, if it shall be watched. A session without BFD is better than none.
pub(super) async fn begin(
    peer: &str,
    session: &mut Session,
    path: Result<Option<PathSettings>, String>,
    bfd: &mut Option<Bfd>,
) -> Watching {
    let watched = match path {
        Ok(Some(path)) => watch(path, bfd).await.map(Some),
        Ok(None) => Ok(None),
        Err(why) => Err(why),
    };
    let (path, unwatched) = match watched {
        Ok(path) => (path, None),
        Err(why) => {
            warn!(peer, "the session goes without BFD: {why}");
            (None, Some(why))
        }
    };
    session.follow(path.clone());
    (path, unwatched)
}

/// Whether the session that runs is the one that `wanted` asks for, now that its path is watched as that says.
pub(super) async fn goes_on(
    peer: &str,
    running: &mut Running,
    wanted: &Arc<Router>,
    bfd: &mut Option<Bfd>,
) -> bool {
    if !differ_in_bfd_alone(&running.router, wanted) {
        return false;
    }
    let Course::Session { session, place, live, unwatched, .. } = &mut running.course else { return false };
    info!(peer, "another BFDProfile holds for the session that goes on");
    let path = settings::watched(wanted, place.at);
    (live.path, *unwatched) = begin(peer, session, path, bfd).await;
    running.router = Arc::clone(wanted);
    running.look(Now::read());
    true
}

async fn watch(path: PathSettings, bfd: &mut Option<Bfd>) -> Result<watch::Receiver<Standing>, String> {
    let bfd = match bfd {
        Some(bfd) => bfd,
        None => bfd.insert(Bfd::start().map_err(|error| {
            format!("another BFD daemon of this node may have BFD's ports, which cannot be opened: {error}")
        })?),
    };
    bfd.watch(path).await.map_err(|error: WatchError| error.to_string())
}

fn differ_in_bfd_alone(one: &Router, other: &Router) -> bool {
    let settings = PeerSettings { bfd: other.settings.bfd.clone(), ..one.settings.clone() };
    *other == Router { settings, ..one.clone() }
}
