// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One write, with the object as it is sent.

use std::sync::Arc;

use ferrolb_config::api::{AddressPool, FloatingIP, Speaker, VirtualIP};
use ferrolb_config::{ObjectRef, Objects, ServiceName};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Judged, Verdict, render};

/// One write. Carrying it out twice does no harm.
///
/// An object to be written has the metadata of the object that it was derived from. Its resourceVersion says what the
/// decision was based on, and an API server refuses the write if the object has changed since.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Records an address. Without a resourceVersion it is a new object.
    PutVirtualIP(Box<VirtualIP>),
    /// Removes the record of an address.
    DeleteVirtualIP(Arc<VirtualIP>),
    /// Writes the status of a Service.
    PutServiceStatus(Box<Service>),
    /// Writes `spec.externalIPs` of a Service.
    PutExternalIPs(Box<Service>),
    /// Removes the status of a Service that is not ours any more, where statuses are files.
    DeleteServiceStatus(ServiceName),
    /// Writes the status of a FloatingIP.
    PutFloatingIPStatus(Box<FloatingIP>),
    /// Removes the status of a FloatingIP that is gone, where statuses are files.
    DeleteFloatingIPStatus(ServiceName),
    /// Writes the status of an address whose owner is gone.
    PutVirtualIPStatus(Box<VirtualIP>),
    /// Writes the status of a speaker that is gone.
    PutSpeakerStatus(Box<Speaker>),
    /// Writes the status of a pool.
    PutPoolStatus(Box<AddressPool>),
    /// Removes the status of a pool that is gone, where statuses are files.
    DeletePoolStatus(String),
    /// Writes the status of an object that is judged as it stands.
    PutVerdict(Verdict),
    /// Removes the status of one that is gone, where statuses are files.
    DeleteVerdict(Judged, String),
}

impl Write {
    /// The object that is written.
    pub fn object(&self) -> ObjectRef {
        let named = |kind: &str, metadata: &ObjectMeta| ObjectRef {
            kind: kind.to_owned(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone().unwrap_or_default(),
        };
        match self {
            Self::PutVirtualIP(object) => named("VirtualIP", &object.metadata),
            Self::DeleteVirtualIP(object) => named("VirtualIP", &object.metadata),
            Self::PutServiceStatus(object) | Self::PutExternalIPs(object) => {
                named("Service", &object.metadata)
            }
            Self::PutFloatingIPStatus(object) => named("FloatingIP", &object.metadata),
            Self::DeleteFloatingIPStatus(name) => ObjectRef::namespaced("FloatingIP", name),
            Self::PutVirtualIPStatus(object) => named("VirtualIP", &object.metadata),
            Self::PutSpeakerStatus(object) => named("Speaker", &object.metadata),
            Self::DeleteServiceStatus(name) => ObjectRef::namespaced("Service", name),
            Self::PutPoolStatus(object) => named("AddressPool", &object.metadata),
            Self::DeletePoolStatus(name) => ObjectRef::cluster("AddressPool", name.clone()),
            Self::PutVerdict(verdict) => named(verdict.judged().kind(), verdict.metadata()),
            Self::DeleteVerdict(judged, name) => ObjectRef::cluster(judged.kind(), name.clone()),
        }
    }

    /// The resourceVersion of the object that the write was derived from; `None` for a new one, and where there are
    /// no versions.
    pub fn version(&self) -> Option<&str> {
        let metadata = match self {
            Self::PutVirtualIP(object) => &object.metadata,
            Self::DeleteVirtualIP(object) => &object.metadata,
            Self::PutServiceStatus(object) | Self::PutExternalIPs(object) => &object.metadata,
            Self::PutFloatingIPStatus(object) => &object.metadata,
            Self::PutVirtualIPStatus(object) => &object.metadata,
            Self::PutSpeakerStatus(object) => &object.metadata,
            Self::PutPoolStatus(object) => &object.metadata,
            Self::PutVerdict(verdict) => verdict.metadata(),
            Self::DeleteServiceStatus(_)
            | Self::DeleteFloatingIPStatus(_)
            | Self::DeletePoolStatus(_)
            | Self::DeleteVerdict(..) => return None,
        };
        metadata.resource_version.as_deref()
    }

    /// Whether `objects` show the write. Until they do, they are older than it, and to plan from them would be to
    /// forget it. The status of an object that is gone shows nowhere and counts as shown.
    pub fn is_visible_in(&self, objects: &Objects) -> bool {
        match self {
            Self::PutVirtualIP(written) => written.metadata.name.as_ref().is_none_or(|name| {
                objects.virtual_ips.get(name).is_some_and(|object| object.spec == written.spec)
            }),
            Self::DeleteVirtualIP(written) => {
                written.metadata.name.as_ref().is_none_or(|name| !objects.virtual_ips.contains_key(name))
            }
            Self::PutServiceStatus(written) => {
                let shown = render::name_of(&written.metadata).and_then(|name| objects.services.get(&name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::PutPoolStatus(written) => {
                let shown = written.metadata.name.as_ref().and_then(|name| objects.pools.get(name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::PutVerdict(verdict) => verdict.is_visible_in(objects),
            Self::PutFloatingIPStatus(written) => {
                let shown =
                    render::name_of(&written.metadata).and_then(|name| objects.floating_ips.get(&name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::DeleteServiceStatus(name) => {
                let shown = objects.services.get(name).and_then(|object| object.status.as_ref());
                shown.is_none_or(|status| !render::has_our_condition(status))
            }
            Self::PutExternalIPs(written) => {
                let shown = render::name_of(&written.metadata).and_then(|name| objects.services.get(&name));
                shown.is_none_or(|object| render::external_ips(object) == render::external_ips(written))
            }
            Self::PutVirtualIPStatus(written) => {
                let shown = written.metadata.name.as_ref().and_then(|name| objects.virtual_ips.get(name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::PutSpeakerStatus(written) => {
                let shown = written.metadata.name.as_ref().and_then(|name| objects.speakers.get(name));
                shown.is_none_or(|object| object.status == written.status)
            }
            // The status of what is gone shows nowhere.
            Self::DeleteFloatingIPStatus(_) | Self::DeletePoolStatus(_) | Self::DeleteVerdict(..) => true,
        }
    }
}
