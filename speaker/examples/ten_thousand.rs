// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Prints what ten thousand Services cost a speaker, in memory and in time on the processor: `cargo run --release -p
//! ferrolb-speaker --example ten_thousand`. The objects are as a cluster's source keeps them.

use std::fs;
use std::mem::size_of;
use std::sync::Arc;

use anyhow::Context;
use ferrolb_config::api::VirtualIP;
use ferrolb_config::snapshot::Snapshot;
use ferrolb_config::{Objects, ServiceName};
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::intent::intent;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

const SERVICES: usize = 10_000;
const RUNS: usize = 9;

fn main() -> anyhow::Result<()> {
    println!(
        "bytes of an empty object: Service {}, EndpointSlice {}, VirtualIP {}",
        size_of::<Service>(),
        size_of::<EndpointSlice>(),
        size_of::<VirtualIP>()
    );
    println!("{:24} {:6.1} MB", "at the start", resident()?);
    let objects = objects()?;
    println!("{:24} {:6.1} MB", "with the objects", resident()?);
    for mode in [Mode::KubeProxy, Mode::NFTables] {
        let mut took = Vec::new();
        let mut doing = None;
        for _ in 0..RUNS {
            let begin = on_processor()?;
            let snapshot = Snapshot::build(&objects);
            let built = on_processor()?;
            doing = Some(intent(&snapshot, "n1", mode));
            took.push((built - begin, on_processor()? - built));
        }
        took.sort_by(|one, other| (one.0 + one.1).total_cmp(&(other.0 + other.1)));
        let (snapshot, intent) = took.get(RUNS / 2).context("there were runs")?;
        let vips = doing.map(|doing| doing.vips.len()).unwrap_or_default();
        println!(
            "{:24} {:6.1} MB, snapshot {snapshot:.1} ms, intent {intent:.1} ms, {vips} addresses",
            format!("{mode:?}"),
            resident()?
        );
    }
    Ok(())
}

fn objects() -> anyhow::Result<Objects> {
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
        let metadata = |name: &str, labels: Value| {
            json!({ "namespace": "default", "name": name, "uid": format!("6d1f2a5e-0000-4000-8000-{number:012}"),
                    "resourceVersion": number.to_string(), "creationTimestamp": "2026-11-21T12:00:00Z",
                    "labels": labels })
        };
        let service = json!({
            "metadata": metadata(&name, Value::Null),
            "spec": { "type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"],
                      "externalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                      "selector": { "app": name }, "sessionAffinity": "None",
                      "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 8080 }] },
            "status": { "loadBalancer": { "ingress": [{ "ip": address, "ipMode": "VIP" }] } },
        });
        let slice_name = format!("{name}-abcde");
        let endpoints = [1, 2, 3].map(|node| {
            json!({ "addresses": [format!("10.244.{node}.10")], "nodeName": format!("n{node}"),
                    "conditions": { "ready": true, "serving": true, "terminating": false } })
        });
        let slice = json!({
            "metadata": metadata(&slice_name, json!({ "kubernetes.io/service-name": name })),
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{ "name": "", "port": 8080, "protocol": "TCP" }],
        });
        let virtual_ip = json!({
            "metadata": metadata(&address, Value::Null),
            "spec": { "address": address, "pool": "lan", "consumers": [{ "kind": "Service", "namespace": "default",
                      "name": name, "ports": [{ "protocol": "TCP", "port": 80 }] }] },
            "status": { "layer2": [{ "segment": "10.0.0.0/16", "interface": "eth0", "node": "n1", "term": 1,
                        "since": "2026-11-21T12:00:00Z", "cause": "nobody had it" }] },
        });
        let key = |name: &str| ServiceName { namespace: "default".to_owned(), name: name.to_owned() };
        objects.services.insert(key(&name), Arc::new(serde_json::from_value(service)?));
        objects.endpoint_slices.insert(key(&slice_name), Arc::new(serde_json::from_value(slice)?));
        objects.virtual_ips.insert(address, Arc::new(serde_json::from_value(virtual_ip)?));
    }
    Ok(objects)
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
    let stat = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = stat.split(' ').next().context("schedstat has numbers")?.parse()?;
    Ok(nanoseconds / 1e6)
}
