// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker costs that has a hundred addresses to look after and nothing to do.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use ferrolb_lab::Lab;
use ferrolb_lab::installation::Installation;

use ferrolb_lab::quickstart;

const NODES: u8 = 3;
const SERVICES: usize = 100;
/// Start-up work is over by then.
const SETTLE: Duration = Duration::from_secs(3);

/// Figures of every speaker, `n1` first.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    addresses: usize,
    seconds: u64,
    speakers: Vec<Speaker>,
}

#[derive(Debug, Serialize)]
struct Speaker {
    node: String,
    resident_mebibytes: f64,
    percent_of_a_core: f64,
}

/// Watches three speakers with [`SERVICES`] addresses for `span`.
pub(crate) fn run(binary: &Path, span: Duration) -> Result<Idle> {
    println!("\nIdle, {SERVICES} addresses, watching for {} s.", span.as_secs());
    let (pool, services, endpoints) = (pool(), services(), endpoints());
    let nodes = quickstart::MANIFESTS.iter().filter(|(name, _)| *name == "nodes.yaml").copied();
    let manifests: Vec<(&str, &str)> = nodes
        .chain([("pool.yaml", pool.as_str()), ("services.yaml", &services), ("endpoints.yaml", &endpoints)])
        .collect();
    let mut installation = Installation::prepare(Lab::build(NODES)?, binary, &manifests)?;
    installation.start()?;
    thread::sleep(SETTLE);
    let addresses = installation.settled()?.addresses.len();
    anyhow::ensure!(addresses == SERVICES, "{addresses} of {SERVICES} Services have an address");

    let names: Vec<String> = installation.lab().nodes.iter().map(|node| node.name.clone()).collect();
    let mut before = Vec::new();
    for name in &names {
        before.push(installation.speaker(name)?.processor_time()?);
    }
    thread::sleep(span);
    let mut speakers = Vec::new();
    for (node, before) in names.into_iter().zip(before) {
        let process = installation.speaker(&node)?;
        let used = process.processor_time()?.saturating_sub(before);
        let resident = process.resident_bytes()?;
        speakers.push(Speaker {
            node,
            resident_mebibytes: resident as f64 / f64::from(1 << 20),
            percent_of_a_core: used.as_secs_f64() / span.as_secs_f64() * 100.0,
        });
    }
    Ok(Idle { addresses, seconds: span.as_secs(), speakers })
}

fn pool() -> String {
    "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {name: hundred}\n\
     spec: {addresses: [198.51.100.100-198.51.100.249]}\n---\n\
     apiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: hundred}\nspec: {addressPools: [hundred]}\n"
        .to_owned()
}

fn services() -> String {
    let mut text = String::new();
    for number in 0..SERVICES {
        // Writing to a String does not fail.
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{namespace: default, name: s{number}}}\n\
             spec: {{type: LoadBalancer, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n"
        )
        .ok();
    }
    text
}

fn endpoints() -> String {
    let mut text = String::new();
    for number in 0..SERVICES {
        write!(
            text,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{namespace: default, name: s{number}, labels: {{kubernetes.io/service-name: s{number}}}}}\n\
             endpoints:\n{}ports: [{{name: http, protocol: TCP, port: 8080}}]\n",
            (1..=NODES)
                .map(|node| format!("- {{addresses: [10.244.{node}.10], nodeName: n{node}, conditions: {{ready: true}}}}\n"))
                .collect::<String>()
        )
        .ok();
    }
    text
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Idle speaker with {} addresses ({} s)      RSS MiB   % of a core",
            self.addresses, self.seconds
        )?;
        for speaker in &self.speakers {
            writeln!(
                f,
                "{:48} {:7.1} {:13.2}",
                speaker.node, speaker.resident_mebibytes, speaker.percent_of_a_core
            )?;
        }
        Ok(())
    }
}
