// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Intent for FloatingIPs, from manifests.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::manifest::Manifest;
use ferrolb_config::reason::Reason;

use crate::datapath::{Mode, Source};
use crate::intent::{Carriage, Follower, Intent, VipIntent};

const GROUND: &str = "
kind: Node
apiVersion: v1
metadata: {name: n1, labels: {edge: 'yes', node.kubernetes.io/exclude-from-external-load-balancers: ''}}
---
kind: Node
apiVersion: v1
metadata: {name: n2, labels: {edge: 'yes'}}
---
kind: Node
apiVersion: v1
metadata: {name: n3}
---
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/24], allowBound: true}
---
";
const ANNOUNCED: &str = "
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: all}
spec: {}
---
";
const ADDRESS: &str = "192.0.2.1";

fn floating(spec: &str, mode: &str) -> String {
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: FloatingIP\nmetadata: {{name: edge, namespace: default}}\n\
         spec: {{mode: {mode}, {spec}}}\n---\n\
         apiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: {ADDRESS}}}\n\
         spec: {{address: {ADDRESS}, pool: lan, mode: {mode}, group: default/floatingip/edge, \
         consumers: [{{kind: FloatingIP, namespace: default, name: edge}}]}}\n---\n"
    )
}

fn endpoints(service: &str, nodes: &[(&str, bool)]) -> String {
    let endpoints: Vec<String> = nodes
        .iter()
        .enumerate()
        .map(|(index, (node, ready))| {
            format!("{{addresses: [10.0.0.{index}], nodeName: {node}, conditions: {{ready: {ready}}}}}")
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {service}, namespace: default}}\n\
         spec: {{ports: [{{port: 443, name: https}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}, namespace: default, labels: {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: IPv4\nports: [{{port: 8443, name: https}}]\nendpoints: [{}]\n---\n",
        endpoints.join(", ")
    )
}

fn on(node: &str, mode: Mode, parts: &[&str]) -> Intent {
    let text = [&[GROUND], parts].concat().concat();
    let manifest = Manifest::parse(Path::new("test.yaml"), text.trim_end_matches("---\n"));
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    for document in manifest.documents {
        objects.insert(document.object);
    }
    let mut follower = Follower::new(node, mode);
    follower.follow(&Arc::new(objects));
    Intent::clone(follower.intent())
}

fn vip(intent: &Intent) -> &VipIntent {
    intent.vips[&ADDRESS.parse::<IpAddr>().unwrap()].as_ref()
}

fn candidates(vip: &VipIntent) -> Vec<&str> {
    vip.candidates.iter().map(String::as_str).collect()
}

fn reason(vip: &VipIntent) -> Option<Reason> {
    vip.here.as_ref().err().map(|obstacle| obstacle.reason)
}

#[test]
fn the_label_that_keeps_load_balancers_away_does_not_keep_a_floating_ip_away() {
    let intent =
        on("n1", Mode::KubeProxy, &[ANNOUNCED, &floating("healthChecks: [{tcp: {port: 6443}}]", "Bound")]);
    let vip = vip(&intent);
    assert_eq!(candidates(vip), ["n1", "n2", "n3"]);
    assert_eq!((vip.here.is_ok(), vip.carriage, vip.checks.len()), (true, Carriage::Bound, 1));
    assert_eq!(intent.checks().len(), 1);
    // No rule of ours touches the traffic of a bound address.
    assert_eq!(intent.data_path(), Default::default());
}

#[test]
fn a_drained_node_is_kept_away_even_if_it_has_the_label_too() {
    let drained = GROUND
        .replace("metadata: {name: n1,", "metadata: {name: n1, annotations: {ferrolb.io/drain: 'true'},");
    let node = drained.split("---\n").next().unwrap().to_owned() + "---\n";
    let intent = on("n1", Mode::NFTables, &[&node, ANNOUNCED, &floating("", "Bound")]);
    assert_eq!(candidates(vip(&intent)), ["n2", "n3"]);
    assert_eq!(reason(vip(&intent)), Some(Reason::NodeDrained));
}

#[test]
fn candidates_are_chosen_by_label_and_by_the_ready_endpoints_of_a_service() {
    let spec = "candidates: {nodeSelector: {matchLabels: {edge: 'yes'}}, service: ingress}";
    let nodes = endpoints("ingress", &[("n1", false), ("n2", true), ("n3", true)]);
    let parts = [ANNOUNCED, &floating(spec, "Bound"), &nodes];
    let intent = on("n2", Mode::NFTables, &parts);
    assert_eq!(candidates(vip(&intent)), ["n2"]);
    assert_eq!(reason(vip(&intent)), None);
    assert_eq!(reason(vip(&on("n3", Mode::NFTables, &parts))), Some(Reason::NodeNotSelected));
    assert_eq!(reason(vip(&on("n1", Mode::NFTables, &parts))), Some(Reason::NoLocalEndpoints));
}

#[test]
fn ports_of_the_node_are_led_there_even_beside_kube_proxy() {
    let spec = "target: {ports: [{port: 443, targetPort: 6443}, {port: 53, protocol: SCTP}]}";
    for mode in [Mode::KubeProxy, Mode::NFTables] {
        let intent = on("n1", mode, &[ANNOUNCED, &floating(spec, "ReplyOnly")]);
        let ports: Vec<String> = intent
            .ports
            .iter()
            .map(|(frontend, backends)| format!("{frontend} -> {:?}", backends.endpoints))
            .collect();
        assert_eq!(ports, ["tcp 192.0.2.1:443 -> {0.0.0.0:6443}"]);
        assert_eq!(intent.data_path().ours.len(), 1);
        assert_eq!(vip(&intent).carriage, Carriage::Ours);
        let refused: Vec<Reason> = intent.refused.values().flatten().map(|refusal| refusal.reason).collect();
        assert_eq!(refused, [Reason::UnsupportedProtocol]);
    }
}

#[test]
fn a_service_of_any_type_is_a_target_and_without_endpoints_a_reason() {
    let spec = floating("target: {service: web}", "ReplyOnly");
    let served = on("n1", Mode::KubeProxy, &[ANNOUNCED, &spec, &endpoints("web", &[("n3", true)])]);
    let backends = served.ports.values().next().expect("a port");
    assert_eq!((backends.source, backends.endpoints.len()), (Source::Masqueraded, 1));
    assert_eq!(candidates(vip(&served)), ["n1", "n2", "n3"]);
    let empty = on("n1", Mode::KubeProxy, &[ANNOUNCED, &spec, &endpoints("web", &[])]);
    assert_eq!((reason(vip(&empty)), candidates(vip(&empty))), (Some(Reason::NoEndpoints), vec![]));
}

#[test]
fn an_advertisement_for_certain_services_does_not_cover_it() {
    let selective = "
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: some}
spec: {serviceSelectors: [{matchLabels: {tier: gold}}]}
---
";
    let intent = on("n1", Mode::NFTables, &[selective, &floating("", "Bound")]);
    assert_eq!(reason(vip(&intent)), Some(Reason::NotAdvertised));
}

#[test]
fn a_record_of_another_mode_than_the_spec_is_not_carried() {
    let spec = floating("", "Bound").replacen("mode: Bound", "mode: ReplyOnly, target: {service: web}", 1);
    let intent = on("n1", Mode::NFTables, &[ANNOUNCED, &spec]);
    assert_eq!(reason(vip(&intent)), Some(Reason::NotFound));
}
