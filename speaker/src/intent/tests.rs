// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Intent from manifests: three nodes, one pool, one advertisement, and what each test adds.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::manifest::Manifest;
use ferrolb_config::reason::Reason;

use super::{Follower, Intent, InterfaceRule, VipIntent};
use crate::datapath::{Clients, Mode, Role, Source};

const NODES: &str = "
kind: Node
apiVersion: v1
metadata: {name: n1, labels: {rack: a}}
---
kind: Node
apiVersion: v1
metadata: {name: n2, labels: {rack: b}}
---
kind: Node
apiVersion: v1
metadata: {name: n3, labels: {rack: b}}
---
";
const POOL: &str = "
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/24, '2001:db8::/64']}
---
";

fn advertisement(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: L2Advertisement\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"
    )
}

fn vip(address: &str, group: &str, consumers: &[&str]) -> String {
    let name = ferrolb_config::address::virtual_ip_name(address.parse().unwrap());
    let consumers: Vec<String> = consumers
        .iter()
        .map(|consumer| format!("{{kind: Service, namespace: default, name: {consumer}}}"))
        .collect();
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: '{name}'}}\n\
         spec: {{address: '{address}', pool: lan, group: {group}, consumers: [{}]}}\n---\n",
        consumers.join(", ")
    )
}

fn service(name: &str, more: &str) -> String {
    service_with(name, "", "ports: [{port: 80}]", more)
}

fn service_with(name: &str, metadata: &str, ports: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default, {metadata}}}\n\
         spec: {{type: LoadBalancer, {ports}, {more}}}\n---\n"
    )
}

const LOCAL: &str = "externalTrafficPolicy: Local";

/// `endpoints` are address, node (or `-`), conditions.
fn slice(service: &str, endpoints: &[(&str, &str, &str)]) -> String {
    let family = if endpoints.iter().any(|(address, ..)| address.contains(':')) { "IPv6" } else { "IPv4" };
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|(address, node, conditions)| {
            let node = if *node == "-" { String::new() } else { format!("nodeName: {node}, ") };
            format!("{{addresses: ['{address}'], {node}conditions: {{{conditions}}}}}")
        })
        .collect();
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-{}, namespace: default, labels: {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: {family}\nports: [{{port: 8080}}]\nendpoints: [{}]\n---\n",
        family.to_lowercase(),
        endpoints.join(", ")
    )
}

fn objects(parts: &[&str]) -> Arc<Objects> {
    let text = parts.concat();
    let manifest = Manifest::parse(Path::new("test.yaml"), text.trim_end_matches("---\n"));
    assert_eq!(manifest.refused, []);
    let mut objects = Objects::default();
    for document in manifest.documents {
        objects.insert(document.object);
    }
    Arc::new(objects)
}

fn on(node: &str, parts: &[&str]) -> Intent {
    let mut follower = Follower::new(node, Mode::NFTables);
    follower.follow(&objects(&[&[NODES, POOL], parts].concat()));
    Intent::clone(follower.intent())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn candidates(vip: &VipIntent) -> Vec<&str> {
    vip.candidates.iter().map(String::as_str).collect()
}

fn reason(vip: &VipIntent) -> Option<Reason> {
    vip.here.as_ref().err().map(|obstacle| obstacle.reason)
}

/// The virtual IP of a Service with these endpoints, on `node`, with everything advertised.
fn web_on(node: &str, more: &str, endpoints: &[(&str, &str, &str)]) -> VipIntent {
    let parts = [
        advertisement("all", ""),
        vip("192.0.2.1", "web", &["web"]),
        service("web", more),
        slice("web", endpoints),
    ];
    let intent = on(node, &parts.each_ref().map(String::as_str));
    VipIntent::clone(&intent.vips[&address("192.0.2.1")])
}

const POD1: (&str, &str, &str) = ("10.0.1.1", "n1", "ready: true");
const POD2: (&str, &str, &str) = ("10.0.2.1", "n2", "ready: true");

#[test]
fn l2_001_policy_cluster_makes_every_node_a_candidate() {
    let vip = web_on("n3", "", &[POD1]);
    assert_eq!(candidates(&vip), ["n1", "n2", "n3"]);
    assert_eq!((vip.here, vip.group), (Ok(()), "web".into()));
    assert_eq!(vip.interfaces, InterfaceRule::OnLink);
}

#[test]
fn l2_002_policy_local_wants_a_ready_endpoint_on_the_node() {
    let vip = web_on("n3", LOCAL, &[POD1, POD2, ("10.0.3.1", "n3", "ready: false"), ("10.0.4.1", "-", "")]);
    assert_eq!(candidates(&vip), ["n1", "n2"]);
    assert_eq!(reason(&vip), Some(Reason::NoLocalEndpoints));
    assert_eq!(
        &*vip.here.unwrap_err().message,
        "Service default/web has externalTrafficPolicy Local and no ready endpoint on Node n3"
    );
}

#[test]
fn l2_003_without_an_endpoint_nobody_announces() {
    for more in ["", LOCAL] {
        let vip = web_on("n1", more, &[("10.0.1.1", "n1", "ready: false")]);
        assert!(vip.candidates.is_empty());
        assert_eq!(reason(&vip), Some(Reason::NoEndpoints));
    }
}

#[test]
fn l2_004_an_endpoint_that_serves_while_terminating_counts_if_none_is_ready() {
    let terminating = ("10.0.1.1", "n1", "ready: false, serving: true, terminating: true");
    assert_eq!(candidates(&web_on("n1", LOCAL, &[terminating])), ["n1"]);
    assert_eq!(candidates(&web_on("n1", LOCAL, &[terminating, POD2])), ["n2"]);
}

#[test]
fn l2_005_ready_unset_counts_as_ready_and_ready_without_serving_too() {
    assert_eq!(candidates(&web_on("n1", LOCAL, &[("10.0.1.1", "n1", "")])), ["n1"]);
    assert_eq!(
        candidates(&web_on("n1", LOCAL, &[("10.0.1.1", "n1", "ready: true, serving: false")])),
        ["n1"]
    );
}

#[test]
fn l2_012_a_node_that_is_labelled_out_drained_or_off_is_no_candidate_and_one_not_ready_is() {
    let node = |name: &str, metadata: &str, more: &str| {
        format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, {metadata}}}\n{more}\n---\n")
    };
    let nodes = [
        node("n4", "labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ""),
        node("n5", "annotations: {ferrolb.io/drain: 'true'}", ""),
        node("n6", "", "spec: {taints: [{key: node.kubernetes.io/out-of-service, effect: NoExecute}]}"),
        node("n7", "", "status: {conditions: [{type: Ready, status: 'False'}]}"),
    ]
    .concat();
    let rest = [
        advertisement("all", ""),
        vip("192.0.2.1", "web", &["web"]),
        service("web", ""),
        slice("web", &[POD1]),
    ];
    let rest = rest.concat();
    let vip = |node| on(node, &[&nodes, &rest]).vips[&address("192.0.2.1")].clone();
    assert_eq!(candidates(&vip("n1")), ["n1", "n2", "n3", "n7"]);
    let why = [("n4", Reason::NodeExcluded), ("n5", Reason::NodeDrained), ("n6", Reason::NodeOutOfService)];
    for (node, away) in why {
        assert_eq!(reason(&vip(node)), Some(away), "{node}");
    }
}

#[test]
fn l2_030_an_address_without_advertisement_is_announced_by_nobody() {
    let rest = [vip("192.0.2.1", "web", &["web"]), service("web", ""), slice("web", &[POD1])].concat();
    for spec in [None, Some("addressPools: [other]"), Some("serviceSelectors: [{matchLabels: {app: x}}]")] {
        let advertisement = spec.map(|spec| advertisement("ad", spec)).unwrap_or_default();
        let intent = on("n1", &[&advertisement, &rest]);
        let vip = &intent.vips[&address("192.0.2.1")];
        assert!(vip.candidates.is_empty());
        assert_eq!(reason(vip), Some(Reason::NotAdvertised));
        assert_eq!(intent.announced().count(), 0);
    }
}

#[test]
fn l2_031_l2_032_the_node_selectors_of_all_advertisements_add_up() {
    let rest = [vip("192.0.2.1", "web", &["web"]), service("web", ""), slice("web", &[POD1])].concat();
    let rack =
        |name, rack| advertisement(name, &format!("nodeSelectors: [{{matchLabels: {{rack: {rack}}}}}]"));
    let one = on("n1", &[&rack("b", "b"), &rest]);
    assert_eq!(candidates(&one.vips[&address("192.0.2.1")]), ["n2", "n3"]);
    assert_eq!(
        &*one.vips[&address("192.0.2.1")].here.as_ref().unwrap_err().message,
        "no nodeSelector of L2Advertisement b matches Node n1"
    );
    let two = on("n1", &[&rack("b", "b"), &rack("a", "a"), &rest]);
    assert_eq!(candidates(&two.vips[&address("192.0.2.1")]), ["n1", "n2", "n3"]);
}

#[test]
fn l2_045_l2_046_preferences_add_up_over_advertisements_and_order_only_whom_selectors_admit() {
    let node = |name: &str, labels: &str| {
        format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n---\n")
    };
    let nodes =
        [node("p1", "shelf: a, aisle: b"), node("p2", "shelf: a"), node("p3", "aisle: b, out: 'yes'")]
            .concat();
    let prefer =
        |weight: u8, label: &str| format!("{{weight: {weight}, preference: {{matchLabels: {{{label}}}}}}}");
    let in_racks = "nodeSelectors: [{matchExpressions: [{key: out, operator: DoesNotExist}, {key: shelf, operator: Exists}]}]";
    let one =
        advertisement("one", &format!("{in_racks}, preferredNodeSelectors: [{}]", prefer(60, "shelf: a")));
    let two =
        advertisement("two", &format!("{in_racks}, preferredNodeSelectors: [{}]", prefer(50, "aisle: b")));
    let others = advertisement(
        "others",
        &format!(
            "serviceSelectors: [{{matchLabels: {{app: x}}}}], preferredNodeSelectors: [{}]",
            prefer(100, "shelf: a")
        ),
    );
    let rest = [vip("192.0.2.1", "web", &["web"]), service("web", ""), slice("web", &[POD1])].concat();
    let vip = on("p1", &[&nodes, &one, &two, &others, &rest]).vips[&address("192.0.2.1")].clone();
    assert_eq!(candidates(&vip), ["p1", "p2"]);
    let preferences: Vec<_> = vip.preferences.iter().map(|(node, weight)| (node.as_str(), *weight)).collect();
    assert_eq!(preferences, [("p1", 110), ("p2", 60)], "p3 is kept out, and prefers nobody");
    let nobody = advertisement("one", &format!("preferredNodeSelectors: [{}]", prefer(60, "shelf: z")));
    let vip = on("p1", &[&nodes, &nobody, &rest]).vips[&address("192.0.2.1")].clone();
    assert!(vip.preferences.is_empty(), "l2_043: a preference that matches nobody equals none");
}

#[test]
fn l2_033_policy_local_with_endpoints_outside_of_the_selected_nodes_is_announced_by_nobody() {
    let parts = [
        advertisement("b", "nodeSelectors: [{matchLabels: {rack: b}}]"),
        vip("192.0.2.1", "web", &["web"]),
        service("web", LOCAL),
        slice("web", &[POD1]),
    ];
    let intent = on("n2", &parts.each_ref().map(String::as_str));
    let vip = &intent.vips[&address("192.0.2.1")];
    assert!(vip.candidates.is_empty());
    assert_eq!(reason(vip), Some(Reason::NoLocalEndpoints));
}

#[test]
fn l2_037_l2_038_interfaces_of_the_advertisements_that_select_the_node_add_up() {
    let rest = [vip("192.0.2.1", "web", &["web"]), service("web", ""), slice("web", &[POD1])].concat();
    let named = |name: &str, interface: &str, rack: &str| {
        advertisement(
            name,
            &format!("interfaces: [{interface}], nodeSelectors: [{{matchLabels: {{rack: {rack}}}}}]"),
        )
    };
    let interfaces = |node, ads: &[String]| {
        let intent = on(node, &[&ads.concat(), &rest]);
        intent.vips[&address("192.0.2.1")].interfaces.clone()
    };
    let rule = |names: &[&str]| InterfaceRule::Named(names.iter().map(|name| (*name).to_owned()).collect());
    let ads = [named("a", "eth1", "a"), named("b", "eth2", "b"), named("c", "eth3", "b")];
    assert_eq!(interfaces("n1", &ads), rule(&["eth1"]));
    assert_eq!(interfaces("n2", &ads), rule(&["eth2", "eth3"]));
    let with_open = [ads.as_slice(), &[advertisement("open", "")]].concat();
    assert_eq!(interfaces("n2", &with_open), InterfaceRule::OnLink);
}

#[test]
fn announce_without_endpoints_does_what_it_says() {
    let annotated = |more| {
        service_with(
            "web",
            "annotations: {ferrolb.io/announce-without-endpoints: 'true'}",
            "ports: [{port: 80}]",
            more,
        )
    };
    for more in ["", LOCAL] {
        for endpoints in [&[][..], &[("10.0.1.1", "-", "ready: true")]] {
            let parts = [
                advertisement("all", ""),
                vip("192.0.2.1", "web", &["web"]),
                annotated(more),
                slice("web", endpoints),
            ];
            let intent = on("n1", &parts.each_ref().map(String::as_str));
            assert_eq!(candidates(&intent.vips[&address("192.0.2.1")]), ["n1", "n2", "n3"]);
        }
    }
}

/// Two Services on one address.
fn shared(node: &str, first: &str, second: &str, slices: &[String]) -> Intent {
    let parts = [advertisement("all", ""), vip("192.0.2.1", "g", &["first", "second"])].concat();
    let first = service("first", first);
    let second = service_with("second", "", "ports: [{port: 81}]", second);
    on(node, &[&parts, &first, &second, &slices.concat()])
}

#[test]
fn l2_009_services_on_one_address_have_the_nodes_that_suit_all() {
    let slices = [slice("first", &[POD1, POD2]), slice("second", &[POD2])];
    let intent = shared("n1", LOCAL, LOCAL, &slices);
    let vip = &intent.vips[&address("192.0.2.1")];
    assert_eq!(candidates(vip), ["n2"]);
    assert_eq!(reason(vip), Some(Reason::NoLocalEndpoints));
    assert!(vip.here.as_ref().unwrap_err().message.contains("default/second"));
    assert!(vip.unserved.is_empty());
}

#[test]
fn a_service_without_candidates_does_not_constrain_the_address() {
    let intent = shared("n1", LOCAL, LOCAL, &[slice("first", &[]), slice("second", &[POD2])]);
    let vip = &intent.vips[&address("192.0.2.1")];
    assert_eq!(candidates(vip), ["n2"]);
    let unserved: Vec<_> = vip.unserved.iter().map(|(name, why)| (name.name.as_str(), why.reason)).collect();
    assert_eq!(unserved, [("first", Reason::NoEndpoints)]);
}

#[test]
fn services_that_no_node_can_serve_together_go_by_age() {
    let intent = shared("n1", LOCAL, LOCAL, &[slice("first", &[POD1]), slice("second", &[POD2])]);
    let vip = &intent.vips[&address("192.0.2.1")];
    assert_eq!(candidates(vip), ["n1"]);
    assert_eq!(vip.here, Ok(()));
    let unserved: Vec<_> = vip.unserved.iter().map(|(name, why)| (name.name.as_str(), why.reason)).collect();
    assert_eq!(unserved, [("second", Reason::SharingConflict)]);
}

#[test]
fn l2_010_the_two_families_of_a_service_are_carried_by_one_node() {
    let parts = [
        advertisement("all", ""),
        vip("192.0.2.1", "web", &["web"]),
        vip("2001:db8::1", "web", &["web"]),
        service("web", LOCAL),
        slice("web", &[POD1, POD2]),
        slice("web", &[("fd00::2", "n2", "ready: true"), ("fd00::3", "n3", "ready: true")]),
    ];
    let intent = on("n1", &parts.each_ref().map(String::as_str));
    for vip in intent.vips.values() {
        assert_eq!(candidates(vip), ["n2"]);
        assert_eq!(reason(vip), Some(Reason::NoLocalEndpoints));
    }
    let obstacle = intent.vips[&address("192.0.2.1")].here.clone().unwrap_err();
    assert!(obstacle.message.starts_with("2001:db8::1 belongs to the same group"), "{}", obstacle.message);
}

#[test]
fn a_family_without_endpoints_does_not_take_the_other_down() {
    let parts = [
        advertisement("all", ""),
        vip("192.0.2.1", "web", &["web"]),
        vip("2001:db8::1", "web", &["web"]),
        service("web", ""),
        slice("web", &[POD1]),
    ];
    let intent = on("n1", &parts.each_ref().map(String::as_str));
    let announced: Vec<IpAddr> = intent.announced().map(|(address, _)| address).collect();
    assert_eq!(announced, [address("192.0.2.1")]);
    assert_eq!(reason(&intent.vips[&address("2001:db8::1")]), Some(Reason::NoEndpoints));
}

#[test]
fn an_address_without_a_service_and_a_node_without_an_object_say_so() {
    let parts = [
        advertisement("all", ""),
        vip("192.0.2.1", "a", &["gone"]),
        vip("192.0.2.2", "b", &["web"]),
        service("web", ""),
        slice("web", &[POD1]),
    ];
    let intent = on("n9", &parts.each_ref().map(String::as_str));
    assert_eq!(reason(&intent.vips[&address("192.0.2.1")]), Some(Reason::NotFound));
    let obstacle = intent.vips[&address("192.0.2.2")].here.clone().unwrap_err();
    assert_eq!(obstacle.reason, Reason::NotFound);
    assert!(obstacle.message.contains("metadata.name: n9"), "{}", obstacle.message);
}

#[test]
fn the_data_path_leads_to_all_endpoints_or_to_this_nodes() {
    let sockets = |node, more| {
        let parts = [
            advertisement("all", ""),
            vip("192.0.2.1", "web", &["web"]),
            service("web", more),
            slice("web", &[POD1, POD2]),
        ];
        let data_path = on(node, &parts.each_ref().map(String::as_str)).data_path();
        let backends = data_path.ports.into_values().next().unwrap();
        let endpoints: Vec<String> = backends.endpoints.iter().map(ToString::to_string).collect();
        (backends.source, endpoints.join(" "), data_path.vips[&address("192.0.2.1")])
    };
    assert_eq!(
        sockets("n1", ""),
        (Source::Masqueraded, "10.0.1.1:8080 10.0.2.1:8080".into(), Role::Candidate)
    );
    assert_eq!(sockets("n1", LOCAL), (Source::Kept, "10.0.1.1:8080".into(), Role::Candidate));
    assert_eq!(sockets("n3", LOCAL), (Source::Kept, String::new(), Role::Elsewhere));
}

#[test]
fn endpoints_of_this_machine_or_of_a_metadata_service_are_not_led_to() {
    let odd = ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"]
        .map(|address| (address, "n1", "ready: true"));
    let parts =
        [advertisement("all", ""), vip("192.0.2.1", "web", &["web"]), service("web", ""), slice("web", &odd)];
    let intent = on("n1", &parts.each_ref().map(String::as_str));
    assert!(intent.ports.values().all(|backends| backends.endpoints.is_empty()));
}

#[test]
fn source_ranges_and_affinity_reach_the_data_path_and_an_unreadable_range_opens_nothing() {
    let clients = |ranges: &str| {
        let more = format!("sessionAffinity: ClientIP, loadBalancerSourceRanges: [{ranges}]");
        let parts = [
            advertisement("all", ""),
            vip("192.0.2.1", "web", &["web"]),
            service("web", &more),
            slice("web", &[POD1]),
        ];
        let intent = on("n1", &parts.each_ref().map(String::as_str));
        let backends = Arc::clone(intent.ports.values().next().unwrap());
        assert!(backends.affinity);
        backends.clients.clone()
    };
    assert_eq!(clients("198.51.100.0/24"), Clients::Within(["198.51.100.0/24".parse().unwrap()].into()));
    assert_eq!(clients("198.51.100.0/240"), Clients::Within(BTreeSet::new()));
    assert_eq!(clients(""), Clients::Anyone);
}

#[test]
fn a_port_that_two_services_want_stays_with_the_older_and_sctp_is_refused() {
    let parts = [
        advertisement("all", ""),
        vip("192.0.2.1", "g", &["first", "second"]),
        service("first", ""),
        service_with("second", "", "ports: [{name: a, port: 80}, {name: b, port: 90, protocol: SCTP}]", ""),
    ];
    let intent = on("n1", &parts.each_ref().map(String::as_str));
    let services: Vec<&str> = intent.ports.values().map(|backends| backends.service.as_str()).collect();
    assert_eq!(services, ["default/first"]);
    let reasons: Vec<Reason> = intent.refused.values().flatten().map(|refusal| refusal.reason).collect();
    assert_eq!(reasons, [Reason::SharingConflict, Reason::UnsupportedProtocol]);
}

#[test]
fn an_external_address_is_announced_only_if_its_pool_serves_the_namespace() {
    let pool = |namespaces: &str| {
        format!(
            "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {{name: shared}}\n\
             spec: {{addresses: [203.0.113.0/24], serviceAllocation: {{namespaces: [{namespaces}]}}}}\n---\n"
        )
    };
    let external = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default, annotations: \
                    {ferrolb.io/external-ips-from: shared}}\nspec: {type: ClusterIP, ports: [{port: 80}]}\n---\n";
    let vip = vip("203.0.113.1", "web", &["web"])
        .replace("pool: lan", "pool: shared")
        .replace("name: web}", "name: web, purpose: ExternalIP}");
    let endpoints = slice("web", &[("10.0.0.1", "n1", "ready: true")]);
    let doing = |namespaces: &str| {
        on("n1", &[&pool(namespaces), &advertisement("all", ""), external, &vip, &endpoints])
    };
    let address: IpAddr = "203.0.113.1".parse().unwrap();
    assert_eq!(doing("default").vips[&address].here, Ok(()));
    let obstacle = doing("other").vips[&address].here.clone().unwrap_err();
    assert_eq!(obstacle.reason, Reason::PoolNotAllowed);
    assert!(obstacle.message.contains("namespace default"), "{}", obstacle.message);
}

#[test]
fn under_policy_cluster_an_endpoint_without_a_node_counts_and_under_local_it_does_not() {
    let parts = |more: &str| {
        let (web, endpoints) = (service("web", more), slice("web", &[("10.0.0.1", "-", "ready: true")]));
        [advertisement("all", ""), web, vip("192.0.2.1", "web", &["web"]), endpoints]
    };
    let here = |more: &str| {
        let parts = parts(more);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        on("n1", &parts).vips[&address].here.clone().map_err(|obstacle| obstacle.reason)
    };
    assert_eq!(here(""), Ok(()));
    assert_eq!(here(LOCAL), Err(Reason::NoLocalEndpoints));
}
