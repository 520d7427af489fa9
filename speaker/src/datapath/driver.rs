// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keeps the kernel's table as desired.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::kernel::table_monitor::{TableMonitor, Tampering};

use super::condition::Condition;
use super::flows::Flows;
use super::kernel_table::{self, KernelTable};
use super::mode::Mode;
use super::model::{DataPath, Frontend, Role};
use super::ruleset::{TABLE, TABLE_NAME};
use super::{host, nft, transaction};

/// The shortest time between two transactions: a burst of changes costs one.
const PACE: Duration = Duration::from_millis(20);
/// First and longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// First and longest pause before restoring a table that somebody else changed: two programs must not fight over it
/// at full speed.
const RESTORE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often settings are read that nobody reports changes of.
const HOST_CHECK: Duration = Duration::from_secs(30);
/// How long after somebody changed nftables the machine is looked at again: changes come in bursts.
const SETTLE: Duration = Duration::from_secs(1);

/// What the data path has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// What traffic is led by. With a table of our own, the last of the desired states that the kernel accepted: after a
    /// failed change it is still in force, unless somebody else deleted the table and it cannot be restored. With
    /// kube-proxy the last one, unless kube-proxy is unwell.
    pub serving: Option<Arc<DataPath>>,
    /// Why nothing is served, where that is known.
    pub closed: Option<Condition>,
    /// What is wrong, empty if nothing is.
    pub conditions: BTreeSet<Condition>,
}

impl Observed {
    /// The virtual IPs that this node may carry and whose traffic finds its way: the gate of the election.
    pub fn ready(&self) -> BTreeSet<IpAddr> {
        self.serving.iter().flat_map(|serving| serving.candidates()).collect()
    }

    /// Whether `address` is one of them.
    pub fn is_ready(&self, address: IpAddr) -> bool {
        let role = |serving: &Arc<DataPath>| serving.vips.get(&address).copied();
        self.serving.as_ref().and_then(role) == Some(Role::Candidate)
    }
}

/// A running data path.
///
/// Dropping it leaves the rules in the kernel as they are.
#[derive(Debug)]
pub struct Handle {
    observed: watch::Receiver<Observed>,
    exit: oneshot::Sender<Exit>,
    task: JoinHandle<()>,
}

impl Handle {
    pub(crate) fn new(
        observed: watch::Receiver<Observed>,
        exit: oneshot::Sender<Exit>,
        task: JoinHandle<()>,
    ) -> Self {
        Self { observed, exit, task }
    }

    /// What the data path has come to, now and in future.
    pub fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.clone()
    }

    /// Ends the data path: new connections are translated for `rest` from now, by the kernel alone; established
    /// ones without limit.
    ///
    /// # Errors
    /// If `nft` fails; the rules stay without limit then.
    pub async fn linger(self, rest: Duration) -> Result<(), Condition> {
        let (answer, result) = oneshot::channel();
        if self.exit.send((rest, answer)).is_err() {
            return Err(Condition::NftFailed("the data path has ended already".to_owned()));
        }
        let result = result.await;
        self.task.abort();
        result.unwrap_or_else(|_| Err(Condition::NftFailed("the data path ended too early".to_owned())))
    }
}

/// Starts to keep the table as `desired` says. While that is `None`, what shall be is not known yet, and whatever an
/// earlier process left stays untouched.
pub(crate) fn start_table(mode: Mode, desired: watch::Receiver<Option<Arc<DataPath>>>) -> Handle {
    let (observe, observed) = watch::channel(Observed::default());
    let (exit, exiting) = oneshot::channel();
    let task = tokio::spawn(async move {
        let mut driver = Driver {
            mode,
            desired,
            observe,
            table: KernelTable::new(mode),
            refusal: None,
            flows: Flows::default(),
            host: BTreeSet::new(),
        };
        if let Ok((rest, answer)) = driver.run(exiting).await {
            let result = driver.table.linger(rest).await;
            if answer.send(result).is_err() {
                tracing::debug!("nobody waits for the end of the data path");
            }
        }
    });
    Handle { observed, exit, task }
}

/// Removes the table at once. Connections that it translates stall. Returns the ports that it translated, or `None`
/// if there was no table.
///
/// # Errors
/// If `nft` fails.
pub async fn cleanup() -> Result<Option<BTreeSet<Frontend>>, Condition> {
    let ports = kernel_table::translated_ports().await?;
    if ports.is_some() {
        nft::apply(&transaction::remove()).await?;
    }
    Ok(ports)
}

pub(crate) type Exit = (Duration, oneshot::Sender<Result<(), Condition>>);

struct Driver {
    mode: Mode,
    desired: watch::Receiver<Option<Arc<DataPath>>>,
    observe: watch::Sender<Observed>,
    table: KernelTable,
    /// What went wrong at the last attempt to apply.
    refusal: Option<Condition>,
    flows: Flows,
    /// What was seen at the last look at the machine.
    host: BTreeSet<Condition>,
}

impl Driver {
    /// Returns when asked to exit.
    async fn run(&mut self, mut exiting: oneshot::Receiver<Exit>) -> Result<Exit, oneshot::error::RecvError> {
        let mut monitor = TableMonitor::open(TABLE_NAME).inspect_err(deaf).ok();
        let mut retry = RETRY.0;
        let mut pending = true;
        let mut not_before = Instant::now();
        let (mut restore, mut restored) = (RESTORE.0, None);
        let mut host_check = Instant::now();
        loop {
            let heard = tokio::select! {
                biased;
                exit = &mut exiting => return exit,
                () = sleep_until(not_before), if pending => {
                    pending = !self.apply().await;
                    let pause = if pending { retry } else { PACE };
                    retry = if pending { (retry * 2).min(RETRY.1) } else { RETRY.0 };
                    not_before = Instant::now() + pause;
                    let writer = self.table.writer();
                    monitor.as_mut().map_or(Ok(None), |monitor| monitor.pass_over(writer))
                }
                changed = self.desired.changed() => match changed {
                    Ok(()) => {
                        pending = true;
                        continue;
                    }
                    Err(_no_more_changes) => return exiting.await,
                },
                () = sleep_until(host_check) => {
                    pending |= !self.look_at_host().await;
                    host_check = Instant::now() + HOST_CHECK;
                    continue;
                }
                () = self.flows.settle() => {
                    self.publish(None);
                    continue;
                }
                heard = hear(monitor.as_mut()) => heard.map(Some),
            };
            match heard {
                Ok(None) => {}
                // While it is unknown already, its restoration is under way.
                Ok(Some(Tampering::OurTableDeleted | Tampering::OurTableChanged))
                    if self.table.is_known() =>
                {
                    tracing::warn!(table = TABLE, "somebody changed or deleted our table; restoring it");
                    self.table.forget();
                    pending = true;
                    let now = Instant::now();
                    let again = restored.is_some_and(|restored: Instant| now - restored < RESTORE.1);
                    restore = if again { (restore * 2).min(RESTORE.1) } else { RESTORE.0 };
                    restored = Some(now);
                    not_before = not_before.max(now + restore);
                }
                Ok(Some(Tampering::ForeignBaseChain | Tampering::Unknown)) => {
                    host_check = host_check.min(Instant::now() + SETTLE);
                }
                Ok(Some(Tampering::ForeignRule)) if self.waits_for_foreign_rule() => {
                    host_check = host_check.min(Instant::now() + SETTLE);
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    deaf(&error);
                    monitor = None;
                }
            }
        }
    }

    /// Whether nothing is left to be done.
    async fn apply(&mut self) -> bool {
        let Some(desired) = self.desired.borrow_and_update().clone() else {
            return true;
        };
        let stale = match self.table.apply(&desired).await {
            Ok(stale) => stale,
            Err(condition) => {
                // Tried again for as long as it takes, and told once.
                if self.refusal.as_ref() != Some(&condition) {
                    tracing::error!(reason = %condition.reason(), "{condition}");
                }
                self.refusal = Some(condition);
                // A refused text changes nothing; but the rules of before may be gone for another reason.
                if !self.table.is_known() && kernel_table::exists().await == Ok(false) {
                    self.observe.send_modify(|observed| observed.serving = None);
                }
                self.publish(None);
                return false;
            }
        };
        self.refusal = None;
        self.flows.delete(stale);
        self.look_at_forwarding(&desired);
        self.publish(Some(&desired));
        true
    }

    fn waits_for_foreign_rule(&self) -> bool {
        self.host.iter().any(|condition| matches!(condition, Condition::ForwardPolicyDrop { .. }))
    }

    /// Whether our table is still there.
    async fn look_at_host(&mut self) -> bool {
        // A failure here meets the rules themselves too, and is told there.
        let quietly = |condition: Condition| tracing::debug!(reason = %condition.reason(), "{condition}");
        // Whoever translates sees to it that what is translated gets through.
        if self.mode == Mode::NFTables {
            match host::forward_drops().await {
                Ok(drops) => self.host = drops,
                Err(condition) => quietly(condition),
            }
        }
        let desired = self.desired.borrow().clone();
        if let Some(desired) = desired {
            self.look_at_forwarding(&desired);
        }
        self.publish(None);
        if self.table.is_known() && !kernel_table::exists().await.map_err(quietly).unwrap_or(true) {
            tracing::warn!(table = TABLE, "somebody deleted our table; restoring it");
            self.table.forget();
        }
        self.table.is_known()
    }

    fn look_at_forwarding(&mut self, desired: &DataPath) {
        self.host.retain(|condition| !matches!(condition, Condition::ForwardingOff { .. }));
        self.host.extend(host::forwarding(desired));
    }

    /// Tells what is wrong and, if rules were applied, which virtual IPs are ready now.
    fn publish(&self, applied: Option<&Arc<DataPath>>) {
        let conditions = self.host.iter().chain(&self.refusal).chain(self.flows.problem()).cloned().collect();
        self.observe.send_if_modified(|observed| {
            let serving = applied.or(observed.serving.as_ref()).cloned();
            let new = Observed { serving, closed: None, conditions };
            let changed = *observed != new;
            *observed = new;
            changed
        });
    }
}

fn deaf(error: &std::io::Error) {
    tracing::warn!(%error, "changes of nftables by others will go unnoticed");
}

async fn hear(monitor: Option<&mut TableMonitor>) -> std::io::Result<Tampering> {
    match monitor {
        Some(monitor) => monitor.next().await,
        None => std::future::pending().await,
    }
}
