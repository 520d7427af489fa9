// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The manifests that the tests are made of.

use std::path::Path;

use ferrolb_config::Object;
use ferrolb_config::manifest::Manifest;

/// What every cluster has: all that the interfaces' subnets hold, and a network that none of them is in.
pub const POOL: &str = "\
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, '2001:db8::/64']}
";

/// Of a Service.
pub const LOCAL: &str = "externalTrafficPolicy: Local";

/// The objects of a text.
pub fn objects(text: &str) -> Vec<Object> {
    let manifest = Manifest::parse(Path::new("test.yaml"), text);
    assert_eq!(manifest.refused, [], "{text}");
    manifest.documents.into_iter().map(|document| document.object).collect()
}

/// A node with this metadata beside its name.
pub fn node(name: &str, metadata: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, {metadata}}}\n")
}

/// An advertisement of everything, but for what `spec` says.
pub fn advertisement(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

/// A Service of type LoadBalancer.
pub fn service(name: &str, spec: &str) -> String {
    labelled(name, "", spec)
}

/// A Service with this metadata beside its name.
pub fn labelled(name: &str, metadata: &str, spec: &str) -> String {
    let ports = if spec.contains("ports:") { "" } else { "ports: [{port: 80}]," };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default, {metadata}}}\n\
         spec: {{type: LoadBalancer, {ports} {spec}}}\n"
    )
}

/// A ready endpoint of the Service on each of the nodes.
pub fn endpoints(service: &str, nodes: &[&str]) -> String {
    let ready: Vec<_> = nodes.iter().map(|node| (*node, "ready: true")).collect();
    conditioned(service, &ready)
}

/// Endpoints of the Service: their nodes and conditions.
pub fn conditioned(service: &str, endpoints: &[(&str, &str)]) -> String {
    let endpoints: Vec<String> = endpoints
        .iter()
        .enumerate()
        .map(|(number, (node, conditions))| {
            format!(
                "{{addresses: ['10.0.0.{}'], nodeName: {node}, conditions: {{{conditions}}}}}",
                number + 1
            )
        })
        .collect();
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-1, namespace: default, labels: {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: IPv4\nports: [{{port: 8080}}]\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}

/// Ready IPv6 endpoints of the Service, beside those of [`endpoints`].
pub fn ipv6_endpoints(service: &str, nodes: &[&str]) -> String {
    endpoints(service, nodes)
        .replace("-1,", "-2,")
        .replace("addressType: IPv4", "addressType: IPv6")
        .replace("10.0.0.", "fd00::")
}

/// The record of an address that these Services use, elected by itself.
pub fn vip(address: &str, services: &[&str]) -> String {
    record(address, services, "")
}

/// The record of an address that is elected together with the others of its group.
pub fn grouped(address: &str, services: &[&str], group: &str) -> String {
    record(address, services, &format!(", group: {group}"))
}

fn record(address: &str, services: &[&str], more: &str) -> String {
    let name = ferrolb_config::address::virtual_ip_name(address.parse().unwrap());
    let consumers: Vec<String> = services
        .iter()
        .map(|service| format!("{{kind: Service, namespace: default, name: {service}}}"))
        .collect();
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: '{name}'}}\n\
         spec: {{address: '{address}', pool: lan, consumers: [{}]{more}}}\n",
        consumers.join(", ")
    )
}

/// The text of a Service on an address, with ready endpoints on the nodes.
pub fn served(name: &str, spec: &str, address: &str, nodes: &[&str]) -> [String; 3] {
    [service(name, spec), endpoints(name, nodes), vip(address, &[name])]
}
