// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From `spec.externalIPs`, which Kubernetes gives up, to type LoadBalancer with the same addresses.
//!
//! The type and the class come first, then the controller gives the addresses and shows them, and the list is emptied
//! last: so the addresses are reachable all the time, and whoever stops in between leaves a Service that works.

mod decision;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use ferrolb_config::condition::{self, ADDRESSES_ASSIGNED};
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, ServiceName};
use ferrolb_source::kube::{Cluster, ClusterWriter, Interest, KubeOptions, WriteError};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use tokio::sync::watch;
use tokio::time::timeout;

pub use decision::{Move, decide};

use crate::apply::shown;

/// How long the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the controller may take to give the addresses.
const GIVEN: Duration = Duration::from_secs(30);
/// How often a write is made anew because the Service changed meanwhile.
const ATTEMPTS: usize = 5;

/// How far a migration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The Service is of type LoadBalancer and asks for its addresses.
    Asked,
    /// Its status shows them.
    Shown,
    /// `spec.externalIPs` is empty.
    Done,
}

/// One migration, decided and not begun.
#[derive(Debug)]
pub struct Migration {
    what: Move,
    view: watch::Receiver<Arc<Objects>>,
    writer: ClusterWriter,
}

impl Migration {
    /// Looks at the Service `name` and decides, for a controller that serves the Services of `scope`; writes nothing.
    ///
    /// # Errors
    /// The cluster cannot be used, or the addresses are not FerroLB's to move; the message says which and why.
    pub async fn prepare(options: KubeOptions, name: &ServiceName, scope: &Scope) -> anyhow::Result<Self> {
        let cluster = Cluster::connect(options).await.context("cannot use the cluster")?;
        let view = timeout(ANSWER, cluster.watch(Interest::Controller)).await;
        let view = view.context("the API server does not answer")?.context("cannot follow the cluster")?;
        let objects = Arc::clone(&view.borrow());
        let unknown: Vec<&str> = objects.freshness.unknown_of_addresses().collect();
        ensure!(unknown.is_empty(), "not installed, or not readable with your rights: {unknown:?}");
        let what = decide(&objects, name, scope, Timestamp::now()).map_err(|no| anyhow!("{no}"))?;
        Ok(Self { what, view, writer: cluster.writer() })
    }

    /// What will be done.
    pub fn decided(&self) -> &Move {
        &self.what
    }

    /// Does it, and tells how far it is.
    ///
    /// # Errors
    /// A write is refused, or the controller does not give the addresses. The list is not emptied then, and the
    /// addresses stay reachable; the same command goes on where it stopped.
    pub async fn carry_out(mut self, mut tell: impl FnMut(Progress)) -> anyhow::Result<()> {
        let (writer, patch) = (self.writer.clone(), self.what.patch());
        let ask = async |service: &Service| writer.merge_service(&service.metadata, patch.clone()).await;
        self.written(ask).await.context("making it a LoadBalancer")?;
        tell(Progress::Asked);
        self.until_shown().await?;
        tell(Progress::Shown);
        let writer = self.writer.clone();
        let empty = async |service: &Service| writer.patch_service_external_ips(&service.metadata, &[]).await;
        self.written(empty).await.context("emptying spec.externalIPs")?;
        tell(Progress::Done);
        Ok(())
    }

    /// Makes a write, anew from what is there when somebody else was faster, as long as the list is the one that was
    /// decided upon.
    async fn written(
        &mut self,
        write: impl AsyncFn(&Service) -> Result<Arc<Service>, WriteError>,
    ) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let service = self.service()?;
            ensure!(
                self.what.is_of(&service),
                "somebody else changed spec.externalIPs of {}",
                self.what.service
            );
            match write(&service).await {
                Err(WriteError::Conflict) => self.until_other_than(&service).await?,
                other => return other.map(drop).map_err(Into::into),
            }
        }
        bail!("somebody else keeps changing {}", self.what.service)
    }

    fn service(&self) -> anyhow::Result<Arc<Service>> {
        let view = self.view.borrow();
        let service = view.services.get(&self.what.service);
        service.cloned().with_context(|| format!("{} is gone", self.what.service))
    }

    /// Waits until the view holds another form of the Service.
    async fn until_other_than(&mut self, service: &Service) -> anyhow::Result<()> {
        let version = service.metadata.resource_version.as_deref();
        let is_other = |objects: &Arc<Objects>| {
            let held = objects.services.get(&self.what.service);
            held.is_none_or(|held| held.metadata.resource_version.as_deref() != version)
        };
        let seen = timeout(ANSWER, self.view.wait_for(is_other)).await.map(|seen| seen.map(drop));
        seen.context("the API server does not answer")?.context("the cluster is not followed any more")
    }

    async fn until_shown(&mut self) -> anyhow::Result<()> {
        let Move { service: name, addresses, .. } = &self.what;
        let wanted: BTreeSet<_> = addresses.iter().copied().collect();
        let has = |objects: &Arc<Objects>| {
            objects.services.get(name).is_some_and(|service| wanted.is_subset(&shown(service)))
        };
        let seen = timeout(GIVEN, self.view.wait_for(has)).await.map(|seen| seen.map(drop));
        if let Ok(seen) = seen {
            return seen.context("the cluster is not followed any more");
        }
        let service = self.service()?;
        let conditions = service.status.as_ref().and_then(|status| status.conditions.as_deref());
        let said = condition::find(conditions.unwrap_or_default(), ADDRESSES_ASSIGNED);
        let said = said.map_or("no controller answered; is it running?", |one| one.message.as_str());
        bail!("the controller has not given the addresses within {} s: {said}", GIVEN.as_secs())
    }
}
