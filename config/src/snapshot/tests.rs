// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::address::Family;
use crate::api::AddressPoolStatus;
use crate::manifest::Manifest;
use crate::reason::Reason;

fn objects(text: &str) -> Objects {
    let manifest = Manifest::parse(Path::new("test.yaml"), text);
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    for document in manifest.documents {
        objects.insert(document.object);
    }
    objects
}

fn snapshot(text: &str) -> Snapshot {
    Snapshot::build(&objects(text))
}

/// The only Service of type LoadBalancer, with `spec` below its type and `annotations`.
fn service(annotations: &str, spec: &str) -> LoadBalancer {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, annotations: {{{annotations}}}}}\nspec: {{type: LoadBalancer, {spec}}}\n"
    );
    snapshot(&text).load_balancers.into_values().next().unwrap()
}

/// The field of the refusal.
fn fault(service: &LoadBalancer) -> Option<&str> {
    service.refusal.as_ref()?.field.as_deref()
}

#[test]
fn a_service_is_read_with_all_that_matters() {
    let web = service(
        "ferrolb.io/addresses: \"192.0.2.10, 2001:db8::10\", ferrolb.io/address-pool: public, ferrolb.io/sharing-key: k, ferrolb.io/announce-without-endpoints: \"true\"",
        "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4], externalTrafficPolicy: Local, sessionAffinity: ClientIP, loadBalancerSourceRanges: [198.51.100.7/24], clusterIPs: [10.0.0.1, \"fd00::1\"], selector: {app: web}, ports: [{name: http, port: 80, targetPort: web, nodePort: 30080}, {name: dns, port: 53, protocol: UDP}]",
    );
    assert_eq!(web.refusal, None);
    assert_eq!(web.families, [Family::V6, Family::V4]);
    assert_eq!(web.family_policy, FamilyPolicy::RequireDualStack);
    assert_eq!(web.traffic_policy, TrafficPolicy::Local);
    assert_eq!(web.requested, ["192.0.2.10".parse::<IpAddr>().unwrap(), "2001:db8::10".parse().unwrap()]);
    assert_eq!((web.pool.as_deref(), web.sharing_key.as_deref()), (Some("public"), Some("k")));
    assert!(web.client_ip_affinity && web.announce_without_endpoints && !web.deleting);
    assert_eq!(web.source_ranges, ["198.51.100.0/24".parse().unwrap()]);
    assert_eq!(web.cluster_ips.len(), 2);
    assert_eq!(web.backend_selector["app"], "web");
    let [http, dns] = &web.ports[..] else { panic!("{:?}", web.ports) };
    assert_eq!((http.protocol, http.port, http.node_port), (Protocol::Tcp, 80, Some(30080)));
    assert_eq!(http.target, TargetPort::Name("web".to_owned()));
    assert_eq!((dns.protocol, dns.port, &dns.target), (Protocol::Udp, 53, &TargetPort::Number(53)));
    assert!(web.uid.is_some());
}

#[test]
fn a_service_with_a_fault_is_there_and_carries_it() {
    for (annotations, spec, field) in [
        ("ferrolb.io/addresses: nonsense", "", "metadata.annotations[ferrolb.io/addresses]"),
        ("ferrolb.io/addresses: \"192.0.2.1,192.0.2.2\"", "", "metadata.annotations[ferrolb.io/addresses]"),
        (
            "ferrolb.io/addresses: 192.0.2.1",
            "loadBalancerIP: 192.0.2.2",
            "metadata.annotations[ferrolb.io/addresses]",
        ),
        ("", "loadBalancerIP: \"192.0.2.300\"", "spec.loadBalancerIP"),
        ("", "loadBalancerSourceRanges: [198.51.100.0/24, everybody]", "spec.loadBalancerSourceRanges[1]"),
        ("", "ports: [{port: 0}]", "spec.ports[0].port"),
        ("", "ports: [{port: 80, protocol: tcp}]", "spec.ports[0].protocol"),
        ("", "ports: [{port: 80, targetPort: 70000}]", "spec.ports[0].targetPort"),
        ("", "ports: [{port: 80, name: a}, {port: 80, name: b}]", "spec.ports[1].port"),
        ("", "ipFamilies: [IPv5]", "spec.ipFamilies[0]"),
        ("", "ipFamilies: [IPv4, IPv4]", "spec.ipFamilies[1]"),
        ("", "ipFamilyPolicy: Dual", "spec.ipFamilyPolicy"),
        ("", "externalTrafficPolicy: Near", "spec.externalTrafficPolicy"),
    ] {
        let web = service(annotations, spec);
        assert_eq!(fault(&web), Some(field), "{annotations} {spec}");
        assert!(web.refusal.unwrap().remedy.is_some());
    }
}

#[test]
fn diff_05_the_annotation_and_the_field_may_say_the_same() {
    let web = service("ferrolb.io/addresses: 192.0.2.1", "loadBalancerIP: 192.0.2.1");
    assert_eq!((web.requested.len(), web.refusal), (1, None));
}

#[test]
fn only_load_balancers_of_our_class_are_ours() {
    let service = |name: &str, spec: &str| {
        format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
    };
    let text = [
        service("none", "type: LoadBalancer"),
        service("ours", "type: LoadBalancer, loadBalancerClass: ferrolb.io/ferrolb"),
        service("theirs", "type: LoadBalancer, loadBalancerClass: metallb.io/metallb"),
        service("inner", "type: ClusterIP"),
    ];
    let snapshot = snapshot(&text.concat());
    let names: Vec<&str> = snapshot.load_balancers.keys().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["none", "ours"]);
    assert_eq!(snapshot.refused.len(), 1);
    assert_eq!(snapshot.refused[0].reason, Reason::OtherLoadBalancerClass);
}

#[test]
fn endpoints_of_all_slices_come_together_once_each() {
    let slice = |name: &str, endpoints: &str| {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{endpoints}]\n"
        )
    };
    let snapshot = snapshot(&[
        slice("a", "{addresses: [10.1.0.2], nodeName: n2}, {addresses: [10.1.0.1], nodeName: n1}"),
        slice("b", "{addresses: [10.1.0.1], nodeName: n1}, {addresses: [10.1.0.3], conditions: {ready: false, serving: true, terminating: true}}, {addresses: [host.example]}"),
    ].concat());
    let endpoints = &snapshot.endpoints[&ServiceName { namespace: "default".into(), name: "web".into() }];
    let told: Vec<_> =
        endpoints.iter().map(|e| (e.address.to_string(), e.ready, e.serving, e.terminating)).collect();
    assert_eq!(
        told,
        [
            ("10.1.0.1".to_owned(), true, true, false),
            ("10.1.0.2".to_owned(), true, true, false),
            ("10.1.0.3".to_owned(), false, true, true),
        ]
    );
    assert_eq!(endpoints[0].ports[0].port, 8080);
    assert_eq!(snapshot.refused[0].field.as_deref(), Some("endpoints[2].addresses[0]"));
}

#[test]
fn a_node_says_why_it_must_not_carry_addresses() {
    for (metadata, spec, away) in [
        ("labels: {rack: a}", "", None),
        ("labels: {node.kubernetes.io/exclude-from-external-load-balancers: \"\"}", "", Some(Away::Excluded)),
        ("annotations: {ferrolb.io/drain: \"true\"}", "", Some(Away::Draining)),
        ("annotations: {ferrolb.io/drain: \"false\"}", "", None),
        (
            "labels: {}",
            "taints: [{key: node.kubernetes.io/out-of-service, effect: NoExecute}]",
            Some(Away::OutOfService),
        ),
        (
            "labels: {}",
            "taints: [{key: node.cloudprovider.kubernetes.io/shutdown, effect: NoSchedule}]",
            Some(Away::ShutDown),
        ),
        (
            "labels: {}",
            "taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]",
            Some(Away::BeingRemoved),
        ),
        (
            "labels: {}",
            "taints: [{key: karpenter.sh/disrupted, effect: NoSchedule}]",
            Some(Away::BeingRemoved),
        ),
        (
            "labels: {}",
            "taints: [{key: DeletionCandidateOfClusterAutoscaler, effect: PreferNoSchedule}]",
            None,
        ),
        ("labels: {}", "unschedulable: true", None),
        (
            "labels: {}",
            "unschedulable: true, taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]",
            None,
        ),
    ] {
        let text =
            format!("apiVersion: v1\nkind: Node\nmetadata: {{name: n1, {metadata}}}\nspec: {{{spec}}}\n");
        assert_eq!(snapshot(&text).nodes["n1"].away, away, "{metadata} {spec}");
    }
    let status = "status: {addresses: [{type: InternalIP, address: 198.51.100.1}, {type: Hostname, address: n1}], conditions: [{type: Ready, status: \"False\"}]}";
    let node =
        snapshot(&format!("apiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\n{status}\n")).nodes["n1"]
            .clone();
    assert_eq!((node.addresses.len(), node.ready, node.away), (1, Some(false), None));
}

#[test]
fn l2_011_a_node_without_a_network_carries_no_address_until_it_has_one() {
    for (unavailable, away) in [("True", Some(Away::NetworkUnavailable)), ("False", None), ("Unknown", None)]
    {
        let status =
            format!("status: {{conditions: [{{type: NetworkUnavailable, status: \"{unavailable}\"}}]}}");
        let text = format!("apiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\n{status}\n");
        assert_eq!(snapshot(&text).nodes["n1"].away, away, "{unavailable}");
    }
}

const POOL: &str =
    "---\napiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {name: web, labels: {tier: front}}\n";
const L2: &str = "---\napiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: adv}\n";

#[test]
fn an_advertisement_selects_by_name_by_label_or_everything() {
    for (spec, selected) in [
        ("", true),
        ("addressPools: [web]", true),
        ("addressPools: [other]", false),
        ("addressPools: [other], addressPoolSelectors: [{matchLabels: {tier: front}}]", true),
        ("addressPoolSelectors: [{matchLabels: {tier: back}}]", false),
    ] {
        let snapshot =
            snapshot(&format!("{POOL}spec: {{addresses: [192.0.2.0/24]}}\n{L2}spec: {{{spec}}}\n"));
        assert_eq!(snapshot.advertisements["adv"].selects_pool(&snapshot.pools["web"]), selected, "{spec}");
    }
    let doubled = snapshot(&format!("{L2}spec: {{addressPools: [web, web]}}\n"));
    assert_eq!(doubled.refused[0].field.as_deref(), Some("spec.addressPools[1]"));
}

#[test]
fn a_selector_with_a_mistake_leaves_the_accepted_form_in_force() {
    let wrong = "spec: {nodeSelectors: [{matchExpressions: [{key: rack, operator: Near}]}]}\n";
    let mut objects = objects(&format!("{L2}{wrong}"));
    assert_eq!(Snapshot::build(&objects).advertisements, BTreeMap::new());
    let advertisement = Arc::make_mut(objects.l2_advertisements.get_mut("adv").unwrap());
    let mut accepted = advertisement.spec.clone();
    accepted.node_selectors.clear();
    advertisement.status =
        Some(crate::api::L2AdvertisementStatus { accepted: Some(accepted), ..Default::default() });
    let snapshot = Snapshot::build(&objects);
    assert_eq!(snapshot.advertisements["adv"].node_selectors, []);
    assert_eq!(snapshot.refused[0].reason, Reason::InvalidSelector);
}

#[test]
fn an_invalid_pool_keeps_its_accepted_ranges_and_takes_nobody_new() {
    let mut objects = objects(&format!("{POOL}spec: {{addresses: [192.0.2.20-192.0.2.10]}}\n"));
    let empty = &Snapshot::build(&objects).pools["web"];
    assert!(empty.ranges.is_empty() && empty.accepting.is_err());
    Arc::make_mut(objects.pools.get_mut("web").unwrap()).status = Some(AddressPoolStatus {
        accepted_addresses: vec!["192.0.2.10-192.0.2.20".to_owned()],
        ..AddressPoolStatus::default()
    });
    let pool = &Snapshot::build(&objects).pools["web"];
    assert!(pool.contains("192.0.2.15".parse().unwrap()));
    assert_eq!(pool.accepting.as_ref().unwrap_err().reason, Reason::InvalidRange);
}

#[test]
fn ipam_020_a_pool_that_avoids_buggy_addresses_does_not_have_them() {
    let snapshot = snapshot(&format!("{POOL}spec: {{addresses: [1.2.4.0/24], avoidBuggyIPs: true}}\n"));
    let pool = &snapshot.pools["web"];
    for (address, inside) in [("1.2.4.0", false), ("1.2.4.255", false), ("1.2.4.254", true)] {
        assert_eq!(pool.contains(address.parse().unwrap()), inside, "{address}");
    }
    assert_eq!(pool.count(Family::V4), 254);
    assert_eq!(pool.lowest_free(Family::V4, None, |_| false), Some("1.2.4.1".parse().unwrap()));
}

#[test]
fn a_virtual_ip_under_another_name_than_its_address_is_refused() {
    let record = |name: &str| {
        format!(
            "---\napiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: {name}}}\nspec: {{address: \"2001:db8::1\", pool: web, consumers: []}}\n"
        )
    };
    let snapshot = snapshot(&[record("2001-db8-0-0-0-0-0-1"), record("2001-db8--1")].concat());
    assert_eq!(snapshot.virtual_ips.len(), 1);
    assert_eq!(snapshot.refused[0].object.as_ref().unwrap().name, "2001-db8--1");
}

/// The budget is 50 ms for an optimised build; this one is not, and shares the machine with the other tests.
#[test]
fn ten_thousand_services_are_a_matter_of_milliseconds() {
    let mut objects = objects(&format!("{POOL}spec: {{addresses: [10.0.0.0/8]}}\n"));
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {app: web}}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}, {addresses: [10.1.0.3]}]\n";
    let one = self::objects(text);
    for number in 0..10_000 {
        let name = ServiceName { namespace: "default".to_owned(), name: format!("web-{number}") };
        let mut service = one.services.values().next().unwrap().clone();
        Arc::make_mut(&mut service).metadata.name = Some(name.name.clone());
        objects.services.insert(name.clone(), service);
        let mut slice = one.endpoint_slices.values().next().unwrap().clone();
        Arc::make_mut(&mut slice).metadata.labels =
            Some([("kubernetes.io/service-name".to_owned(), name.name.clone())].into());
        objects.endpoint_slices.insert(name, slice);
    }
    let started = Instant::now();
    let snapshot = Snapshot::build(&objects);
    let took = started.elapsed();
    println!("10,000 Services: {took:?}");
    assert_eq!((snapshot.load_balancers.len(), snapshot.endpoints.len()), (10_000, 10_000));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

fn preferring(entries: &str) -> Snapshot {
    snapshot(&format!(
        "{POOL}spec: {{addresses: [192.0.2.0/24]}}\n{L2}spec: {{preferredNodeSelectors: [{entries}]}}\n"
    ))
}

#[test]
fn conf_072_a_weight_is_1_to_100() {
    for (weight, accepted) in [(0, false), (1, true), (100, true), (101, false)] {
        let snapshot = preferring(&format!("{{weight: {weight}, preference: {{}}}}"));
        assert_eq!(snapshot.advertisements.contains_key("adv"), accepted, "{weight}");
        let fields: Vec<_> = snapshot.refused.iter().filter_map(|refusal| refusal.field.as_deref()).collect();
        let wrong: &[&str] = if accepted { &[] } else { &["spec.preferredNodeSelectors[0].weight"] };
        assert_eq!(fields, wrong, "{weight}");
    }
}

#[test]
fn conf_073_weights_sum_per_eligible_node_an_empty_preference_matches_all_and_a_bad_operator_is_an_error() {
    let node = |labels: &str| {
        let text = format!("apiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{{labels}}}}}\n");
        snapshot(&text).nodes["n"].clone()
    };
    let entries = "{weight: 60, preference: {matchLabels: {rack: a}}}, {weight: 5, preference: {}}";
    let advertisement = &preferring(entries).advertisements["adv"];
    assert_eq!(
        (advertisement.preference_for(&node("rack: a")), advertisement.preference_for(&node(""))),
        (65, 5)
    );
    let limited = format!(
        "{POOL}spec: {{addresses: [192.0.2.0/24]}}\n{L2}spec: {{nodeSelectors: [{{matchLabels: {{edge: 'yes'}}}}], preferredNodeSelectors: [{entries}]}}\n"
    );
    let limited = &snapshot(&limited).advertisements["adv"];
    assert_eq!(limited.preference_for(&node("rack: a")), 0);
    assert_eq!(limited.preference_for(&node("rack: a, edge: 'yes'")), 65);
    let broken = preferring("{weight: 1, preference: {matchExpressions: [{key: a, operator: Near}]}}");
    assert!(broken.advertisements.is_empty());
    let field = broken.refused[0].field.as_deref();
    assert_eq!(field, Some("spec.preferredNodeSelectors[0].preference.matchExpressions[0].operator"));
}
