// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a Service to what belongs to it: the addresses that record it, and its EndpointSlices. Both take a few words an
//! entry: names are not kept a second time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ferrolb_config::api::VirtualIPSpec;
use ferrolb_config::objects::DEFAULT_NAMESPACE;
use ferrolb_config::snapshot::service_of;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The addresses that record a Service as their user, by a digest of its name: of two Services with one digest each is
/// said to use the addresses of both, so that now and then one too many is decided anew. A FloatingIP counts as a Service of
/// its name.
#[derive(Debug, Default)]
pub(super) struct Consumers(BTreeSet<(u64, IpAddr)>);

impl Consumers {
    pub(super) fn add(&mut self, address: IpAddr, spec: &VirtualIPSpec) {
        self.0.extend(digests(spec).map(|digest| (digest, address)));
    }

    pub(super) fn remove(&mut self, address: IpAddr, spec: &VirtualIPSpec) {
        for digest in digests(spec) {
            self.0.remove(&(digest, address));
        }
    }

    pub(super) fn addresses_of(&self, namespace: &str, name: &str) -> impl Iterator<Item = IpAddr> {
        let digest = digest(namespace, name);
        let (least, greatest) =
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        self.0.range((digest, least)..=(digest, greatest)).map(|(_, address)| *address)
    }
}

fn digests(spec: &VirtualIPSpec) -> impl Iterator<Item = u64> {
    spec.consumers.iter().map(|consumer| digest(&consumer.namespace, &consumer.name))
}

fn digest(namespace: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    hasher.finish()
}

/// The EndpointSlices of each Service: all slices, in the order of the Services that they belong to.
#[derive(Debug, Default)]
pub(super) struct Slices(Vec<Arc<EndpointSlice>>);

impl Slices {
    /// Adds a slice, if it belongs to a Service; its namespace and name.
    pub(super) fn add<'a>(&mut self, slice: &'a Arc<EndpointSlice>) -> Option<(&'a str, &'a str)> {
        let service = service(slice)?;
        let position = self.0.partition_point(|other| self::service(other) <= Some(service));
        self.0.insert(position, Arc::clone(slice));
        Some(service)
    }

    /// Takes out a slice that was added; the namespace and name of its Service.
    pub(super) fn remove<'a>(&mut self, slice: &'a Arc<EndpointSlice>) -> Option<(&'a str, &'a str)> {
        let service = service(slice)?;
        let begin = self.0.partition_point(|other| self::service(other) < Some(service));
        let mut rest = self.0.iter().skip(begin);
        if let Some(position) = rest.position(|other| Arc::ptr_eq(other, slice)) {
            self.0.remove(begin + position);
        }
        Some(service)
    }

    pub(super) fn of(&self, namespace: &str, name: &str) -> impl Iterator<Item = &EndpointSlice> {
        let begin = self.0.partition_point(|slice| service(slice) < Some((namespace, name)));
        let rest = self.0.iter().skip(begin);
        rest.take_while(move |slice| service(slice) == Some((namespace, name))).map(Arc::as_ref)
    }
}

/// The namespace and name of the Service that a slice belongs to.
fn service(slice: &EndpointSlice) -> Option<(&str, &str)> {
    Some((slice.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE), service_of(slice)?))
}
