// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! VirtualIPs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::address::parse_virtual_ip_name;
use ferrolb_config::api::{IN_USE, VirtualIP, VirtualIPSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::apply::{Target, Write};
use crate::plan::Plan;

/// The VirtualIPs to write, by address.
pub(in crate::apply) fn records(
    plan: &Plan,
    objects: &Objects,
    target: Target<'_>,
) -> BTreeMap<IpAddr, Write> {
    let mut writes = BTreeMap::new();
    for (address, (name, spec)) in plan.virtual_ips.keys().zip(plan.records()) {
        let base = objects.virtual_ips.get(&name).map(Arc::as_ref);
        if base.is_none_or(|base| base.spec != *spec || lacks_guard(&base.metadata, target)) {
            writes.insert(*address, Write::PutVirtualIP(Box::new(record(name, spec, base, target))));
        }
    }
    for (name, object) in &objects.virtual_ips {
        // A record that cannot be read is refused, not removed: nobody knows whose it is.
        let Some(address) =
            parse_virtual_ip_name(name).filter(|address| object.spec.address.parse() == Ok(*address))
        else {
            continue;
        };
        if !plan.virtual_ips.contains_key(&address) {
            writes.insert(address, Write::DeleteVirtualIP(Arc::clone(object)));
        }
    }
    writes
}

fn record(name: String, spec: &VirtualIPSpec, base: Option<&VirtualIP>, target: Target<'_>) -> VirtualIP {
    let mut object = VirtualIP::new(&name, spec.clone());
    if let Some(base) = base {
        object.metadata = base.metadata.clone();
    }
    if lacks_guard(&object.metadata, target) {
        object.metadata.finalizers.get_or_insert_default().push(IN_USE.to_owned());
    }
    object
}

/// Whether the finalizer has to be added. The API server takes none any more for an object that is being deleted.
fn lacks_guard(metadata: &ObjectMeta, target: Target<'_>) -> bool {
    matches!(target, Target::Cluster)
        && metadata.deletion_timestamp.is_none()
        && !metadata.finalizers.iter().flatten().any(|finalizer| finalizer == IN_USE)
}
