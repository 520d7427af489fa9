// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `spec.externalIPs`. The list is written as a whole, and only where it is wholly ours: the plan sees to that.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_config::{Objects, ServiceName};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::services::shown;
use crate::apply::{Target, Write};
use crate::plan::Plan;

/// The lists to write, by Service. In a folder the spec is the user's file, which nobody else writes.
pub(in crate::apply) fn lists_of_external_ips(
    plan: &Plan,
    objects: &Objects,
    target: Target<'_>,
) -> BTreeMap<ServiceName, Write> {
    if matches!(target, Target::Directory(_)) {
        return BTreeMap::new();
    }
    let differing = |(name, addresses): (&ServiceName, &Vec<IpAddr>)| {
        let service = objects.services.get(name)?;
        (external_ips(service) != *addresses).then(|| (name.clone(), put_external_ips(service, addresses)))
    };
    plan.external_ips.iter().filter_map(differing).collect()
}

/// The write that makes `addresses` the external addresses of a Service.
pub(in crate::apply) fn put_external_ips(object: &Service, addresses: &[IpAddr]) -> Write {
    let list: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let spec = ServiceSpec { external_ips: Some(list), ..ServiceSpec::default() };
    Write::PutExternalIPs(Box::new(Service {
        metadata: object.metadata.clone(),
        spec: Some(spec),
        status: None,
    }))
}

/// The external addresses of a Service.
pub(in crate::apply) fn external_ips(service: &Service) -> Vec<IpAddr> {
    let list = service.spec.as_ref().and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default();
    list.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Every address under which a Service can be reached from outside.
pub(crate) fn in_sight(service: &Service) -> BTreeSet<IpAddr> {
    shown(service).into_iter().chain(external_ips(service)).collect()
}
