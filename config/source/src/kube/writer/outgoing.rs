// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One request to the API server: its form, where it goes, in whose name.

use ::kube::client::Body;
use http::{Method, Request};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::WriteError;
use crate::kube::field_manager::FIELD_MANAGER;
use crate::kube::kind::Kind;

const JSON: &str = "application/json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(super) const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// One request.
pub(super) struct Outgoing<'a> {
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) content: &'static str,
    pub(super) manager: &'a str,
    /// Whether fields of other managers are taken over (server-side apply only).
    pub(super) forced: bool,
    pub(super) body: Value,
}

impl Outgoing<'_> {
    pub(super) fn new(kind: Kind, method: Method, path: String, body: Value) -> Self {
        Self { kind, method, path, content: JSON, manager: FIELD_MANAGER, forced: false, body }
    }

    /// The word of RBAC for it.
    pub(super) fn verb(&self) -> &'static str {
        match self.method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::DELETE => "delete",
            _ => "patch",
        }
    }

    pub(super) fn build(self) -> Result<Request<Body>, WriteError> {
        // A segment stands in a manager's name: of what it is made of, only these mean something in a URL.
        let manager = self.manager.replace('%', "%25").replace('/', "%2F").replace(':', "%3A");
        let mut uri = self.path;
        if self.method != Method::DELETE {
            uri = format!("{uri}?fieldManager={manager}");
        }
        if self.forced {
            uri.push_str("&force=true");
        }
        let body = serde_json::to_vec(&self.body).map_err(|error| WriteError::Invalid(error.to_string()))?;
        Request::builder()
            .method(self.method)
            .uri(uri)
            .header(http::header::CONTENT_TYPE, self.content)
            .body(Body::from(body))
            .map_err(|error| WriteError::Invalid(format!("no request can be made of it: {error}")))
    }
}

/// Where the API server has an object, or all of a namespace; an empty name means all.
pub(super) fn path(kind: Kind, namespace: Option<&str>, name: &str) -> String {
    let all = namespace.map_or_else(|| kind.path(), |namespace| kind.path_within(namespace));
    if name.is_empty() { all } else { format!("{all}/{name}") }
}

pub(super) fn name(metadata: &ObjectMeta) -> Result<&str, WriteError> {
    metadata.name.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| incomplete("name"))
}

pub(super) fn namespace(metadata: &ObjectMeta) -> Result<&str, WriteError> {
    metadata.namespace.as_deref().ok_or_else(|| incomplete("namespace"))
}

pub(super) fn version(metadata: &ObjectMeta) -> Result<&str, WriteError> {
    metadata.resource_version.as_deref().ok_or_else(|| incomplete("resourceVersion"))
}

fn incomplete(field: &str) -> WriteError {
    WriteError::Invalid(format!("the object has no metadata.{field}; it does not come from the cluster"))
}
