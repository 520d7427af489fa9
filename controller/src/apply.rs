// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a plan to writes: what differs from what is there, in an order in which the process may die after any write.
//!
//! The record comes first: a VirtualIP is written before a Service shows its address, and removed after no Service
//! shows it any more. So at every moment each address that is shown is recorded for the one who shows it.

mod order;
mod render;

use ferrolb_config::api::{AddressPool, L2Advertisement, VirtualIP};
use ferrolb_config::{ObjectRef, Objects, ServiceName};
use k8s_openapi::api::core::v1::Service;

pub use order::{Step, steps};
pub use render::Written;

/// One write. Carrying it out twice does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Records an address.
    PutVirtualIP(Box<VirtualIP>),
    /// Removes the record of an address.
    DeleteVirtualIP(String),
    /// Writes the status of a Service.
    PutServiceStatus(Box<Service>),
    /// Removes what we wrote to the status of a Service.
    DeleteServiceStatus(ServiceName),
    /// Writes the status of a pool.
    PutPoolStatus(Box<AddressPool>),
    /// Removes the status of a pool that is gone.
    DeletePoolStatus(String),
    /// Writes the status of an advertisement.
    PutL2AdvertisementStatus(Box<L2Advertisement>),
    /// Removes the status of an advertisement that is gone.
    DeleteL2AdvertisementStatus(String),
}

impl Write {
    /// The object that is written.
    pub fn object(&self) -> ObjectRef {
        let named =
            |kind: &str, name: &Option<String>| ObjectRef::cluster(kind, name.clone().unwrap_or_default());
        match self {
            Self::PutVirtualIP(object) => named("VirtualIP", &object.metadata.name),
            Self::DeleteVirtualIP(name) => ObjectRef::cluster("VirtualIP", name.clone()),
            Self::PutServiceStatus(object) => ObjectRef {
                namespace: object.metadata.namespace.clone(),
                ..named("Service", &object.metadata.name)
            },
            Self::DeleteServiceStatus(name) => ObjectRef::namespaced("Service", name),
            Self::PutPoolStatus(object) => named("AddressPool", &object.metadata.name),
            Self::DeletePoolStatus(name) => ObjectRef::cluster("AddressPool", name.clone()),
            Self::PutL2AdvertisementStatus(object) => named("L2Advertisement", &object.metadata.name),
            Self::DeleteL2AdvertisementStatus(name) => ObjectRef::cluster("L2Advertisement", name.clone()),
        }
    }

    /// Whether `objects` show the write. Until they do, they are older than it, and to plan from them would be to
    /// forget it. The status of an object that is gone shows nowhere and counts as shown.
    pub fn is_visible_in(&self, objects: &Objects) -> bool {
        match self {
            Self::PutVirtualIP(written) => written.metadata.name.as_ref().is_none_or(|name| {
                objects.virtual_ips.get(name).is_some_and(|object| object.spec == written.spec)
            }),
            Self::DeleteVirtualIP(name) => !objects.virtual_ips.contains_key(name),
            Self::PutServiceStatus(written) => {
                let shown = render::service_name(written).and_then(|name| objects.services.get(&name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::PutPoolStatus(written) => {
                let shown = written.metadata.name.as_ref().and_then(|name| objects.pools.get(name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::PutL2AdvertisementStatus(written) => {
                let shown =
                    written.metadata.name.as_ref().and_then(|name| objects.l2_advertisements.get(name));
                shown.is_none_or(|object| object.status == written.status)
            }
            Self::DeleteServiceStatus(name) => {
                let shown = objects.services.get(name).and_then(|object| object.status.as_ref());
                shown.is_none_or(|status| !render::has_our_condition(status))
            }
            // The status of what is gone shows nowhere.
            Self::DeletePoolStatus(_) | Self::DeleteL2AdvertisementStatus(_) => true,
        }
    }
}

/// What became of a list of steps.
#[derive(Debug)]
pub struct Outcome<E> {
    /// What was written.
    pub done: Vec<Write>,
    /// What could not be written, with the error.
    pub failed: Vec<(ObjectRef, E)>,
    /// How many steps were put off because they come after a failed one.
    pub put_off: usize,
}

/// Carries out `steps`. A step that fails holds up only those that must come after it.
pub fn carry_out<E>(steps: Vec<Step>, mut write: impl FnMut(&Write) -> Result<(), E>) -> Outcome<E> {
    let mut outcome = Outcome { done: Vec::new(), failed: Vec::new(), put_off: 0 };
    let mut carried_out: Vec<bool> = Vec::with_capacity(steps.len());
    for step in steps {
        let may_run = step.after.iter().all(|earlier| carried_out.get(*earlier) == Some(&true));
        let result = may_run.then(|| write(&step.write));
        carried_out.push(matches!(result, Some(Ok(()))));
        match result {
            Some(Ok(())) => outcome.done.push(step.write),
            Some(Err(error)) => outcome.failed.push((step.write.object(), error)),
            None => outcome.put_off += 1,
        }
    }
    outcome
}
