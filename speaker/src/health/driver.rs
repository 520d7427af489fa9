// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A task for each check, as long as somebody wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::snapshot::HealthCheck;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::course::{Course, Verdict};
use super::{Checks, Health, name, probe};

/// Probes under way at once; the others wait for their turn.
const AT_ONCE: usize = 32;
/// First probes are spread over this time.
const SPREAD: Duration = Duration::from_millis(100);

/// Runs the checks in `wanted` until nobody says any more which those are.
pub(crate) fn start(wanted: watch::Receiver<Arc<Checks>>) -> watch::Receiver<Arc<Health>> {
    let (tell, health) = watch::channel(Arc::default());
    tokio::spawn(follow(wanted, Arc::new(tell)));
    health
}

type Tell = Arc<watch::Sender<Arc<Health>>>;

/// A check's task; it ends with this.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(mut wanted: watch::Receiver<Arc<Checks>>, tell: Tell) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running: BTreeMap<Arc<HealthCheck>, Running> = BTreeMap::new();
    loop {
        let checks = Arc::clone(&wanted.borrow_and_update());
        let before = Arc::clone(&tell.borrow());
        running.retain(|check, _| checks.contains(check));
        for check in checks.iter().filter(|check| !before.contains_key(*check)) {
            set(&tell, |health| {
                health.insert(Arc::clone(check), known(&before, check));
            });
        }
        set(&tell, |health| health.retain(|check, _| checks.contains(check)));
        for check in checks.iter() {
            running.entry(Arc::clone(check)).or_insert_with(|| {
                let work = run(Arc::clone(check), Arc::clone(&tell), Arc::clone(&turns));
                Running(tokio::spawn(work))
            });
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// What a new check begins with: a question that was asked until now, only at another pace, keeps its answer.
fn known(before: &Health, check: &HealthCheck) -> Verdict {
    let same = before.iter().find(|(other, _)| other.probe == check.probe);
    same.map(|(_, verdict)| verdict.clone()).unwrap_or_default()
}

async fn run(check: Arc<HealthCheck>, tell: Tell, turns: Arc<Semaphore>) {
    let mut course = Course::begin(tell.borrow().get(&check).cloned().unwrap_or_default());
    sleep(SPREAD.mul_f32(fastrand::f32())).await;
    loop {
        let begun = Instant::now();
        // Never closed while its holders live.
        let Ok(turn) = turns.acquire().await else { return };
        let answer = probe::ask(&check.probe, check.timeout).await;
        drop(turn);
        course.take(answer, now(), &check);
        set(&tell, |health| {
            if let Some(verdict) = health.get_mut(&check)
                && verdict != course.verdict()
            {
                log(&check, course.verdict());
                *verdict = course.verdict().clone();
            }
        });
        sleep_until(begun + check.interval).await;
    }
}

/// Whole seconds: finer is of use to nobody.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn log(check: &HealthCheck, verdict: &Verdict) {
    match verdict {
        Verdict::Unknown => {}
        Verdict::Passing => info!("{} passes", name(&check.probe)),
        Verdict::Failing { error, .. } => warn!("{} fails: {error}", name(&check.probe)),
    }
}

/// Changes what is told, and tells it if it is something else now.
fn set(tell: &Tell, change: impl FnOnce(&mut Health)) {
    tell.send_if_modified(|told| {
        let mut health = Health::clone(told);
        change(&mut health);
        let changed = **told != health;
        if changed {
            *told = Arc::new(health);
        }
        changed
    });
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use ferrolb_config::snapshot::Probe;

    use super::*;

    fn check(port: u16, interval: Duration) -> Arc<HealthCheck> {
        let timeout = Duration::from_secs(5);
        Arc::new(HealthCheck { probe: Probe::Tcp { port }, interval, timeout, rise: 1, fall: 1 })
    }

    async fn until(health: &mut watch::Receiver<Arc<Health>>, wanted: impl Fn(&Health) -> bool) {
        let seen = health.wait_for(|health| wanted(health));
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("in time").expect("it runs");
    }

    #[tokio::test]
    async fn a_check_passes_and_falls_with_its_port_and_is_forgotten_when_nobody_wants_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let check = check(listener.local_addr().unwrap().port(), Duration::from_millis(50));
        let (want, wanted) = watch::channel(Arc::new(Checks::from([Arc::clone(&check)])));
        let mut health = start(wanted);
        until(&mut health, |health| health.get(&check) == Some(&Verdict::Passing)).await;
        drop(listener);
        until(&mut health, |health| matches!(health.get(&check), Some(Verdict::Failing { .. }))).await;
        want.send_replace(Arc::default());
        until(&mut health, Health::is_empty).await;
    }

    #[tokio::test]
    async fn another_pace_does_not_close_an_open_check() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (slow, fast) = (check(port, Duration::from_secs(60)), check(port, Duration::from_secs(1)));
        let (want, wanted) = watch::channel(Arc::new(Checks::from([Arc::clone(&slow)])));
        let mut health = start(wanted);
        until(&mut health, |health| health.get(&slow) == Some(&Verdict::Passing)).await;
        want.send_replace(Arc::new(Checks::from([Arc::clone(&fast)])));
        let seen = health.wait_for(|health| health.contains_key(&fast)).await.unwrap().get(&fast).cloned();
        assert_eq!(seen, Some(Verdict::Passing));
    }
}
