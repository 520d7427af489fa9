// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The data path of a cluster: kube-proxy, or what the CNI plugin has in its place, translates. We ask it how it is, and
//! refuse what it left untranslated. Of FloatingIPs it knows nothing: those our own table leads on, whatever its health.
//!
//! An address is ready while kube-proxy does not say that it is unwell. Its rules outlive it in the kernel, and other
//! translators do not answer at its port, so silence closes nothing and is told. The guard closes nothing either: without
//! it everything works but the refusal of unused ports.
//!
//! A Service's `healthCheckNodePort` is not asked before a claim: it is made from the same EndpointSlices that say which
//! nodes may claim, its lag shows in healthz, and a failover must not wait for an answer over HTTP.

mod health;
mod newcomers;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

pub use health::{Healthz, HealthzError};

use health::Health;
use newcomers::Newcomers;

use super::condition::Condition;
use super::driver::{Exit, Handle, Observed, start_table};
use super::mode::Mode;
use super::model::{Backends, DataPath, Frontend};
use crate::deadline::until;

/// Starts to follow kube-proxy's health, and to keep the guard if that is allowed.
pub(super) fn start(
    desired: watch::Receiver<Option<Arc<DataPath>>>,
    healthz: Option<Healthz>,
    guarded: bool,
) -> Handle {
    let (observe, observed) = watch::channel(Observed::default());
    let (exit, exiting) = oneshot::channel();
    let (wish, wished) = watch::channel(None);
    let guard = guarded.then(|| start_table(Mode::KubeProxy, wished));
    let task = tokio::spawn(async move {
        let gate = Gate { desired, health: health::watch(healthz), wish, newcomers: Newcomers::default() };
        gate.run(guard, &observe, exiting).await;
    });
    Handle::new(observed, exit, task)
}

struct Gate {
    desired: watch::Receiver<Option<Arc<DataPath>>>,
    health: watch::Receiver<Health>,
    wish: watch::Sender<Option<Arc<DataPath>>>,
    newcomers: Newcomers,
}

impl Gate {
    /// Returns when asked to exit, or when nobody can ask any more.
    async fn run(
        mut self,
        guard: Option<Handle>,
        observe: &watch::Sender<Observed>,
        mut exiting: oneshot::Receiver<Exit>,
    ) {
        let mut told = guard.as_ref().map(Handle::observed);
        let exit = loop {
            let refusing = told.as_mut().map(|told| told.borrow_and_update().clone());
            let desired = self.desired.borrow_and_update().clone();
            let health = self.health.borrow_and_update().clone();
            let wakes = desired.as_ref().and_then(|desired| self.guard(desired));
            let now = judge(desired, refusing.as_ref(), &health);
            observe.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
            let ended = tokio::select! {
                exit = &mut exiting => break exit,
                () = until(wakes) => false,
                changed = changed(Some(&mut self.health)) => changed.is_err(),
                changed = changed(told.as_mut()) => changed.is_err(),
                changed = self.desired.changed() => changed.is_err(),
            };
            if ended {
                break exiting.await;
            }
        };
        let Ok((rest, answer)) = exit else { return };
        let result = match guard {
            Some(guard) => guard.linger(rest).await,
            None => Ok(()),
        };
        if answer.send(result).is_err() {
            tracing::debug!("nobody waits for the end of the data path");
        }
    }

    /// Tells the guard what it shall refuse. Returns when that changes by the mere passing of time.
    fn guard(&mut self, desired: &DataPath) -> Option<Instant> {
        let (roles, wakes) = self.newcomers.roles(desired, Instant::now());
        self.wish.send_if_modified(|wish| {
            let now = DataPath { vips: roles, ports: desired.ports.clone(), ours: desired.ours.clone() };
            let changed = wish.as_ref().is_none_or(|wish| **wish != now);
            if changed {
                *wish = Some(Arc::new(now));
            }
            changed
        });
        wakes
    }
}

/// What the data path has come to, from what kube-proxy says and what became of the guard; `None`: there is none.
fn judge(desired: Option<Arc<DataPath>>, guard: Option<&Observed>, health: &Health) -> Observed {
    let unguarded = match guard {
        None => vec![Condition::NotPermitted],
        Some(guard) => guard.conditions.iter().cloned().collect(),
    };
    let unguarded = unguarded.into_iter().map(|condition| Condition::Unguarded(Box::new(condition)));
    let (open, complaint) = match health {
        Health::Unknown => (false, None),
        Health::Well => (true, None),
        Health::Unwell(why) => (false, Some(Condition::KubeProxyUnhealthy(why.clone()))),
        Health::Silent(why) => (true, Some(Condition::KubeProxySilent(why.clone()))),
    };
    let guarded = guard.and_then(|guard| guard.serving.as_deref());
    Observed {
        serving: desired.map(|desired| served(desired, open, guarded)),
        closed: complaint.clone().filter(|_| !open),
        conditions: unguarded.chain(complaint).collect(),
    }
}

/// What of `desired` is served: by kube-proxy if it is `well`, and of our own addresses what our table leads on.
fn served(desired: Arc<DataPath>, well: bool, table: Option<&DataPath>) -> Arc<DataPath> {
    let ports = |data_path: &DataPath, address: IpAddr| -> Vec<(Frontend, Arc<Backends>)> {
        let of_address = data_path.ports.iter().filter(|(frontend, _)| frontend.address == address);
        of_address.map(|(frontend, backends)| (*frontend, Arc::clone(backends))).collect()
    };
    let is_served = |address: IpAddr| match table {
        _ if !desired.ours.contains(&address) => well,
        Some(table) => table.vips.contains_key(&address) && ports(table, address) == ports(&desired, address),
        None => false,
    };
    if desired.vips.keys().all(|address| is_served(*address)) {
        return desired;
    }
    let vips = desired.vips.iter().filter(|(address, _)| is_served(**address));
    Arc::new(DataPath {
        vips: vips.map(|(address, role)| (*address, *role)).collect(),
        ..DataPath::clone(&desired)
    })
}

async fn changed<T>(receiver: Option<&mut watch::Receiver<T>>) -> Result<(), watch::error::RecvError> {
    match receiver {
        Some(receiver) => receiver.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Clients, Protocol, Role, Source};
    use super::*;

    fn desired() -> Option<Arc<DataPath>> {
        let vips = [("192.0.2.1".parse().unwrap(), Role::Candidate)].into();
        Some(Arc::new(DataPath { vips, ..DataPath::default() }))
    }

    #[test]
    fn addresses_are_ready_unless_kube_proxy_says_that_it_is_unwell() {
        let guard = Observed::default();
        let ready = |health| !judge(desired(), Some(&guard), &health).ready().is_empty();
        assert!(ready(Health::Well));
        assert!(ready(Health::Silent("refused".to_owned())));
        assert!(!ready(Health::Unwell("503".to_owned())));
        assert!(!ready(Health::Unknown));
    }

    #[test]
    fn a_floating_ip_waits_for_our_table_and_not_for_kube_proxy() {
        let address: IpAddr = "192.0.2.9".parse().unwrap();
        let frontend = Frontend { address, protocol: Protocol::Tcp, port: 443.try_into().unwrap() };
        let backends = Backends {
            service: "default/api".to_owned(),
            source: Source::Kept,
            endpoints: ["0.0.0.0:6443".parse().unwrap()].into(),
            affinity: false,
            clients: Clients::Anyone,
        };
        let mut both = DataPath::clone(&desired().unwrap());
        both.vips.insert(address, Role::Candidate);
        both.ports.insert(frontend, Arc::new(backends));
        both.ours.insert(address);
        let both = Arc::new(both);
        let ready = |guard: Option<&Observed>, health| judge(Some(Arc::clone(&both)), guard, &health).ready();
        let leading = Observed { serving: Some(Arc::clone(&both)), ..Observed::default() };
        let unwell = Health::Unwell("503".to_owned());
        assert_eq!(ready(Some(&leading), unwell), [address].into());
        assert_eq!(ready(Some(&leading), Health::Well).len(), 2);
        for not_leading in [Some(&Observed::default()), None] {
            assert!(!ready(not_leading, Health::Well).contains(&address));
        }
    }

    #[test]
    fn a_closed_gate_and_a_missing_guard_say_why() {
        let observed = judge(desired(), None, &Health::Unwell("503".to_owned()));
        assert_eq!(observed.closed, Some(Condition::KubeProxyUnhealthy("503".to_owned())));
        let reasons: Vec<String> = observed.conditions.iter().map(|it| it.reason().to_string()).collect();
        assert_eq!(reasons, ["KubeProxyUnhealthy", "Unguarded"]);
        let silent = judge(desired(), Some(&Observed::default()), &Health::Silent("refused".to_owned()));
        assert_eq!(silent.closed, None);
        assert_eq!(silent.conditions.len(), 1);
    }

    #[test]
    fn a_guard_that_fails_closes_nothing() {
        let conditions = [Condition::NftMissing("no such file".to_owned())].into();
        let guard = Observed { conditions, ..Observed::default() };
        let observed = judge(desired(), Some(&guard), &Health::Well);
        assert_eq!((observed.ready().len(), observed.closed), (1, None));
        assert!(observed.conditions.iter().all(|it| matches!(it, Condition::Unguarded(_))));
    }
}
