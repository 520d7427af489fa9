// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the API server sends, read object by object: one that cannot be read does not harm the others.

use std::sync::Arc;

use ::kube::Resource;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::{Object, ObjectRef};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::kind::{Kind, Name};
use super::prune::{Prune, Reader};

/// One line of a watch.
#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type")]
    pub(crate) event: &'a str,
    #[serde(borrow)]
    pub(crate) object: &'a RawValue,
}

/// One page of a list.
#[derive(Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(default)]
    pub(crate) metadata: PageHead,
    #[serde(borrow, default)]
    pub(crate) items: Option<Vec<&'a RawValue>>,
}

/// The metadata of a list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageHead {
    #[serde(default)]
    pub(crate) resource_version: String,
    #[serde(default, rename = "continue")]
    pub(crate) continuation: Option<String>,
}

/// As much of an object as is needed when the whole cannot be read.
#[derive(Default, Deserialize)]
pub(crate) struct Head {
    #[serde(default)]
    pub(crate) metadata: HeadMetadata,
}

/// The metadata of a [`Head`].
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeadMetadata {
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) resource_version: Option<String>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Head {
    /// Reads the head of an object of any kind; empty where even that cannot be read.
    pub(crate) fn of(raw: &str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> Name {
        Name {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// Whether a bookmark says that everything that was there has been sent (KEP-3157).
    pub(crate) fn ends_initial_events(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.is_some_and(|all| all.contains_key("k8s.io/initial-events-end"))
    }
}

/// An object that cannot be read.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) name: Name,
    pub(crate) version: Option<String>,
    pub(crate) refusal: Refusal,
}

/// Reads one object and prunes it for `reader`.
pub(crate) fn object(kind: Kind, raw: &str, reader: Reader) -> Result<Object, Box<Broken>> {
    let read = match kind {
        Kind::AddressPool => one(raw, reader).map(Object::AddressPool),
        Kind::L2Advertisement => one(raw, reader).map(Object::L2Advertisement),
        Kind::BGPPeer => one(raw, reader).map(Object::BGPPeer),
        Kind::BGPAdvertisement => one(raw, reader).map(Object::BGPAdvertisement),
        Kind::BFDProfile => one(raw, reader).map(Object::BFDProfile),
        Kind::Community => one(raw, reader).map(Object::Community),
        Kind::FloatingIP => one(raw, reader).map(Object::FloatingIP),
        Kind::VirtualIP => one(raw, reader).map(Object::VirtualIP),
        Kind::Speaker => one(raw, reader).map(Object::Speaker),
        Kind::Service => one(raw, reader).map(Object::Service),
        Kind::EndpointSlice => one(raw, reader).map(Object::EndpointSlice),
        Kind::Node => one(raw, reader).map(Object::Node),
        Kind::Namespace => one(raw, reader).map(Object::Namespace),
        Kind::Secret => one(raw, reader).map(Object::Secret),
        Kind::MetalLBSecret => one(raw, reader).map(Object::MetalLBSecret),
        Kind::MetalLBPool => one(raw, reader).map(Object::MetalLBPool),
        Kind::MetalLBL2Advertisement => one(raw, reader).map(Object::MetalLBL2Advertisement),
        Kind::MetalLBBGPPeer => one(raw, reader).map(Object::MetalLBBGPPeer),
        Kind::MetalLBBGPAdvertisement => one(raw, reader).map(Object::MetalLBBGPAdvertisement),
        Kind::MetalLBBFDProfile => one(raw, reader).map(Object::MetalLBBFDProfile),
        Kind::MetalLBCommunity => one(raw, reader).map(Object::MetalLBCommunity),
    };
    read.map_err(|error| {
        let head = Head::of(raw);
        let name = head.name();
        let reference = ObjectRef {
            kind: kind.name().to_owned(),
            namespace: kind.is_namespaced().then(|| name.namespace.clone()),
            name: name.name.clone(),
        };
        let message = format!("the object cannot be read: {error}");
        let remedy = "Correct it, or run a FerroLB that knows it; its last readable form stays in force.";
        let refusal = Refusal::error(Reason::MalformedDocument, reference, message).remedy(remedy);
        Box::new(Broken { name, version: head.metadata.resource_version, refusal })
    })
}

fn one<K: Prune + DeserializeOwned + Resource>(
    raw: &str,
    reader: Reader,
) -> Result<Arc<K>, serde_json::Error> {
    let mut object: K = serde_json::from_str(raw)?;
    if object.meta().name.as_ref().is_none_or(String::is_empty) {
        return Err(serde::de::Error::missing_field("metadata.name"));
    }
    object.prune(reader);
    Ok(Arc::new(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_is_named_with_the_field_at_fault() {
        let raw = r#"{"metadata":{"name":"web","resourceVersion":"7"},"spec":{"addresses":"192.0.2.0/24"}}"#;
        let broken = object(Kind::AddressPool, raw, Reader::Controller).unwrap_err();
        assert_eq!((broken.name.name.as_str(), broken.version.as_deref()), ("web", Some("7")));
        let text = broken.refusal.to_string();
        assert!(
            text.starts_with("AddressPool web: the object cannot be read: invalid type: string"),
            "{text}"
        );
    }

    #[test]
    fn an_object_without_a_name_or_that_is_no_object_is_refused_as_well() {
        for raw in [r#"{"metadata":{}}"#, r#"{"metadata":{"name":""}}"#, "[]", "17", r#"{"metadata":5}"#] {
            assert!(object(Kind::Service, raw, Reader::Controller).is_err(), "{raw}");
        }
    }

    #[test]
    fn the_bookmark_that_ends_the_initial_events_is_known_by_its_annotation() {
        let end =
            r#"{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}"#;
        assert!(Head::of(end).ends_initial_events());
        assert!(!Head::of(r#"{"metadata":{"resourceVersion":"9"}}"#).ends_initial_events());
    }
}
