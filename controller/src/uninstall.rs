// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Lets go of the VirtualIPs, so that whoever deletes them, or their definition, does not wait for a controller that is
//! no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrolb_config::Objects;
use ferrolb_config::api::{IN_USE, VirtualIP};
use ferrolb_source::kube::{Cluster, Interest, KubeOptions, WriteError};
use tokio::time::{sleep, timeout};

/// How long the API server may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// A controller that still runs puts the finalizer back within this time.
const RETURN: Duration = Duration::from_secs(2);
/// How often a record is taken up anew because it changed meanwhile.
const ROUNDS: usize = 3;

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetGo {
    /// How many records there are.
    pub records: usize,
    /// How many of them were let go of now.
    pub cleared: usize,
    /// Those that are still held, and why.
    pub held: BTreeMap<String, String>,
}

/// Takes the finalizer `ferrolb.io/in-use` off every VirtualIP. Nothing else is changed: the records stay, and the
/// Services show their addresses.
///
/// # Errors
/// The cluster cannot be used, or the records cannot be read.
pub async fn let_go(options: KubeOptions) -> anyhow::Result<LetGo> {
    let cluster = Cluster::connect(options).await.context("cannot use the cluster")?;
    let view = timeout(ANSWER, cluster.watch(Interest::Controller)).await;
    let mut view = view.context("the API server does not answer")?.context("cannot follow the cluster")?;
    let unreadable = view.borrow().freshness.unknown.contains("VirtualIP");
    ensure!(!unreadable, "there are no VirtualIPs: their definition is not installed, or a right is missing");
    let writer = cluster.writer();
    let mut outcome = LetGo { records: view.borrow().virtual_ips.len(), ..LetGo::default() };
    let mut cleared = BTreeSet::new();
    for _ in 0..ROUNDS {
        outcome.held.clear();
        let current = Arc::clone(&view.borrow_and_update());
        for object in guarded(&current) {
            let name = object.metadata.name.clone().unwrap_or_default();
            let mut free = VirtualIP::clone(object);
            let finalizers = free.metadata.finalizers.as_mut();
            finalizers.into_iter().for_each(|all| all.retain(|finalizer| finalizer != IN_USE));
            match writer.replace_virtual_ip(&free).await {
                // One that was to be deleted is gone with its last finalizer.
                Ok(_) | Err(WriteError::NotFound) => drop(cleared.insert(name)),
                Err(error) => drop(outcome.held.insert(name, error.to_string())),
            }
        }
        sleep(RETURN).await;
        if outcome.held.is_empty() {
            break;
        }
    }
    for object in guarded(&view.borrow()) {
        let name = object.metadata.name.clone().unwrap_or_default();
        let why = "a controller still holds it: delete the Deployment first, and do this again";
        outcome.held.entry(name).or_insert_with(|| why.to_owned());
    }
    outcome.cleared = cleared.len();
    Ok(outcome)
}

fn guarded(objects: &Objects) -> impl Iterator<Item = &Arc<VirtualIP>> {
    let guards = |object: &&Arc<VirtualIP>| {
        object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == IN_USE)
    };
    objects.virtual_ips.values().filter(guards)
}
