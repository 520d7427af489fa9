// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What FerroLB is told on a rack: one Service whose endpoints are the pods of its nodes, each reached through its own.

use std::time::Duration;

use super::{ADDRESS, MULTIPLIER, NODE_AS, PORT, ROUTER_AS};
use crate::Place;
use crate::addresses::{POD_TCP, pod_v4};

/// How the router is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Between two BFD packets.
    pub interval: Duration,
    /// The router keeps the routes while a speaker restarts.
    pub graceful_restart: bool,
}

/// File names and texts for so many nodes.
pub fn manifests(nodes: u8, watched: Watched) -> Vec<(&'static str, String)> {
    let node = |index: u8| {
        let address = Place::Node(index).ipv4();
        format!(
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: n{index}}}, status: {{addresses: [{{type: InternalIP, address: {address}}}]}}}}\n"
        )
    };
    let endpoint = |index: u8| {
        let pod = pod_v4(index);
        format!("{{addresses: [{pod}], nodeName: n{index}, conditions: {{ready: true}}}}")
    };
    let endpoints: Vec<String> = (1..=nodes).map(endpoint).collect();
    let endpoints = endpoints.join(", ");
    let ground = format!(
        "---\n{{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {{name: routed}}, spec: {{addresses: [{ADDRESS}/32]}}}}\n\
         ---\n{{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {{name: routed}}, spec: {{addressPools: [routed]}}}}\n"
    );
    let service = format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{namespace: default, name: web}},\n \
         spec: {{type: LoadBalancer, externalTrafficPolicy: Local, ports: [{{name: http, port: {PORT}, targetPort: {POD_TCP}}}]}}}}\n\
         ---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{namespace: default, name: web, labels: {{kubernetes.io/service-name: web}}}},\n \
         addressType: IPv4, ports: [{{name: http, port: {POD_TCP}}}],\n endpoints: [{endpoints}]}}\n"
    );
    vec![
        ("ground.yaml", ground),
        ("nodes.yaml", (1..=nodes).map(node).collect()),
        ("service.yaml", service),
        ("router.yaml", router(watched)),
    ]
}

fn router(Watched { interval, graceful_restart }: Watched) -> String {
    let (every, router) = (interval.as_millis(), Place::Newcomer.ipv4());
    format!(
        "---\n{{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {{name: rack}},\n \
         spec: {{receiveInterval: {every}, transmitInterval: {every}, detectMultiplier: {MULTIPLIER}}}}}\n\
         ---\n{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: router}},\n \
         spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: {router}, holdTime: 9s, connectTime: 1s, bfdProfile: rack, \
         enableGracefulRestart: {graceful_restart}}}}}\n"
    )
}
