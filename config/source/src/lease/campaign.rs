// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The driver: reads and writes the Lease as a [`Contender`] decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kube::Api;
use ::kube::api::PostParams;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::contender::{Contender, Decision, Record};
use super::{Campaign, DURATION, Fence, Leadership, RENEWAL};
use crate::kube::connection::Connection;
use crate::kube::trouble::Trouble;

/// How long one request may take.
const ANSWER: Duration = RENEWAL;

/// Stands for `lease` in `namespace` as `me` until `shutdown` holds `true` or its sender is gone, and then gives the
/// Lease back.
pub(crate) fn campaign(
    connection: Arc<Connection>,
    namespace: &str,
    lease: &str,
    me: String,
    shutdown: watch::Receiver<bool>,
) -> Campaign {
    let (sender, leadership) = watch::channel(Leadership::Following { holder: None });
    let fence = Fence::default();
    let candidate = Candidate {
        connection,
        namespace: namespace.to_owned(),
        lease: lease.to_owned(),
        contender: Contender::new(me),
        held: None,
        fence: fence.clone(),
        leadership: sender,
        last_error: None,
    };
    tokio::spawn(candidate.run(shutdown));
    Campaign { leadership, fence }
}

struct Candidate {
    connection: Arc<Connection>,
    namespace: String,
    lease: String,
    contender: Contender,
    /// The object as it was read or written last.
    held: Option<Lease>,
    fence: Fence,
    leadership: watch::Sender<Leadership>,
    last_error: Option<String>,
}

/// Why a request brought nothing.
enum Failure {
    /// Somebody else wrote first.
    Conflict,
    Trouble(String),
}

impl Candidate {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let wait = self.step().await;
            let stops = tokio::select! {
                () = sleep(wait) => false,
                // An error means that whoever wanted the candidate is gone.
                _ = shutdown.wait_for(|stop| *stop) => true,
            };
            if stops {
                return self.give_back().await;
            }
        }
    }

    /// Does what is to be done now; for how long there is nothing to do.
    async fn step(&mut self) -> Duration {
        let done = match self.contender.decide(Instant::now()) {
            Decision::Wait(wait) => return wait,
            Decision::Lost => {
                warn!(lease = self.lease, "lost the leadership");
                self.contender.stepped_down();
                Ok(())
            }
            Decision::Acquire | Decision::Renew => self.write().await,
            Decision::Look => self.read().await,
        };
        let done = match done {
            // Somebody else wrote: whether that was another leader is to be seen.
            Err(Failure::Conflict) => self.read().await,
            other => other,
        };
        match done {
            Ok(()) => self.last_error = None,
            Err(failure) => {
                self.contender.failed(Instant::now());
                self.warn_once(failure);
            }
        }
        self.tell();
        Duration::ZERO
    }

    /// Writes what the contender says.
    async fn write(&mut self) -> Result<(), Failure> {
        let now = Timestamp::now();
        let record = self.contender.next(now.to_string());
        let is_passing = self.contender.until().is_none();
        let spec = LeaseSpec {
            holder_identity: record.holder.clone(),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: i32::try_from(record.transitions).ok(),
            renew_time: Some(MicroTime(now)),
            acquire_time: if is_passing { Some(MicroTime(now)) } else { self.acquired_at() },
            ..LeaseSpec::default()
        };
        let sent = Instant::now();
        let stored = self.put(spec).await?;
        self.contender.wrote(record_of(Some(&stored)), sent, Instant::now());
        self.held = Some(stored);
        Ok(())
    }

    async fn put(&self, spec: LeaseSpec) -> Result<Lease, Failure> {
        let held = self.held.as_ref();
        let metadata = ObjectMeta {
            name: Some(self.lease.clone()),
            namespace: Some(self.namespace.clone()),
            ..held.map(|lease| lease.metadata.clone()).unwrap_or_default()
        };
        let lease = Lease { metadata: ObjectMeta { managed_fields: None, ..metadata }, spec: Some(spec) };
        let parameters = PostParams::default();
        self.ask(async |leases: Api<Lease>| match held {
            Some(_) => leases.replace(&self.lease, &parameters, &lease).await,
            None => leases.create(&parameters, &lease).await,
        })
        .await
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let lease = self.ask(async |leases: Api<Lease>| leases.get_opt(&self.lease).await).await?;
        self.contender.saw(record_of(lease.as_ref()), Instant::now());
        self.held = lease;
        Ok(())
    }

    async fn ask<T>(&self, request: impl AsyncFnOnce(Api<Lease>) -> ::kube::Result<T>) -> Result<T, Failure> {
        let (client, generation) = self.connection.client();
        let leases = Api::namespaced(client, &self.namespace);
        match timeout(ANSWER, request(leases)).await {
            Err(_) => Err(Failure::Trouble("the API server does not answer".to_owned())),
            Ok(Ok(answer)) => Ok(answer),
            // Of two who create it one is told that it exists; and who replaces what is gone has to look, too.
            Ok(Err(::kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {
                Err(Failure::Conflict)
            }
            Ok(Err(error)) => {
                let trouble = Trouble::of(&error);
                if trouble.may_need_renewal() {
                    self.connection.renew(generation).await;
                }
                Err(Failure::Trouble(trouble.to_string()))
            }
        }
    }

    /// Lets the next one begin at once.
    async fn give_back(mut self) {
        let leads = self.contender.until().is_some_and(|until| Instant::now() < until);
        self.contender.stepped_down();
        self.tell();
        if !leads {
            return;
        }
        let spec = LeaseSpec {
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: i32::try_from(self.contender.term()).ok(),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        match self.put(spec).await {
            Ok(_) => info!(lease = self.lease, "gave the lease back"),
            Err(Failure::Conflict) => info!(lease = self.lease, "the lease is somebody else's already"),
            Err(Failure::Trouble(why)) => warn!(lease = self.lease, why, "cannot give the lease back"),
        }
    }

    fn acquired_at(&self) -> Option<MicroTime> {
        self.held.as_ref()?.spec.as_ref()?.acquire_time.clone()
    }

    /// Tells the fence and the watchers who leads now.
    fn tell(&self) {
        let until = self.contender.until();
        self.fence.set(until);
        let holder = self.contender.holder();
        self.leadership.send_if_modified(|told| {
            let now = match (until, &told) {
                (Some(_), Leadership::Leading { .. }) => return false,
                (Some(_), Leadership::Following { .. }) => {
                    Leadership::Leading { since: Timestamp::now(), term: self.contender.term() }
                }
                (None, _) => Leadership::Following { holder: holder.map(str::to_owned) },
            };
            let is_news = *told != now;
            if is_news {
                info!(lease = self.lease, "{now}");
                *told = now;
            }
            is_news
        });
    }

    fn warn_once(&mut self, failure: Failure) {
        let why = match failure {
            Failure::Conflict => "others write it, too".to_owned(),
            Failure::Trouble(why) => why,
        };
        if self.last_error.as_ref() != Some(&why) {
            warn!(lease = self.lease, why, "cannot read or write the lease; will try again");
            self.last_error = Some(why);
        }
    }
}

fn record_of(lease: Option<&Lease>) -> Record {
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else { return Record::default() };
    let number = |value: Option<i32>| value.and_then(|value| u64::try_from(value).ok());
    Record {
        holder: spec.holder_identity.clone().filter(|holder| !holder.is_empty()),
        renewed: spec.renew_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
        transitions: number(spec.lease_transitions).unwrap_or_default(),
        duration: number(spec.lease_duration_seconds).map(Duration::from_secs),
    }
}
