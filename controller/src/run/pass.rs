// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One pass: snapshot, plan, writes.

use ferrolb_config::{Objects, ServiceName, Snapshot};
use ferrolb_source::{StateError, StateFile, StateWriter};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::{debug, error};

use super::told::Told;
use crate::apply::{Write, Written, carry_out, steps};
use crate::plan::plan;

const SERVICES: &str = "services";
const POOLS: &str = "addresspools";
const L2_ADVERTISEMENTS: &str = "l2advertisements";
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
                (POOLS, None) => {
                    written.pools.insert(name);
                }
                (L2_ADVERTISEMENTS, None) => {
                    written.l2_advertisements.insert(name);
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
        let plan = plan(&snapshot);
        let steps = steps(&plan, objects, &self.written, &now());
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

/// The time to the second, as the API's timestamps have it.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

fn put(writer: &StateWriter, write: &Write) -> Result<(), StateError> {
    let status = |resource: &str, namespace: Option<String>, name: Option<String>| StateFile::Status {
        resource: resource.to_owned(),
        namespace,
        name: name.unwrap_or_default(),
    };
    let virtual_ip = |name: Option<String>| StateFile::VirtualIp(name.unwrap_or_default());
    let written = match write {
        Write::PutVirtualIP(object) => writer.put(&virtual_ip(object.metadata.name.clone()), &[object]),
        Write::DeleteVirtualIP(name) => writer.delete(&virtual_ip(Some(name.clone()))),
        Write::PutServiceStatus(object) => {
            let metadata = &object.metadata;
            writer.put(&status(SERVICES, metadata.namespace.clone(), metadata.name.clone()), &[object])
        }
        Write::DeleteServiceStatus(name) => {
            writer.delete(&status(SERVICES, Some(name.namespace.clone()), Some(name.name.clone())))
        }
        Write::PutPoolStatus(object) => {
            writer.put(&status(POOLS, None, object.metadata.name.clone()), &[object])
        }
        Write::DeletePoolStatus(name) => writer.delete(&status(POOLS, None, Some(name.clone()))),
        Write::PutL2AdvertisementStatus(object) => {
            writer.put(&status(L2_ADVERTISEMENTS, None, object.metadata.name.clone()), &[object])
        }
        Write::DeleteL2AdvertisementStatus(name) => {
            writer.delete(&status(L2_ADVERTISEMENTS, None, Some(name.clone())))
        }
    };
    written.map(drop)
}
