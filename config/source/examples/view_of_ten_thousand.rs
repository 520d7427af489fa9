// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a view of ten thousand Services costs: `cargo run --release -p ferrolb-source --example view_of_ten_thousand
//! [speaker]`.
//!
//! An API server of this process sends ten thousand Services, EndpointSlices and VirtualIPs, made on the fly, as
//! large as a real one sends them.

use std::convert::Infallible;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use ferrolb_source::kube::{Cluster, Interest, KubeOptions};
use futures::stream;
use tokio::net::TcpListener;

const SERVICES: u32 = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let is_speaker = std::env::args().nth(1).is_some_and(|who| who == "speaker");
    let interest =
        if is_speaker { Interest::Speaker { node: "n1".to_owned() } } else { Interest::Controller };
    let before = resident()?;
    let started = Instant::now();
    let (cluster, _kubeconfig) = connect().await?;
    let objects = cluster.watch(interest.clone()).await?;
    let view = objects.borrow().clone();
    println!(
        "{interest:?}: {} Services, {} EndpointSlices, {} VirtualIPs: {:.1} MiB after {:?}, and {before:.1} MiB before",
        view.services.len(),
        view.endpoint_slices.len(),
        view.virtual_ips.len(),
        resident()? - before,
        started.elapsed(),
    );
    let started = Instant::now();
    let copy = view.as_ref().clone();
    println!("a copy of the view takes {:?}", started.elapsed());
    drop(copy);
    Ok(())
}

async fn connect() -> Result<(Cluster, tempfile::TempDir)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(async |request: Request<Body>| {
        let kind = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let count =
            if matches!(kind.as_str(), "services" | "endpointslices" | "virtualips") { SERVICES } else { 0 };
        let chunks = (0..count)
            .step_by(100)
            .map(move |first| (first..first + 100).map(|index| added(&kind, index)).collect());
        let lines = chunks.chain(std::iter::once(END.to_owned()));
        let goes_on =
            futures::StreamExt::chain(stream::iter(lines.map(Ok::<_, Infallible>)), stream::pending());
        Body::from_stream(goes_on)
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    std::fs::write(
        &path,
        format!(
            "{{apiVersion: v1, kind: Config, current-context: a, users: [{{name: a, user: {{}}}}], \
             clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}], \
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]}}"
        ),
    )?;
    let options = KubeOptions { kubeconfig: Some(path), ..KubeOptions::default() };
    Ok((Cluster::connect(options).await?, folder))
}

/// The bookmark after everything that there is.
const END: &str = "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"99999\",\"annotations\":\
                   {\"k8s.io/initial-events-end\":\"true\"}}}}\n";

/// What `kubectl apply` and a controller leave in managed fields.
const MANAGED: &str = r#"[{"manager":"kubectl","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","time":"2026-01-02T03:04:05Z",
"fieldsV1":{"f:metadata":{"f:labels":{"f:app.kubernetes.io/name":{}}},"f:spec":{"f:ports":{"k:{\"port\":80}":{"f:port":{}}},"f:selector":{}}}},
{"manager":"ferrolb-controller","operation":"Update","subresource":"status","apiVersion":"v1","fieldsType":"FieldsV1","time":"2026-01-02T03:04:05Z",
"fieldsV1":{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}}]"#;

fn added(kind: &str, index: u32) -> String {
    let address = format!("192.{}.{}.{}", index >> 16, (index >> 8) & 255, index & 255);
    let cluster_ip = format!("10.1.{}.{}", index >> 8, index & 255);
    let (service, namespace) = (format!("service-{index}"), format!("namespace-{}", index % 100));
    let metadata = |name: &str, labels: &str| {
        let version = 10_000 + index;
        format!(
            r#""metadata":{{"name":"{name}","namespace":"{namespace}","uid":"0d5ff1d6-6a2e-4b9b-8f5e-{index:012x}","resourceVersion":"{version}",
            "creationTimestamp":"2026-01-02T03:04:05Z","generation":1,"labels":{{{labels}}},"finalizers":["a.io/b"],"managedFields":{MANAGED}}}"#
        )
    };
    let object = match kind {
        "services" => format!(
            r#"{{{},"spec":{{"type":"LoadBalancer","clusterIP":"{cluster_ip}","clusterIPs":["{cluster_ip}"],"ipFamilies":["IPv4"],
            "ipFamilyPolicy":"SingleStack","externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster","sessionAffinity":"None",
            "allocateLoadBalancerNodePorts":true,"selector":{{"app.kubernetes.io/name":"{service}"}},
            "ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080,"nodePort":{}}}]}},
            "status":{{"loadBalancer":{{"ingress":[{{"ip":"{address}","ipMode":"VIP"}}]}}}}}}"#,
            metadata(&service, &format!(r#""app.kubernetes.io/name":"{service}""#)),
            20_000 + index
        ),
        "endpointslices" => {
            let endpoint = |node: u32| {
                format!(
                    r#"{{"addresses":["10.2.{node}.{}"],"nodeName":"node-{node}","conditions":{{"ready":true,"serving":true,"terminating":false}},
                    "targetRef":{{"kind":"Pod","namespace":"{namespace}","name":"{service}-{node}","uid":"u"}}}}"#,
                    index & 255
                )
            };
            let endpoints = [1, 2, 3].map(endpoint).join(",");
            format!(
                r#"{{{},"addressType":"IPv4","endpoints":[{endpoints}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}"#,
                metadata(
                    &service,
                    &format!(
                        r#""app.kubernetes.io/name":"{service}","kubernetes.io/service-name":"{service}""#
                    )
                ),
            )
        }
        _ => format!(
            r#"{{{},"spec":{{"address":"{address}","pool":"public","consumers":[{{"kind":"Service","namespace":"{namespace}","name":"{service}",
            "uid":"0d5ff1d6-6a2e-4b9b-8f5e-{index:012x}","ports":[{{"protocol":"TCP","port":80}}]}}]}}}}"#,
            metadata(&address, "")
        ),
    };
    let object: String = object.split('\n').map(str::trim_start).collect();
    format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n")
}

/// The resident memory of this process, in MiB.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes / 1024.0)
}
