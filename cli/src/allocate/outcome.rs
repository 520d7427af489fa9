// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What `ferrolb allocate` gave, and to whom.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{AddressMode, ConsumerKind, VirtualIP};
use ferrolb_config::reason::Refusal;
use ferrolb_config::{ObjectRef, ServiceName};
use ferrolb_controller::Plan;
use ferrolb_controller::plan::ServicePlan;
use serde::Serialize;

use crate::columns::Columns;
use crate::finding::Finding;

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// It is as it was.
    Kept,
    /// It is new.
    Written(Box<VirtualIP>),
    /// It says something else than before.
    Rewritten(Box<VirtualIP>),
    /// Nobody has the address any more.
    Removed,
}

impl Change {
    fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Written(_) => "new",
            Self::Rewritten(_) => "changed",
            Self::Removed => "removed",
        }
    }
}

/// The shape of `ferrolb allocate -o json|yaml`. Fields may be added; none is renamed or removed.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// Whether nothing was written.
    dry_run: bool,
    /// The addresses, in numeric order, IPv4 first.
    addresses: Vec<Given>,
    /// Records that were removed, by their names.
    removed: Vec<String>,
    /// Who lacks what it asks for, and why.
    pub(super) lacking: Vec<Finding>,
}

/// One address.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Given {
    /// The address.
    address: String,
    /// The pool that it is of.
    pool: String,
    /// Who has it, as `Kind namespace/name`, the oldest first.
    consumers: Vec<String>,
    /// How a node is to hold it.
    mode: AddressMode,
    /// `new`, `kept` or `changed`.
    record: &'static str,
    /// Nobody uses it; it is kept for them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    released: bool,
}

impl Outcome {
    pub(super) fn new(plan: &Plan, changes: &BTreeMap<String, Change>, dry_run: bool) -> Self {
        let given = plan.virtual_ips.iter().map(|(address, spec)| Given {
            address: address.to_string(),
            pool: spec.pool.clone(),
            consumers: spec.consumers.iter().map(|user| user.identity().object().to_string()).collect(),
            mode: spec.mode,
            record: changes.get(&virtual_ip_name(*address)).map_or("kept", Change::word),
            released: spec.released_at.is_some(),
        });
        let removed = changes.iter().filter(|(_, change)| **change == Change::Removed);
        Self {
            dry_run,
            addresses: given.collect(),
            removed: removed.map(|(name, _)| name.clone()).collect(),
            lacking: lacking(plan),
        }
    }

    /// Writes the outcome for people.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut columns = Columns::new(vec!["ADDRESS", "FOR", "POOL", "MODE", "RECORD"]);
        for given in &self.addresses {
            let mut users = given.consumers.join(", ");
            if given.released {
                users.push_str(" (gave it up)");
            }
            let cells = [given.address.clone(), users, given.pool.clone(), given.mode.to_string()];
            columns.push(cells.into_iter().chain([given.record.to_owned()]).collect());
        }
        if columns.is_empty() {
            writeln!(out, "Nobody asks for an address.")?;
        } else {
            columns.write(out)?;
        }
        for name in &self.removed {
            writeln!(out, "removed: the VirtualIP {name}, which nobody has any more")?;
        }
        self.lacking.iter().try_for_each(|finding| finding.write_text(out))?;
        if self.dry_run {
            writeln!(out, "Nothing was written (--dry-run).")?;
        }
        Ok(())
    }
}

fn lacking(plan: &Plan) -> Vec<Finding> {
    let of_services = plan.services.iter().filter_map(|(name, service)| match service {
        ServicePlan::Ours { refusal, .. } | ServicePlan::External { refusal, .. } => {
            Some((ConsumerKind::Service, name, refusal.as_ref()?))
        }
        ServicePlan::Foreign { refusal } => Some((ConsumerKind::Service, name, refusal)),
        ServicePlan::Released => None,
    });
    let of_floating_ips = plan
        .floating_ips
        .iter()
        .filter_map(|(name, plan)| Some((ConsumerKind::FloatingIP, name, plan.refusal.as_ref()?)));
    let finding = |(kind, name, refusal): (ConsumerKind, &ServiceName, &Refusal)| {
        let object = Some(ObjectRef::namespaced(kind.as_str(), name));
        Finding::from(&Refusal { object, ..refusal.clone() })
    };
    of_services.chain(of_floating_ips).map(finding).collect()
}
