// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Services whose endpoints are not what a Deployment's are: none, placeholders, or ones that name no node.

use std::thread;

use anyhow::Result;
use ferrolb_control_plane::{Installation, ProxyMode};
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::rights::within;

use crate::patience::{SLOWLY, SOON, eventually, expect};
use crate::start::{alone, eventually_reported, eventually_served, launched};

fn service(name: &str, policy: &str, annotations: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: default, annotations: {{{annotations}}}}}, \
         spec: {{type: LoadBalancer, externalTrafficPolicy: {policy}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}}}\n"
    )
}

fn slice(service: &str, endpoints: &str) -> String {
    format!(
        "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {service}-1, namespace: default, \
         labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, endpoints: [{endpoints}], \
         ports: [{{name: http, port: 8080, protocol: TCP}}]}}\n"
    )
}

/// Whether anybody answers for the address of `service`.
fn is_announced(installation: &Installation, service: &str) -> Result<bool> {
    let look = NewClients::start(&installation.lab().newcomer, installation.address_of(service, true)?)?;
    thread::sleep(SOON / 6);
    Ok(!look.finish()?.answers.is_empty())
}

#[test]
fn services_without_ordinary_endpoints_are_announced_where_somebody_asks_for_it() {
    within(|| {
        let _turn = alone();
        let installation = launched(2, ProxyMode::NFTables)?;
        let wanted = "ferrolb.io/announce-without-endpoints: 'true'";
        let manifests = [
            service("silent", "Cluster", ""),
            service("early", "Cluster", wanted),
            // A gateway's Service: an address that stands for nothing, and is not ready.
            service("placeholder", "Cluster", wanted),
            slice("placeholder", "{addresses: [192.0.2.1], conditions: {ready: false}}"),
            // Ready endpoints outside of every node.
            service("nodeless", "Cluster", ""),
            slice("nodeless", "{addresses: [10.244.1.10], conditions: {ready: true}}"),
            service("nodeless-local", "Local", ""),
            slice("nodeless-local", "{addresses: [10.244.1.10], conditions: {ready: true}}"),
        ];
        installation.kubectl().create(&manifests.concat())?;

        eventually_served(&installation, "nodeless")?;
        for service in ["early", "placeholder"] {
            eventually_reported(&installation, service, "")?;
            assert!(is_announced(&installation, service)?, "{service}");
        }
        for service in ["silent", "nodeless-local"] {
            // An address, and nobody who answers for it: no node has an endpoint for its traffic.
            eventually(&format!("{service} has an address"), SLOWLY, || {
                installation.address_of(service, true)
            })?;
            assert!(!is_announced(&installation, service)?, "{service}\n{}", installation.logs());
        }

        // The endpoint comes.
        let ready = slice("silent", "{addresses: [10.244.2.10], nodeName: n2, conditions: {ready: true}}");
        installation.kubectl().create(&ready)?;
        let (pod, _) = eventually_served(&installation, "silent")?;
        expect(&pod, &"n2".to_owned())
    });
}
