// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One pass: snapshot, plan, writes.

use ferrolb_config::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, VirtualIP,
};
use ferrolb_config::{Objects, ServiceName, Snapshot};
use ferrolb_source::{StateError, StateFile, StateWriter};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tracing::{debug, error};

use super::told::Told;
use crate::apply::{Judged, Target, Verdict, Write, Written, carry_out, steps};
use crate::plan::plan;
use crate::run::now;

const SERVICES: &str = "services";
const FLOATING_IPS: &str = "floatingips";
const POOLS: &str = "addresspools";
/// How many failed writes of one pass are told one by one; a full disk fails them all.
const MOST_TOLD: usize = 5;

/// Makes passes. The only writer of the controller's state.
#[derive(Debug)]
pub(super) struct Worker {
    writer: StateWriter,
    written: Written,
    told: Told,
}

/// What came of a pass.
pub(super) struct Passed {
    /// What was written.
    pub(super) done: Vec<Write>,
    /// Whether everything that was to be written is.
    pub(super) is_complete: bool,
}

enum Failure {
    Stopped,
    State(StateError),
}

impl Worker {
    /// Takes over what predecessors wrote.
    pub(super) fn new(writer: StateWriter) -> Result<Self, StateError> {
        let mut written = Written::default();
        for file in writer.statuses()? {
            let StateFile::Status { resource, namespace, name } = file else { continue };
            match (resource.as_str(), namespace) {
                (SERVICES, Some(namespace)) => {
                    written.services.insert(ServiceName { namespace, name });
                }
                (FLOATING_IPS, Some(namespace)) => {
                    written.floating_ips.insert(ServiceName { namespace, name });
                }
                (POOLS, None) => {
                    written.pools.insert(name);
                }
                (resource, None) => {
                    let judged = Judged::ALL.iter().find(|judged| judged.resource() == resource);
                    written.verdicts.extend(judged.map(|judged| (*judged, name)));
                }
                _ => {}
            }
        }
        Ok(Self { writer, written, told: Told::default() })
    }

    /// Plans from `objects` and writes the difference, until `is_stopped`.
    pub(super) fn pass(&mut self, objects: &Objects, is_stopped: impl Fn() -> bool) -> Passed {
        let started = std::time::Instant::now();
        let snapshot = Snapshot::build(objects);
        let plan = plan(&snapshot, Timestamp::now());
        let steps = steps(&plan, objects, Target::Directory(&self.written), &now());
        let planned = started.elapsed();
        let outcome = carry_out(steps, |write| {
            if is_stopped() {
                return Err(Failure::Stopped);
            }
            put(&self.writer, write).map_err(Failure::State)?;
            self.written.note(write);
            Ok(())
        });
        let is_complete = outcome.failed.is_empty();
        let errors: Vec<_> = outcome
            .failed
            .iter()
            .filter_map(|(object, failure)| match failure {
                Failure::Stopped => None,
                Failure::State(error) => Some((object, error)),
            })
            .collect();
        for (object, error) in errors.iter().take(MOST_TOLD) {
            error!(%object, "{error}; it will be tried again");
        }
        if let Some(more) = errors.len().checked_sub(MOST_TOLD + 1) {
            let more = more + 1;
            error!(more, put_off = outcome.put_off, "more writes failed");
        }
        debug!(
            services = plan.services.len(),
            writes = outcome.done.len(),
            planned_us = u64::try_from(planned.as_micros()).unwrap_or(u64::MAX),
            "pass"
        );
        self.told.tell(&plan);
        Passed { done: outcome.done, is_complete }
    }
}

fn put(writer: &StateWriter, write: &Write) -> Result<(), StateError> {
    let status = |resource: &str, metadata: &ObjectMeta| StateFile::Status {
        resource: resource.to_owned(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    let cluster_status = |resource: &str, name: &str| StateFile::Status {
        resource: resource.to_owned(),
        namespace: None,
        name: name.to_owned(),
    };
    let virtual_ip =
        |object: &VirtualIP| StateFile::VirtualIp(object.metadata.name.clone().unwrap_or_default());
    let written = match write {
        Write::PutVirtualIP(object) => writer.put(&virtual_ip(object), &[object]),
        Write::DeleteVirtualIP(object) => writer.delete(&virtual_ip(object)),
        Write::PutServiceStatus(object) => {
            let file = status(SERVICES, &object.metadata);
            writer.put(&file, &[Service { metadata: identity(&object.metadata), ..object.as_ref().clone() }])
        }
        // Not written to a folder: the spec is the user's, and speakers report in files of their own.
        Write::PutExternalIPs(_) | Write::PutVirtualIPStatus(_) | Write::PutSpeakerStatus(_) => return Ok(()),
        Write::DeleteServiceStatus(name) => writer.delete(&status(SERVICES, &metadata(name))),
        Write::PutFloatingIPStatus(object) => {
            let file = status(FLOATING_IPS, &object.metadata);
            writer
                .put(&file, &[FloatingIP { metadata: identity(&object.metadata), ..object.as_ref().clone() }])
        }
        Write::DeleteFloatingIPStatus(name) => writer.delete(&status(FLOATING_IPS, &metadata(name))),
        Write::PutPoolStatus(object) => {
            let file = status(POOLS, &object.metadata);
            writer.put(
                &file,
                &[AddressPool { metadata: identity(&object.metadata), ..object.as_ref().clone() }],
            )
        }
        Write::DeletePoolStatus(name) => writer.delete(&cluster_status(POOLS, name)),
        Write::PutVerdict(verdict) => {
            let file = status(verdict.judged().resource(), verdict.metadata());
            let metadata = identity(verdict.metadata());
            match verdict {
                Verdict::L2Advertisement(it) => {
                    writer.put(&file, &[L2Advertisement { metadata, ..*it.clone() }])
                }
                Verdict::BGPPeer(it) => writer.put(&file, &[BGPPeer { metadata, ..*it.clone() }]),
                Verdict::BGPAdvertisement(it) => {
                    writer.put(&file, &[BGPAdvertisement { metadata, ..*it.clone() }])
                }
                Verdict::BFDProfile(it) => writer.put(&file, &[BFDProfile { metadata, ..*it.clone() }]),
                Verdict::Community(it) => writer.put(&file, &[Community { metadata, ..*it.clone() }]),
            }
        }
        Write::DeleteVerdict(judged, name) => writer.delete(&cluster_status(judged.resource(), name)),
    };
    written.map(drop)
}

fn metadata(name: &ServiceName) -> ObjectMeta {
    let ServiceName { namespace, name } = name.clone();
    ObjectMeta { namespace: Some(namespace), name: Some(name), ..ObjectMeta::default() }
}

/// Namespace and name: the rest stands in the manifest, and a status file says nothing about it.
fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta { namespace: metadata.namespace.clone(), name: metadata.name.clone(), ..ObjectMeta::default() }
}
