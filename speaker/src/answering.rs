// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Answers who asks on this machine which routes are told to whom, by a socket that only its owner may open.
//!
//! Whoever connects is sent a line of JSON for each router, and then the end. A few are answered at once, each in bounded time.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrolb_config::routes_told::RoutesTold;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::bgp::{Picture, Seen};

/// Readable and writable by the owner.
const MODE: u32 = 0o600;
/// Who reads slower is sent away.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many are answered at once; more wait for one of them to end.
const AT_ONCE: usize = 8;
/// Pause after the kernel refused to take a connection, since it would at once refuse again.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Answering {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Answering {
    /// Answers at `path` for `node`. A socket that an earlier process left there is replaced.
    ///
    /// # Errors
    /// No socket can be made there.
    pub(crate) fn start(path: &Path, node: &str, routers: watch::Receiver<Picture>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        let task = tokio::spawn(answer(listener, node.to_owned(), routers));
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = fs::remove_file(&self.path) {
            debug!("{} stays: {error}", self.path.display());
        }
    }
}

async fn answer(listener: UnixListener, node: String, routers: watch::Receiver<Picture>) {
    // Ends with this task what it began.
    let mut askers = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = askers.join_next(), if !askers.is_empty() => {}
            accepted = listener.accept(), if askers.len() < AT_ONCE => match accepted {
                Ok((stream, _)) => {
                    let (node, picture) = (node.clone(), routers.borrow().clone());
                    askers.spawn(async move {
                        match timeout(PATIENCE, tell(stream, &node, picture)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => debug!("an answer was not taken: {error}"),
                            Err(_) => debug!("an answer was not taken in time"),
                        }
                    });
                }
                Err(error) => {
                    warn!("cannot take a question about routes: {error}");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn tell(mut stream: UnixStream, node: &str, picture: Picture) -> io::Result<()> {
    for (peer, seen) in picture {
        let node = node.to_owned();
        // Of many routes this takes a while.
        let line = spawn_blocking(move || line(node, peer, &seen)).await.map_err(io::Error::other)??;
        stream.write_all(&line).await?;
    }
    stream.shutdown().await
}

fn line(node: String, peer: String, seen: &Seen) -> io::Result<Vec<u8>> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (view, routes) = match &seen.live {
        Some(live) => (live.view().routes, live.routes()),
        None => Default::default(),
    };
    let (waiting, unsendable) = (number(view.waiting), number(view.unsendable));
    let told = RoutesTold { node, peer, state: seen.told.state, waiting, unsendable, routes };
    let mut line = serde_json::to_vec(&told)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::api::{BGPSession, SessionState};
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn who_asks_is_told_of_every_router_and_nobody_else_may_ask() {
        let folder = tempfile::tempdir().expect("room on the disk");
        let path = folder.path().join("routes.sock");
        let blocked = BGPSession { state: SessionState::Blocked, ..BGPSession::default() };
        let seen = Seen { told: Arc::new(blocked), live: None };
        let (_show, routers) = watch::channel(Picture::from([("rack".to_owned(), seen)]));
        fs::write(&path, "left behind").expect("room on the disk");
        let answering = Answering::start(&path, "n1", routers).expect("a socket");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, MODE);
        for _ in 0..2 {
            let mut said = String::new();
            let mut stream = UnixStream::connect(&path).await.expect("it answers");
            stream.read_to_string(&mut said).await.expect("an answer");
            let told: RoutesTold = serde_json::from_str(&said).expect("one line");
            let expected = ("n1", "rack", SessionState::Blocked, 0);
            assert_eq!((&*told.node, &*told.peer, told.state, told.routes.len()), expected);
        }
        drop(answering);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn who_does_not_read_the_answer_holds_up_nobody_else() {
        let folder = tempfile::tempdir().expect("room on the disk");
        let path = folder.path().join("routes.sock");
        let told = Arc::new(BGPSession::default());
        // More than the kernel keeps for one who does not read.
        let routers = (0..4_000)
            .map(|number| (format!("router-{number:04}"), Seen { told: Arc::clone(&told), live: None }));
        let (_show, routers) = watch::channel(routers.collect::<Picture>());
        let _answering = Answering::start(&path, "n1", routers).expect("a socket");
        let mut stuck = Vec::new();
        for _ in 1..AT_ONCE {
            let stream = UnixStream::connect(&path).await.expect("it answers");
            stream.readable().await.expect("it began");
            stuck.push(stream);
        }
        let answer = async {
            let mut said = String::new();
            let mut stream = UnixStream::connect(&path).await.expect("it answers");
            stream.read_to_string(&mut said).await.expect("an answer");
            said.lines().count()
        };
        assert_eq!(timeout(PATIENCE / 2, answer).await, Ok(4_000));
        drop(stuck);
    }
}
