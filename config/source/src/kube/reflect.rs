// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Follows one kind: everything that is there first, then every change from there on.
//!
//! kube's own watcher is not used, since three things that it hides are needed here: the resourceVersion of a list,
//! below which our own writes are known to be in it; bookmarks, which say how far the watch has come and that the API
//! server lives; and objects that cannot be read, which must not end the watch.

mod backoff;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kube::Client;
use ::kube::core::params::WatchParams;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::connection::Connection;
use super::decode::{self, Head, Line};
use super::kind::{Kind, Scope};
use super::lines::Lines;
use super::prune::Reader;
use super::publish::Message;
use super::query::{ANSWER, Query, nonsense, too_slow, unbuildable};
use super::store::Listing;
use super::trouble::Trouble;
use backoff::Backoff;

/// How long a watch may be silent. The API server sends a bookmark every minute.
const SILENCE: Duration = Duration::from_secs(90);
/// The API server ends a watch after this time, in seconds, and up to as much again at random, so that watches do not
/// all end together.
const WATCH_SECONDS: (u32, u32) = (180, 110);
/// A watch that ended sooner was of no use.
const SHORT: Duration = Duration::from_secs(1);
/// How often in a row an API server may ask for patience before that is worth a warning. For a second after a kind was
/// defined it answers so as a matter of course.
const PATIENCE: u32 = 3;

/// Why reading ended.
enum End {
    /// The API server closed the watch, as it does now and then.
    Closed,
    Trouble(Trouble),
    /// Nobody wants to know any more.
    Unwanted,
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<mpsc::error::SendError<Message>> for End {
    fn from(_: mpsc::error::SendError<Message>) -> Self {
        Self::Unwanted
    }
}

/// Follows `kind` until nobody takes the messages any more.
pub(crate) async fn reflect(
    kind: Kind,
    reader: Reader,
    scope: Scope,
    connection: Arc<Connection>,
    messages: mpsc::Sender<Message>,
) {
    let mut follower = Follower::new(Query::new(kind, reader, &scope), messages.clone());
    let mut backoff = Backoff::default();
    let mut last: Option<Trouble> = None;
    let mut repeats = 0;
    loop {
        let (client, generation) = connection.client();
        let started = Instant::now();
        let end = tokio::select! {
            end = follower.follow(&client) => end,
            () = messages.closed() => return,
        };
        if started.elapsed() >= SHORT {
            backoff.reset();
            last = None;
        }
        let trouble = match end {
            End::Unwanted => return,
            End::Closed if started.elapsed() >= SHORT => continue,
            End::Closed => None,
            End::Trouble(Trouble::Expired) => {
                follower.position = None;
                None
            }
            End::Trouble(Trouble::NoStreaming) if follower.is_streaming => {
                debug!(kind = kind.name(), "the API server lists in pages only");
                follower.is_streaming = false;
                continue;
            }
            End::Trouble(trouble) => Some(trouble),
        };
        let mut wait = backoff.next();
        if let Some(trouble) = trouble {
            repeats = if last.as_ref() == Some(&trouble) { repeats + 1 } else { 0 };
            let borne = if matches!(trouble, Trouble::Busy(_)) { PATIENCE } else { 0 };
            if repeats == borne {
                warn!(kind = kind.name(), "{trouble}; will try again");
            }
            if let Trouble::Busy(Some(asked)) = &trouble {
                wait = wait.max(*asked);
            }
            if trouble.may_need_renewal() {
                connection.renew(generation).await;
            }
            if messages.send(Message::Troubled(kind, trouble.clone())).await.is_err() {
                return;
            }
            last = Some(trouble);
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = messages.closed() => return,
        }
    }
}

/// One kind, and how far it was followed.
struct Follower {
    query: Query,
    messages: mpsc::Sender<Message>,
    /// The resourceVersion that a watch goes on from; `None`: everything is to be listed.
    position: Option<String>,
    /// Whether everything that is there is asked for as the beginning of a watch, which costs neither side a copy of
    /// the whole (KEP-3157).
    is_streaming: bool,
}

impl Follower {
    fn new(query: Query, messages: mpsc::Sender<Message>) -> Self {
        Self { query, messages, position: None, is_streaming: true }
    }

    /// Lists if need be, then watches, until the watch ends.
    async fn follow(&mut self, client: &Client) -> End {
        let followed = match &self.position {
            None if self.is_streaming => self.stream(client, None).await,
            None => match self.list(client).await {
                Ok(version) => self.stream(client, Some(version)).await,
                Err(end) => Err(end),
            },
            Some(version) => self.stream(client, Some(version.clone())).await,
        };
        followed.err().unwrap_or(End::Closed)
    }

    /// Lists everything; the list's resourceVersion.
    async fn list(&mut self, client: &Client) -> Result<String, End> {
        let listing = self.query.list(client).await?;
        self.listed(listing).await
    }

    /// Watches from `version` on, or from the beginning of everything that is there.
    async fn stream(&mut self, client: &Client, version: Option<String>) -> Result<(), End> {
        let (least, spread) = WATCH_SECONDS;
        let parameters = WatchParams {
            label_selector: None,
            field_selector: self.query.fields.clone(),
            timeout: Some(least + fastrand::u32(..spread)),
            bookmarks: true,
            send_initial_events: version.is_none(),
        };
        let from = version.as_deref().unwrap_or("0");
        let request = self.query.request.watch(&parameters, from).map_err(unbuildable)?;
        let body = timeout(ANSWER, client.request_stream(request)).await.map_err(|_| too_slow())?;
        let body = body.map_err(|error| Trouble::of(&error))?;
        let mut staged = version.is_none().then(Listing::default);
        if staged.is_none() {
            self.messages.send(Message::Reached(self.query.kind, None)).await?;
        }
        let body = std::pin::pin!(body);
        let mut lines = Lines::new(body);
        loop {
            let line = timeout(SILENCE, lines.next()).await.map_err(|_| too_slow())?;
            let line = match line {
                Ok(Some(line)) => line,
                // Half a list is none.
                Ok(None) if staged.is_some() => return Err(cut_short().into()),
                Ok(None) => return Ok(()),
                Err(error) => return Err(Trouble::Unreachable(error.to_string()).into()),
            };
            let Line { event, object } = serde_json::from_str(line).map_err(|error| nonsense(&error))?;
            let raw = object.get();
            match (event, &mut staged) {
                ("ADDED" | "MODIFIED", Some(listing)) => self.query.stage(listing, raw),
                ("ADDED" | "MODIFIED", None) => self.changed(raw).await?,
                ("DELETED", None) => self.removed(raw).await?,
                ("BOOKMARK", Some(listing)) => {
                    let head = Head::of(raw);
                    if head.ends_initial_events() {
                        let mut listing = std::mem::take(listing);
                        listing.version = head.metadata.resource_version.unwrap_or_default();
                        self.listed(listing).await?;
                        staged = None;
                    }
                }
                ("BOOKMARK", None) => self.reached(Head::of(raw)).await?,
                ("ERROR", _) => return Err(refused(raw).into()),
                _ => return Err(Trouble::Unreachable(format!("an event of type {event:?}")).into()),
            }
        }
    }

    async fn listed(&mut self, listing: Listing) -> Result<String, End> {
        if listing.version.is_empty() {
            return Err(Trouble::Unreachable("a list without a resourceVersion".to_owned()).into());
        }
        let version = listing.version.clone();
        self.messages.send(Message::Listed(self.query.kind, Box::new(listing))).await?;
        self.position = Some(version.clone());
        Ok(version)
    }

    async fn changed(&mut self, raw: &str) -> Result<(), End> {
        let (message, version) = match decode::object(self.query.kind, raw, self.query.reader) {
            Ok(object) => {
                let version = object.metadata().resource_version.clone();
                (Message::Changed(object), version)
            }
            Err(broken) => {
                let version = broken.version.clone();
                (Message::Broken(self.query.kind, broken), version)
            }
        };
        self.pass_on(message, version).await
    }

    async fn removed(&mut self, raw: &str) -> Result<(), End> {
        let head = Head::of(raw);
        let version = head.metadata.resource_version.clone();
        self.pass_on(Message::Removed(self.query.kind, head.name(), version.clone()), version).await
    }

    async fn reached(&mut self, head: Head) -> Result<(), End> {
        let version = head.metadata.resource_version;
        self.pass_on(Message::Reached(self.query.kind, version.clone()), version).await
    }

    async fn pass_on(&mut self, message: Message, version: Option<String>) -> Result<(), End> {
        self.messages.send(message).await?;
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            self.position = Some(version);
        }
        Ok(())
    }
}

/// What an event of type ERROR means.
fn refused(raw: &str) -> Trouble {
    match serde_json::from_str::<::kube::core::Status>(raw) {
        Ok(status) => Trouble::of(&::kube::Error::Api(status.boxed())),
        Err(error) => nonsense(&error),
    }
}

fn cut_short() -> Trouble {
    Trouble::Unreachable("the API server ended a list early".to_owned())
}
