// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The kinds that FerroLB reads, by apiVersion and kind.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::{DeserializeError, Options};

use crate::api;
use crate::objects::Object;

/// A kind that FerroLB reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AddressPool,
    L2Advertisement,
    BGPPeer,
    BGPAdvertisement,
    BFDProfile,
    Community,
    FloatingIP,
    VirtualIP,
    Speaker,
    Service,
    EndpointSlice,
    Node,
    Namespace,
    Secret,
}

/// The kinds of our own group.
pub(super) const OWN: [&str; 9] = [
    "AddressPool",
    "L2Advertisement",
    "BGPAdvertisement",
    "BGPPeer",
    "BFDProfile",
    "Community",
    "FloatingIP",
    "VirtualIP",
    "Speaker",
];

impl Kind {
    /// The kind that a document names; `None` for those that FerroLB has no use for.
    pub(super) fn of(api_version: &str, kind: &str) -> Option<Self> {
        let own = api_version.strip_prefix(api::GROUP) == Some("/v1beta1");
        Some(match (api_version, kind) {
            (_, "AddressPool") if own => Self::AddressPool,
            (_, "L2Advertisement") if own => Self::L2Advertisement,
            (_, "BGPPeer") if own => Self::BGPPeer,
            (_, "BGPAdvertisement") if own => Self::BGPAdvertisement,
            (_, "BFDProfile") if own => Self::BFDProfile,
            (_, "Community") if own => Self::Community,
            (_, "FloatingIP") if own => Self::FloatingIP,
            (_, "VirtualIP") if own => Self::VirtualIP,
            (_, "Speaker") if own => Self::Speaker,
            ("v1", "Service") => Self::Service,
            ("v1", "Node") => Self::Node,
            ("v1", "Namespace") => Self::Namespace,
            ("v1", "Secret") => Self::Secret,
            ("discovery.k8s.io/v1", "EndpointSlice") => Self::EndpointSlice,
            _ => return None,
        })
    }

    /// Whether it is one of our own group, whose unknown fields are errors.
    pub(super) fn is_own(self) -> bool {
        !matches!(self, Self::Service | Self::EndpointSlice | Self::Node | Self::Namespace | Self::Secret)
    }

    /// Reads `input` as an object of this kind, and gives back also what was understood of it.
    pub(super) fn read(self, input: &Input<'_>) -> Result<(Object, serde_json::Value), ReadError> {
        match self {
            Self::AddressPool => input.read(Object::AddressPool),
            Self::L2Advertisement => input.read(Object::L2Advertisement),
            Self::BGPPeer => input.read(Object::BGPPeer),
            Self::BGPAdvertisement => input.read(Object::BGPAdvertisement),
            Self::BFDProfile => input.read(Object::BFDProfile),
            Self::Community => input.read(Object::Community),
            Self::FloatingIP => input.read(Object::FloatingIP),
            Self::VirtualIP => input.read(Object::VirtualIP),
            Self::Speaker => input.read(Object::Speaker),
            Self::Service => input.read(Object::Service),
            Self::EndpointSlice => input.read(Object::EndpointSlice),
            Self::Node => input.read(Object::Node),
            Self::Namespace => input.read(Object::Namespace),
            Self::Secret => input.read(Object::Secret),
        }
    }
}

/// Where an object is read from: a whole document, or an item of a List.
pub(super) enum Input<'a> {
    Text(&'a str),
    Item(serde_json::Value),
}

/// Why an object could not be read.
pub(super) enum ReadError {
    Yaml(Box<DeserializeError>),
    Json(serde_json::Error),
}

impl Input<'_> {
    fn read<T: Serialize + DeserializeOwned>(
        &self,
        wrap: fn(Arc<T>) -> Object,
    ) -> Result<(Object, serde_json::Value), ReadError> {
        let object: T = match self {
            Self::Text(text) => serde_saphyr::from_str_with_options(text, options())
                .map_err(|error| ReadError::Yaml(Box::new(error)))?,
            Self::Item(item) => T::deserialize(item).map_err(ReadError::Json)?,
        };
        let understood = serde_json::to_value(&object).map_err(ReadError::Json)?;
        Ok((wrap(Arc::new(object)), understood))
    }
}

/// How YAML is read: room for a List of ten thousand Services, and an end to alias bombs.
pub(super) fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_events: 16_000_000, max_nodes: 4_000_000, max_recorded_anchor_events: 20_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
    }
}
