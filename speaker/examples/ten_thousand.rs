// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Prints what ten thousand Services cost a speaker, in memory and in time on the processor: `cargo run --release -p
//! ferrolb-speaker --example ten_thousand`, with `-- endpoints` for three endpoints of each and with `nft` for the mode
//! in which the speaker translates itself. The objects are as a cluster's source keeps them for a speaker.

use std::fs;
use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ferrolb_config::api::VirtualIP;
use ferrolb_config::{Objects, ServiceName};
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::intent::{Follower, VipIntent};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const SERVICES: usize = 10_000;
const RUNS: usize = 101;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let said = |word: &str| arguments.iter().any(|argument| argument == word);
    println!(
        "bytes of an empty object: Service {}, EndpointSlice {}, VirtualIP {}, its intent {}",
        size_of::<Service>(),
        size_of::<EndpointSlice>(),
        size_of::<VirtualIP>(),
        size_of::<VipIntent>()
    );
    tell("at the start", "")?;
    let mut objects = Arc::new(objects(said("endpoints"))?);
    tell("with the objects", "")?;
    let mode = if said("nft") { Mode::NFTables } else { Mode::KubeProxy };
    let mut follower = Follower::new("n1", mode);
    let first = timed(|| follower.follow(&objects))?;
    tell("decided", &format!("in {first:.1} ms, {} addresses, {mode:?}", follower.intent().vips.len()))?;
    let mut changes = Vec::new();
    for run in 0..RUNS {
        // Whoever publishes copies the names and pointers, as the last view is still being read.
        let mut next = Objects::clone(&objects);
        let name = key(&format!("service-{}", run * 97 % SERVICES));
        let service = next.services.get_mut(&name).context("it is there")?;
        Arc::make_mut(service).spec.get_or_insert_default().external_traffic_policy =
            (run % 2 == 0).then(|| "Local".to_owned());
        objects = Arc::new(next);
        changes.push(timed(|| follower.follow(&objects))?);
    }
    changes.sort_by(f64::total_cmp);
    let median = changes.get(RUNS / 2).context("there were runs")?;
    tell("after a hundred changes", &format!("each decided in {median:.2} ms"))?;
    let data_path = timed(|| {
        std::hint::black_box(follower.intent().data_path());
    })?;
    tell("with a data path", &format!("made in {data_path:.2} ms"))
}

fn tell(when: &str, what: &str) -> anyhow::Result<()> {
    println!("{when:24} {:6.1} MB {what}", resident()?);
    Ok(())
}

/// The milliseconds on the processor that it takes.
fn timed<T>(work: impl FnOnce() -> T) -> anyhow::Result<f64> {
    let begin = on_processor()?;
    let result = work();
    let took = on_processor()? - begin;
    drop(result);
    Ok(took)
}

fn key(name: &str) -> ServiceName {
    ServiceName { namespace: "default".to_owned(), name: name.to_owned() }
}

fn objects(with_endpoints: bool) -> anyhow::Result<Objects> {
    let mut objects = Objects::default();
    let pool = json!({ "metadata": { "name": "lan" }, "spec": { "addresses": ["10.0.0.0/16"] } });
    objects.pools.insert("lan".to_owned(), Arc::new(serde_json::from_value(pool)?));
    let all = json!({ "metadata": { "name": "all" }, "spec": {} });
    objects.l2_advertisements.insert("all".to_owned(), Arc::new(serde_json::from_value(all)?));
    for node in ["n1", "n2", "n3"] {
        let object = json!({ "metadata": { "name": node } });
        objects.nodes.insert(node.to_owned(), Arc::new(serde_json::from_value(object)?));
    }
    for number in 0..SERVICES {
        let (name, address) =
            (format!("service-{number}"), format!("10.0.{}.{}", number / 250, number % 250 + 1));
        let metadata = |name: &str, labels: Value| json!({ "namespace": "default", "name": name, "resourceVersion": number.to_string(), "labels": labels });
        let service = json!({
            "metadata": metadata(&name, Value::Null),
            "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
        });
        let consumer = json!({ "kind": "Service", "namespace": "default", "name": name });
        let owner = json!({ "segment": "10.0.0.0/16", "interface": "", "node": "n1", "term": 1,
                            "since": "2026-11-21T12:00:00Z", "cause": "" });
        let layer2 = if with_endpoints { vec![owner] } else { Vec::new() };
        let virtual_ip = json!({
            "metadata": { "name": address, "resourceVersion": number.to_string() },
            "spec": { "address": address, "pool": "lan", "group": format!("default/{name}"),
                      "consumers": [consumer] },
            "status": { "layer2": layer2 },
        });
        objects.services.insert(key(&name), shrunk(service)?);
        objects.virtual_ips.insert(address, shrunk(virtual_ip)?);
        if with_endpoints {
            let slice_name = format!("{name}-abcde");
            let endpoints = [1, 2, 3].map(|node| {
                json!({ "addresses": [format!("10.244.{node}.10")], "nodeName": format!("n{node}"),
                        "conditions": { "ready": true, "serving": true } })
            });
            let slice = json!({
                "metadata": metadata(&slice_name, json!({ "kubernetes.io/service-name": name })),
                "addressType": "", "endpoints": endpoints, "ports": [{ "port": 8080 }],
            });
            objects.endpoint_slices.insert(key(&slice_name), shrunk(slice)?);
        }
    }
    Ok(objects)
}

/// Reads an object. Its copy has no room for more than it holds.
fn shrunk<T: serde::de::DeserializeOwned + Clone>(object: Value) -> anyhow::Result<Arc<T>> {
    let read: T = serde_json::from_value(object)?;
    Ok(Arc::new(read.clone()))
}

/// The memory that the process has, in MB of 2^20 bytes.
fn resident() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("procfs tells it")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// The time that the process has had on the processor, in milliseconds.
fn on_processor() -> anyhow::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(Duration::from(time).as_secs_f64() * 1000.0)
}
