// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether addresses can move, over the objects of a small cluster.

use ferrolb_config::manifest::Manifest;

use super::*;

const OBJECTS: &str = "
apiVersion: ferrolb.io/v1beta1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.10-192.0.2.12]}
---
apiVersion: ferrolb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
spec: {addressPools: [lan]}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}}
---
{apiVersion: v1, kind: Node, metadata: {name: n3, labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}, nodeName: n1}]
ports: [{port: 8080, protocol: TCP}]
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 192.0.2.10}
spec: {address: 192.0.2.10, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}
status: {layer2: [{segment: 192.0.2.0/24, interface: eth0, node: n1, term: 7, since: 2026-11-21T12:00:00Z, cause: first use}]}
---
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 192.0.2.11}
spec: {address: 192.0.2.11, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}
---
apiVersion: ferrolb.io/v1beta1
kind: Speaker
metadata: {name: n2}
spec: {}
status: {heartbeat: 2026-11-21T12:00:00Z}
";

pub(in crate::planned) fn objects(edit: impl Fn(String) -> String) -> Arc<Objects> {
    let manifest = Manifest::parse("all.yaml".as_ref(), &edit(OBJECTS.to_owned()));
    let mut objects = Objects::default();
    manifest.documents.iter().for_each(|document| objects.insert(document.object.clone()));
    Arc::new(objects)
}

pub(in crate::planned) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn asked(objects: &Arc<Objects>, address: &str, to: Option<&str>) -> Result<Prospect, No> {
    prospect(objects, address.parse().unwrap(), to, at("2026-11-21T12:00:10Z"))
}

fn why_not(objects: &Arc<Objects>, address: &str, to: Option<&str>) -> Reason {
    asked(objects, address, to).unwrap_err().reason
}

#[test]
fn an_address_goes_to_who_may_carry_it_and_the_request_names_its_claim() {
    let objects = objects(|text| text);
    for to in [Some("n2"), None] {
        let Ok(Prospect::Go(departure)) = asked(&objects, "192.0.2.10", to) else { panic!("{to:?}") };
        assert_eq!(departure.name, "192.0.2.10");
        assert_eq!(departure.owners.iter().map(|owner| (&*owner.node, owner.term)).next(), Some(("n1", 7)));
    }
    assert_eq!(asked(&objects, "192.0.2.10", Some("n1")), Ok(Prospect::There("n1".to_owned())));
}

#[test]
fn why_an_address_cannot_move_is_known_before_anything_is_asked() {
    let all = objects(|text| text);
    assert_eq!(why_not(&all, "192.0.2.99", None), Reason::NotFound);
    assert_eq!(why_not(&all, "192.0.2.11", None), Reason::NotCarried);
    assert_eq!(why_not(&all, "192.0.2.10", Some("n3")), Reason::NodeExcluded);
    assert_eq!(why_not(&all, "192.0.2.10", Some("n9")), Reason::NotFound);
    let silent = objects(|text| text.replace("heartbeat: 2026-11-21T12", "heartbeat: 2026-11-21T11"));
    assert_eq!(why_not(&silent, "192.0.2.10", Some("n2")), Reason::SpeakerSilent);
    let closed = objects(|text| {
        text.replace(
            "heartbeat: 2026-11-21T12:00:00Z",
            "heartbeat: 2026-11-21T12:00:00Z, refusals: {192.0.2.10: 'KubeProxySilent: nobody answers'}",
        )
    });
    assert_eq!(why_not(&closed, "192.0.2.10", Some("n2")), Reason::DataPathNotReady);
    let alone =
        objects(|text| text.replace("{name: n2}}", "{name: n2, annotations: {ferrolb.io/drain: ''}}}"));
    assert_eq!(why_not(&alone, "192.0.2.10", None), Reason::NoOtherNode);
    assert_eq!(why_not(&alone, "192.0.2.10", Some("n2")), Reason::NodeDrained);
}

#[test]
fn a_node_is_told_which_of_its_addresses_nobody_else_may_carry() {
    let carried = carried_by(&objects(|text| text), "n1");
    let addresses: Vec<IpAddr> = carried.iter().map(|(address, _)| *address).collect();
    assert_eq!(addresses, ["192.0.2.10".parse::<IpAddr>().unwrap()]);
    assert!(bound_to(&objects(|text| text), "n1", addresses.iter().copied()).is_empty());
    let local = objects(|text| {
        text.replace("type: LoadBalancer,", "type: LoadBalancer, externalTrafficPolicy: Local,")
    });
    let bound = bound_to(&local, "n1", addresses.iter().copied());
    assert_eq!(bound.values().map(|no| no.reason).collect::<Vec<_>>(), [Reason::NoOtherNode]);
}
