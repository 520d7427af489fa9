// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where writes go, as far as it decides what is to be written.

use std::collections::BTreeSet;

use ferrolb_config::ServiceName;

use super::{Judged, Write, render};

/// Where writes go.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A state folder. Statuses are files beside the objects, so those of objects that are gone have to be removed.
    Directory(&'a Written),
    /// An API server. A status is a part of its object and of nobody's else; records are guarded by a finalizer.
    Cluster,
}

/// The names of the objects whose status we have written to the state folder at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Services.
    pub services: BTreeSet<ServiceName>,
    /// FloatingIPs.
    pub floating_ips: BTreeSet<ServiceName>,
    /// AddressPools.
    pub pools: BTreeSet<String>,
    /// Objects that are judged as they stand.
    pub verdicts: BTreeSet<(Judged, String)>,
}

impl Written {
    /// Takes note of a write that was carried out.
    pub fn note(&mut self, write: &Write) {
        match write {
            Write::PutVirtualIP(_)
            | Write::DeleteVirtualIP(_)
            | Write::PutExternalIPs(_)
            | Write::PutVirtualIPStatus(_)
            | Write::PutSpeakerStatus(_) => {}
            Write::PutServiceStatus(object) => self.services.extend(render::name_of(&object.metadata)),
            Write::DeleteServiceStatus(name) => {
                self.services.remove(name);
            }
            Write::PutFloatingIPStatus(object) => self.floating_ips.extend(render::name_of(&object.metadata)),
            Write::DeleteFloatingIPStatus(name) => {
                self.floating_ips.remove(name);
            }
            Write::PutPoolStatus(object) => self.pools.extend(object.metadata.name.clone()),
            Write::DeletePoolStatus(name) => {
                self.pools.remove(name);
            }
            Write::PutVerdict(verdict) => {
                let name = verdict.metadata().name.clone();
                self.verdicts.extend(name.map(|name| (verdict.judged(), name)));
            }
            Write::DeleteVerdict(judged, name) => {
                self.verdicts.remove(&(*judged, name.clone()));
            }
        }
    }
}
