// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Three controllers, of which the leading one is killed, and the next one stopped and woken up again, and an API server
//! that restarts, while Services keep coming.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ferrolb_control_plane::Account;
use ferrolb_lab::Process;
use futures::TryStreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::{Api, Error, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::stage::{Controller, Stage, own_stage, shown};

/// Set for a process that is to be a controller.
const KUBECONFIG: &str = "FERROLB_TEST_KUBECONFIG";
const IDENTITY: &str = "FERROLB_TEST_IDENTITY";

/// Not a test of its own: what the processes that [`spawn`] starts are. Started as a test, it has nothing to do.
#[tokio::test]
async fn a_controller_in_a_process_of_its_own() {
    let (Some(kubeconfig), Ok(identity)) = (env::var_os(KUBECONFIG), env::var(IDENTITY)) else { return };
    let _controller = Controller::start(kubeconfig.as_ref(), &identity);
    sleep(Duration::from_secs(600)).await;
}

fn spawn(stage: &Stage, identity: &str) -> Process {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "ha::a_controller_in_a_process_of_its_own", "--nocapture"])
        .env(KUBECONFIG, stage.plane().kubeconfig(&Account::admin()).unwrap())
        .env(IDENTITY, identity);
    stage.plane().site().start(identity, None, command).unwrap()
}

async fn leader(stage: &Stage, other_than: &[&str]) -> String {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), "ferrolb-system");
    loop {
        let lease = leases.get_opt("ferrolb-controller").await.unwrap();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        if !holder.is_empty() && !other_than.contains(&holder.as_str()) {
            return holder;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Creates Services until told to stop.
async fn keep_creating(services: Api<Service>, created: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let name = format!("s{:04}", created.load(Ordering::SeqCst));
        let service = json!({
            "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        });
        let service = serde_json::from_value(service).unwrap();
        match services.create(&PostParams::default(), &service).await {
            Ok(_) => {}
            // It was created by a request that nobody answered.
            Err(Error::Api(status)) if status.is_already_exists() => {}
            // The API server is away.
            Err(_) => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        }
        created.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(100)).await;
    }
}

/// Looks at every status that is ever written: no address is shown by two Services.
async fn watch_statuses(services: Api<Service>) {
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut version = "0".to_owned();
    loop {
        // Events of the time in which the API server is away come when it is back.
        let Ok(events) = services.watch(&WatchParams::default(), &version).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut events = std::pin::pin!(events);
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                WatchEvent::Added(service) | WatchEvent::Modified(service) => {
                    version = service.resource_version().unwrap();
                    holders.insert(service.name_any(), shown(&service));
                    let mut all: Vec<_> = holders.values().flatten().collect();
                    let count = all.len();
                    all.sort_unstable();
                    all.dedup();
                    assert_eq!(all.len(), count, "an address is shown twice: {holders:?}");
                }
                WatchEvent::Deleted(service) => panic!("nobody deletes {}", service.name_any()),
                WatchEvent::Bookmark(_) => {}
                // A server that started anew does not know the past (410, API concepts, "410 Gone"): all is told again from its present.
                WatchEvent::Error(error) if error.code == 410 => {
                    holders.clear();
                    version = "0".to_owned();
                    break;
                }
                WatchEvent::Error(error) => panic!("{error}"),
            }
        }
    }
}

/// Waits until the Service that was created last is served.
async fn all_go_on(stage: &Stage, created: &AtomicUsize) {
    let last = format!("s{:04}", created.load(Ordering::SeqCst).saturating_sub(1));
    stage.until("Services are served", async || !stage.addresses(&last).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_given_twice_when_leaders_die_or_stand_still_and_the_api_server_restarts() {
    let mut stage = own_stage().await;
    stage.pool("p", &["10.20.0.0/20"]).await;
    let statuses = tokio::spawn(watch_statuses(stage.services()));
    let mut controllers: BTreeMap<_, _> =
        ["c1", "c2", "c3"].map(|identity| (identity.to_owned(), spawn(&stage, identity))).into();
    let (stop, created) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = tokio::spawn(keep_creating(stage.services(), Arc::clone(&created), Arc::clone(&stop)));

    let first = leader(&stage, &[]).await;
    stage.until("the first are served", async || !stage.addresses("s0003").await.is_empty()).await;
    controllers.remove(&first).unwrap().kill().unwrap();
    let died = Instant::now();
    let second = leader(&stage, &[&first]).await;
    all_go_on(&stage, &created).await;
    eprintln!("after a SIGKILL of the leader, Services are served again after {:?}", died.elapsed());

    controllers[&second].signal(Signal::SIGSTOP).unwrap();
    let third = leader(&stage, &[&first, &second]).await;
    all_go_on(&stage, &created).await;
    controllers[&second].signal(Signal::SIGCONT).unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(leader(&stage, &[]).await, third, "who stood still does not take the lease back");

    tokio::task::block_in_place(|| {
        stage.own_plane().kill_api_server().unwrap();
        stage.own_plane().start_api_server().unwrap();
    });
    let back = Instant::now();
    all_go_on(&stage, &created).await;
    eprintln!("after a restart of the API server, Services are served again after {:?}", back.elapsed());

    stop.store(true, Ordering::SeqCst);
    load.await.unwrap();
    let last = created.load(Ordering::SeqCst);
    stage.until("every Service has a record", async || stage.records().await.len() == last).await;
    all_go_on(&stage, &created).await;
    stage.check_shown_is_recorded().await;
    assert!(!statuses.is_finished(), "{:?}", statuses.await);
    statuses.abort();
}
