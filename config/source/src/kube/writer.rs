// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Writes to the cluster. Each is one request, is not repeated, and shows in the view once it is confirmed.

mod body;
mod error;
mod outgoing;
mod status_of;

use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::api::{Layer2Owner, Speaker, VirtualIP, annotation};
use ferrolb_config::{MoveRequest, Object};
use http::Method;
use k8s_openapi::api::core::v1::{Service, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use error::WriteError;
use outgoing::{APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Outgoing, name, namespace, path, version};
pub use status_of::StatusOf;

use super::View;
use super::connection::Connection;
use super::decode;
use super::field_manager::{self, OPERATOR_MANAGER, SPEAKER_MANAGER, WITNESS_MANAGER};
use super::gauges::{Gauges, OfWrite};
use super::kind::{Kind, Name};
use super::prune::Reader;
use super::publish::Message;
use super::trouble::with_causes;
use crate::lease::Fence;

/// How long a write may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Writes to a cluster. Cheap to clone; writes of clones run side by side.
///
/// An object that is given must carry the metadata of the view that it was derived from: a write whose
/// `resourceVersion` is not the newest any more is refused with [`WriteError::Conflict`], and the view has, or is about
/// to get, the newer form.
#[derive(Clone, Debug)]
pub struct ClusterWriter {
    connection: Arc<Connection>,
    view: View,
    fence: Option<Fence>,
    gauges: Gauges,
}

impl ClusterWriter {
    pub(super) fn new(connection: Arc<Connection>, view: View, gauges: Gauges) -> Self {
        Self { connection, view, fence: None, gauges }
    }

    /// The same, but no write starts unless `fence` is open: for one who writes only while it leads.
    #[must_use]
    pub fn fenced(self, fence: Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// Creates a VirtualIP: its name is the lock on the address.
    ///
    /// # Errors
    /// [`WriteError::Exists`] when somebody else was first; others as [`WriteError`] says.
    pub async fn create_virtual_ip(&self, object: &VirtualIP) -> Result<Arc<VirtualIP>, WriteError> {
        let body = body::of(object)?;
        let stored = self.put(Kind::VirtualIP, Method::POST, path(Kind::VirtualIP, None, ""), body).await?;
        virtual_ip(stored)
    }

    /// Replaces a VirtualIP. Its status stays as the speakers wrote it.
    ///
    /// # Errors
    /// As [`WriteError`] says; without a resourceVersion [`WriteError::Invalid`].
    pub async fn replace_virtual_ip(&self, object: &VirtualIP) -> Result<Arc<VirtualIP>, WriteError> {
        version(&object.metadata)?;
        let body = body::of(object)?;
        let path = path(Kind::VirtualIP, None, name(&object.metadata)?);
        virtual_ip(self.put(Kind::VirtualIP, Method::PUT, path, body).await?)
    }

    /// Deletes a VirtualIP, if it is still the one that is given. Clear our finalizer first, by
    /// [`Self::replace_virtual_ip`], and give what that brought; with a finalizer left the object stays, marked.
    ///
    /// # Errors
    /// As [`WriteError`] says; [`WriteError::NotFound`] when it is gone already, and the view then knows.
    pub async fn delete_virtual_ip(&self, object: &VirtualIP) -> Result<(), WriteError> {
        let metadata = &object.metadata;
        let body = body::preconditions(metadata.uid.as_deref(), version(metadata)?);
        let path = path(Kind::VirtualIP, None, name(metadata)?);
        let gone = self.delete(Kind::VirtualIP, path, body, metadata).await;
        if matches!(gone, Err(WriteError::NotFound)) {
            let name = Name { namespace: String::new(), name: name(metadata)?.to_owned() };
            self.tell(Message::Deleted(Kind::VirtualIP, name, metadata.uid.clone())).await;
        }
        gone
    }

    /// Writes the addresses and the conditions of a Service's status: `metadata` is the Service's, `None` removes both.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn patch_service_status(
        &self,
        metadata: &ObjectMeta,
        status: Option<&ServiceStatus>,
    ) -> Result<Arc<Service>, WriteError> {
        let body = body::service_status(version(metadata)?, status)?;
        let path = path(Kind::Service, Some(namespace(metadata)?), name(metadata)?);
        service(self.merge(Kind::Service, &format!("{path}/status"), &body).await?)
    }

    /// Writes `spec.externalIPs` of a Service: `metadata` is the Service's.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn patch_service_external_ips(
        &self,
        metadata: &ObjectMeta,
        external_ips: &[String],
    ) -> Result<Arc<Service>, WriteError> {
        let body = body::external_ips(version(metadata)?, external_ips);
        let path = path(Kind::Service, Some(namespace(metadata)?), name(metadata)?);
        service(self.merge(Kind::Service, &path, &body).await?)
    }

    /// Merges `patch` (RFC 7396) into a Service as it is given by `metadata`, for one-off changes of its spec.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn merge_service(
        &self,
        metadata: &ObjectMeta,
        patch: Value,
    ) -> Result<Arc<Service>, WriteError> {
        let body = body::merge_with_version(version(metadata)?, patch);
        let path = path(Kind::Service, Some(namespace(metadata)?), name(metadata)?);
        service(self.merge(Kind::Service, &path, &body).await?)
    }

    /// Replaces the status of one of our kinds as a whole: `patch_status(&pool)`.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn patch_status<'a>(&self, of: impl Into<StatusOf<'a>>) -> Result<(), WriteError> {
        let (kind, metadata, status) = of.into().parts()?;
        let path = format!("{}/status", path(kind, metadata.namespace.as_deref(), name(metadata)?));
        let body = body::whole_status(metadata.resource_version.as_deref(), status);
        let request = Outgoing { content: JSON_PATCH, ..Outgoing::new(kind, Method::PATCH, path, body) };
        self.send_and_absorb(request).await.map(drop)
    }

    /// Enters the owner of an address on one segment into its VirtualIP, or takes the entry out again. Whoever enters
    /// last is shown; entries of other segments are not touched. An entry is taken out only of the form that is given:
    /// meanwhile it may have become another node's. `Ready` says whether an entry is left.
    ///
    /// # Errors
    /// As [`WriteError`] says; [`WriteError::Conflict`] when an entry is to be taken out of an older form.
    pub async fn apply_layer2_owner(
        &self,
        virtual_ip: &VirtualIP,
        segment: &str,
        owner: Option<&Layer2Owner>,
    ) -> Result<(), WriteError> {
        if owner.is_none() {
            version(&virtual_ip.metadata)?;
        }
        let body = body::layer2_owner(virtual_ip, segment, owner, Time(Timestamp::now()))?;
        let path = format!("{}/status", path(Kind::VirtualIP, None, name(&virtual_ip.metadata)?));
        self.apply(Kind::VirtualIP, path, &field_manager::of_segment(SPEAKER_MANAGER, segment), &body).await
    }

    /// Enters a condition about an address as a witness on one segment saw it.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn apply_testimony(
        &self,
        virtual_ip: &VirtualIP,
        segment: &str,
        seen: &Condition,
    ) -> Result<(), WriteError> {
        let name = name(&virtual_ip.metadata)?;
        let body = body::testimony(name, seen)?;
        let path = format!("{}/status", path(Kind::VirtualIP, None, name));
        self.apply(Kind::VirtualIP, path, &field_manager::of_segment(WITNESS_MANAGER, segment), &body).await
    }

    /// Creates the Speaker object of a node; give it an ownerReference to its Node. One that exists stays.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn create_speaker(&self, object: &Speaker) -> Result<(), WriteError> {
        let body = body::of(object)?;
        let request = Outgoing {
            manager: SPEAKER_MANAGER,
            ..Outgoing::new(Kind::Speaker, Method::POST, path(Kind::Speaker, None, ""), body)
        };
        match self.send_and_absorb(request).await {
            Ok(_) | Err(WriteError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the status of a Speaker. What was written before and is not given any more is removed.
    ///
    /// # Errors
    /// As [`WriteError`] says; [`WriteError::NotFound`] when the object has to be created first.
    pub async fn apply_speaker_status(&self, object: &Speaker) -> Result<(), WriteError> {
        let node = name(&object.metadata)?;
        let body = body::speaker_status(object)?;
        let path = format!("{}/status", path(Kind::Speaker, None, node));
        self.apply(Kind::Speaker, path, SPEAKER_MANAGER, &body).await
    }

    /// Asks the owners of an address to hand it over, or takes that back (`None`). Whoever asks last is heard.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn ask_to_move(&self, name: &str, request: Option<&MoveRequest>) -> Result<(), WriteError> {
        let text = request.map(MoveRequest::to_text).transpose();
        let text = text.map_err(|error| WriteError::Invalid(error.to_string()))?;
        self.annotate(Kind::VirtualIP, name, annotation::MOVE, text.as_deref()).await
    }

    /// Says that a Node is drained, or is so no more.
    ///
    /// # Errors
    /// As [`WriteError`] says.
    pub async fn drain_node(&self, name: &str, drained: bool) -> Result<(), WriteError> {
        self.annotate(Kind::Node, name, annotation::DRAIN, drained.then_some("true")).await
    }

    async fn annotate(
        &self,
        kind: Kind,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), WriteError> {
        let request =
            Outgoing::new(kind, Method::PATCH, path(kind, None, name), body::annotation(key, value));
        let request = Outgoing { content: MERGE_PATCH, manager: OPERATOR_MANAGER, ..request };
        self.send_and_absorb(request).await.map(drop)
    }

    /// Comes back when every write that has returned shows in the view's receivers.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        self.tell(Message::Settle(done)).await;
        // Without a view there is nothing to wait for.
        let _ = settled.await;
    }

    async fn put(&self, kind: Kind, method: Method, path: String, body: Value) -> Result<Object, WriteError> {
        self.send_and_absorb(Outgoing::new(kind, method, path, body)).await
    }

    async fn merge(&self, kind: Kind, path: &str, body: &Value) -> Result<Object, WriteError> {
        let request = Outgoing::new(kind, Method::PATCH, path.to_owned(), body.clone());
        self.send_and_absorb(Outgoing { content: MERGE_PATCH, ..request }).await
    }

    async fn apply(&self, kind: Kind, path: String, manager: &str, body: &Value) -> Result<(), WriteError> {
        let request = Outgoing::new(kind, Method::PATCH, path, body.clone());
        let request = Outgoing { content: APPLY_PATCH, manager, forced: true, ..request };
        self.send_and_absorb(request).await.map(drop)
    }

    async fn delete(
        &self,
        kind: Kind,
        path: String,
        body: Value,
        metadata: &ObjectMeta,
    ) -> Result<(), WriteError> {
        let answer = self.send(Outgoing::new(kind, Method::DELETE, path, body)).await?;
        // Whoever holds another finalizer keeps the object, and the answer is the object then; else it is a Status, or
        // the object as it was last.
        let kept = decode::object(kind, &answer, self.reader()).ok().filter(|object| {
            let metadata = object.metadata();
            metadata.deletion_timestamp.is_some()
                && metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty())
        });
        let message = match kept {
            Some(object) => Message::Wrote(object),
            None => {
                let namespace = metadata.namespace.clone().unwrap_or_default();
                let name = Name { namespace, name: name(metadata)?.to_owned() };
                Message::Deleted(kind, name, metadata.uid.clone())
            }
        };
        self.tell(message).await;
        Ok(())
    }

    async fn send_and_absorb(&self, request: Outgoing<'_>) -> Result<Object, WriteError> {
        let kind = request.kind;
        let answer = self.send(request).await?;
        let object = decode::object(kind, &answer, self.reader()).map_err(|broken| {
            WriteError::Unavailable(format!("the answer cannot be read: {}", broken.refusal.message))
        })?;
        self.tell(Message::Wrote(object.clone())).await;
        Ok(object)
    }

    async fn send(&self, request: Outgoing<'_>) -> Result<String, WriteError> {
        let (verb, resource) = (request.verb(), request.kind.plural());
        let sent = self.send_once(request).await;
        let outcome = sent.as_ref().map_or_else(WriteError::outcome, |_| "done");
        self.gauges.writes.get_or_create(&OfWrite { verb, resource, outcome }).inc();
        sent
    }

    async fn send_once(&self, request: Outgoing<'_>) -> Result<String, WriteError> {
        let (client, generation) = self.connection.client();
        let request = request.build()?;
        if self.fence.as_ref().is_some_and(|fence| !fence.is_open()) {
            return Err(WriteError::NotLeading);
        }
        let answered = timeout(TIMEOUT, async {
            let response = client.send(request).await?;
            let (parts, body) = response.into_parts();
            Ok::<_, ::kube::Error>((parts, body.collect_bytes().await?))
        });
        match answered.await {
            Err(_) => Err(WriteError::Timeout),
            Ok(Err(error)) => {
                self.connection.renew(generation).await;
                Err(WriteError::Unavailable(with_causes(&error)))
            }
            Ok(Ok((parts, body))) if parts.status.is_success() => String::from_utf8(body.to_vec())
                .map_err(|_| WriteError::Unavailable("the answer is no text".to_owned())),
            Ok(Ok((parts, body))) => {
                let error = WriteError::of(parts.status, &parts.headers, &body);
                if parts.status == http::StatusCode::UNAUTHORIZED {
                    self.connection.renew(generation).await;
                }
                Err(error)
            }
        }
    }

    fn reader(&self) -> Reader {
        self.view.get().map_or(Reader::Controller, |(_, reader)| *reader)
    }

    async fn tell(&self, message: Message) {
        if let Some((view, _)) = self.view.get() {
            // Without a reader nobody needs the view.
            let _ = view.send(message).await;
        }
    }
}

fn virtual_ip(object: Object) -> Result<Arc<VirtualIP>, WriteError> {
    match object {
        Object::VirtualIP(object) => Ok(object),
        other => Err(foreign(&other)),
    }
}

fn service(object: Object) -> Result<Arc<Service>, WriteError> {
    match object {
        Object::Service(object) => Ok(object),
        other => Err(foreign(&other)),
    }
}

fn foreign(object: &Object) -> WriteError {
    WriteError::Unavailable(format!("the answer is a {}", object.kind()))
}
