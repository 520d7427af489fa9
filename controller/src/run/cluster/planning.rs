// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From a view to steps, on a thread of its own, so that writes and the lease go on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::reason::Refusal;
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Objects, ServiceName, Snapshot};
use ferrolb_source::pace::Work;
use jiff::Timestamp;
use tracing::debug;

use crate::apply::{PATIENCE, Step, Target, may_depart, steps};
use crate::plan::{ServicePlan, plan};
use crate::run::now;

/// The kinds without which nobody can tell whose an address is.
const NEEDED: [&str; 4] = ["AddressPool", "VirtualIP", "Service", "Namespace"];

/// What a view calls for.
pub(super) struct Planned {
    /// The view.
    pub(super) view: Arc<Objects>,
    /// What has to be written.
    pub(super) steps: Vec<Step>,
    /// Services that others serve.
    pub(super) foreign: Vec<(ServiceName, Refusal)>,
    /// In how long to plan again though nothing changes.
    pub(super) deadline: Option<Duration>,
    /// The processor time that it took.
    pub(super) took: Duration,
}

/// Plans from `view`.
pub(super) fn planned(view: Arc<Objects>, scope: &Scope) -> Planned {
    let work = Work::begin();
    let snapshot = Snapshot::build_within(&view, scope);
    let clock = Timestamp::now();
    let plan = plan(&snapshot, clock);
    let released = plan.next_deadline.map(|deadline| {
        // To the next whole second: what is compared has no smaller parts.
        Duration::try_from(deadline.duration_since(clock)).unwrap_or_default() + Duration::from_secs(1)
    });
    let departed = may_depart(&view, &now()).then_some(PATIENCE);
    let deadline = [released, departed].into_iter().flatten().min();
    let steps = steps(&plan, &view, Target::Cluster, &now());
    let services = plan.services.len();
    let foreign = plan.services.iter().filter_map(|(name, service)| match service {
        ServicePlan::Foreign { refusal } => Some((name.clone(), refusal.clone())),
        _ => None,
    });
    let foreign = foreign.collect();
    drop((snapshot, plan));
    let took = work.took();
    debug!(
        services,
        steps = steps.len(),
        took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "planned"
    );
    Planned { view, steps, foreign, deadline, took }
}

/// Whether addresses may be given and taken by what `view` shows.
pub(super) fn is_usable(view: &Objects) -> bool {
    NEEDED.iter().all(|kind| !view.freshness.unknown.contains(kind))
}
