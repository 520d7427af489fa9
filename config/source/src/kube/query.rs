// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One kind as a question to the API server: everything that is there, page by page.

use std::time::Duration;

use ::kube::Client;
use ::kube::core::Request;
use ::kube::core::params::{ListParams, VersionMatch};
use ferrolb_config::snapshot::PASSWORD_TYPE;
use tokio::time::timeout;

use super::decode::{self, Page};
use super::kind::{Kind, Scope};
use super::prune::Reader;
use super::store::Listing;
use super::trouble::{Trouble, with_causes};

/// How long a page of a list, or the beginning of a watch, may take.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// How many objects one page of a list holds, where the API server makes pages.
const PAGE: u32 = 500;

/// Which objects of a kind are wanted, and by whom.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) kind: Kind,
    pub(super) reader: Reader,
    pub(super) request: Request,
    /// A field selector.
    pub(super) fields: Option<String>,
}

impl Query {
    pub(super) fn new(kind: Kind, reader: Reader, scope: &Scope) -> Self {
        let (path, fields) = match scope {
            Scope::All => (kind.path(), None),
            Scope::Named(name) => (kind.path(), Some(format!("metadata.name={name}"))),
            Scope::Within(namespace) => (kind.path_within(namespace), None),
            Scope::Passwords(namespace) => {
                (kind.path_within(namespace), Some(format!("type={PASSWORD_TYPE}")))
            }
        };
        Self { kind, reader, request: Request::new(path), fields }
    }

    /// Everything that is there.
    pub(super) async fn list(&self, client: &Client) -> Result<Listing, Trouble> {
        let mut listing = Listing::default();
        let mut continuation: Option<String> = None;
        loop {
            let any = continuation.is_none().then(|| "0".to_owned());
            let parameters = ListParams {
                field_selector: self.fields.clone(),
                limit: Some(PAGE),
                version_match: any.as_ref().map(|_| VersionMatch::NotOlderThan),
                resource_version: any,
                continue_token: continuation.take(),
                ..ListParams::default()
            };
            let request = self.request.list(&parameters).map_err(unbuildable)?;
            let text = timeout(ANSWER, client.request_text(request)).await.map_err(|_| too_slow())?;
            let text = text.map_err(|error| Trouble::of(&error))?;
            let page: Page<'_> = serde_json::from_str(&text).map_err(|error| nonsense(&error))?;
            for raw in page.items.iter().flatten() {
                self.stage(&mut listing, raw.get());
            }
            continuation = page.metadata.continuation.filter(|token| !token.is_empty());
            if continuation.is_none() {
                listing.version = page.metadata.resource_version;
                return Ok(listing);
            }
        }
    }

    /// Adds one object, or why it cannot be read.
    pub(super) fn stage(&self, listing: &mut Listing, raw: &str) {
        match decode::object(self.kind, raw, self.reader) {
            Ok(object) => listing.objects.insert(object),
            Err(broken) => listing.broken.push(*broken),
        }
    }
}

pub(super) fn nonsense(error: &serde_json::Error) -> Trouble {
    Trouble::Unreachable(format!("what the API server sent cannot be read: {error}"))
}

pub(super) fn too_slow() -> Trouble {
    Trouble::Unreachable("the API server does not answer".to_owned())
}

pub(super) fn unbuildable(error: ::kube::core::request::Error) -> Trouble {
    Trouble::Unreachable(with_causes(&::kube::Error::BuildRequest(error)))
}
