// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::collections::BTreeMap;

use ferrolb_config::api::Purpose;
use ferrolb_config::snapshot::{FamilyPolicy, LoadBalancer, TargetPort};
use ferrolb_config::{Object, ObjectRef, Objects, Snapshot};
use serde_json::{Value, json};

use crate::kube::decode;
use crate::kube::kind::Kind;
use crate::kube::prune::Reader;

/// What a cluster sends, with much that nobody reads.
fn sent() -> Vec<(Kind, Value)> {
    let metadata = |name: &str, namespace: Option<&str>| {
        json!({
            "name": name, "namespace": namespace, "uid": format!("uid-{name}"), "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 3, "finalizers": ["a.io/b"],
            "labels": {"tier": "gold", "kubernetes.io/service-name": "web"},
            "annotations": {
                "ferrolb.io/addresses": "192.0.2.9", "ferrolb.io/drain": "true", "metallb.io/allow-shared-ip": "k",
                "metallb.universe.tf/address-pool": "p", "kubectl.kubernetes.io/last-applied-configuration": "{…}",
            },
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u"}],
            "managedFields": [
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}},
                {"manager": "metallb", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ],
        })
    };
    let service = json!({
        "metadata": metadata("web", Some("shop")),
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "loadBalancerSourceRanges": ["198.51.100.0/24"], "healthCheckNodePort": 31000, "selector": {"app": "web"},
            "externalIPs": ["203.0.113.1"],
            "ports": [{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080, "appProtocol": "h2c"}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "VIP"}]}, "conditions": []},
    });
    let slice = json!({
        "metadata": metadata("web-1", Some("shop")), "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "h2c"}],
        "endpoints": [{
            "addresses": ["10.1.0.1", "10.1.0.2"], "nodeName": "n1", "zone": "z", "hostname": "h",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": "web-1"}, "hints": {"forZones": [{"name": "z"}]},
        }],
    });
    let node = json!({
        "metadata": metadata("n1", None),
        "spec": {"podCIDR": "10.1.0.0/24", "taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "198.51.100.1"}, {"type": "Hostname", "address": "n1"}],
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:04:05Z", "message": "posting"},
            ],
            "images": [{"names": ["a"], "sizeBytes": 1}], "capacity": {"cpu": "4"},
        },
    });
    let pool = json!({
        "metadata": metadata("a", None), "spec": {"addresses": ["192.0.2.0/24"]},
        "status": {"acceptedAddresses": ["192.0.2.0/25"]},
    });
    let advertisement = json!({
        "metadata": metadata("a", None), "spec": {"addressPools": ["a"], "interfaces": ["eth0"]},
    });
    let virtual_ip = json!({
        "metadata": metadata("192.0.2.9", None),
        "spec": {"address": "192.0.2.9", "pool": "a", "consumers": []},
    });
    let floating_ip = json!({
        "metadata": metadata("a", Some("shop")),
        "spec": {"target": {"ports": [{"port": 80}]}, "healthChecks": [{"tcp": {"port": 80}}]},
        "status": {"addresses": ["192.0.2.8"]},
    });
    let metallb_pool = json!({
        "metadata": metadata("b", Some("metallb-system")), "spec": {"addresses": ["203.0.113.0/24"], "dhcp": true},
        "status": {"availableIPv4": 256},
    });
    let metallb_advertisement = json!({
        "metadata": metadata("b", Some("metallb-system")), "spec": {"ipAddressPools": ["b"]},
    });
    let peer = json!({
        "metadata": metadata("first", None),
        "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1", "bfdProfile": "fast"},
    });
    let to_routers = json!({
        "metadata": metadata("a", None), "spec": {"communities": ["name"], "aggregationLength": 24},
    });
    let names = json!({
        "metadata": metadata("names", None), "spec": {"communities": [{"name": "name", "value": "1:1"}]},
    });
    let metallb_peer = json!({
        "metadata": metadata("second", Some("metallb-system")),
        "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.2", "bfdProfile": "slow", "password": "hush"},
    });
    let namespace = json!({"metadata": metadata("shop", None), "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    vec![
        (Kind::Service, service),
        (Kind::EndpointSlice, slice),
        (Kind::Node, node),
        (Kind::AddressPool, pool),
        (Kind::L2Advertisement, advertisement),
        (Kind::VirtualIP, virtual_ip),
        (Kind::Namespace, namespace),
        (Kind::MetalLBPool, metallb_pool),
        (Kind::MetalLBL2Advertisement, metallb_advertisement),
        (Kind::FloatingIP, floating_ip),
        (Kind::BGPPeer, peer),
        (Kind::BGPAdvertisement, to_routers),
        (Kind::BFDProfile, json!({"metadata": metadata("fast", None), "spec": {"receiveInterval": 50}})),
        (Kind::Community, names),
        (Kind::MetalLBBGPPeer, metallb_peer),
        (
            Kind::MetalLBBGPAdvertisement,
            json!({"metadata": metadata("c", Some("metallb-system")), "spec": {"localPref": 7}}),
        ),
        (Kind::MetalLBBFDProfile, json!({"metadata": metadata("slow", Some("metallb-system")), "spec": {}})),
        (
            Kind::MetalLBCommunity,
            json!({"metadata": metadata("more", Some("metallb-system")), "spec": {"communities": [{"name": "b", "value": "1:2"}]}}),
        ),
    ]
}

/// The object as it was sent, without anything taken away.
fn whole(kind: Kind, sent: Value) -> Object {
    fn read<K: serde::de::DeserializeOwned>(sent: Value) -> std::sync::Arc<K> {
        std::sync::Arc::new(serde_json::from_value(sent).unwrap())
    }
    match kind {
        Kind::AddressPool => Object::AddressPool(read(sent)),
        Kind::L2Advertisement => Object::L2Advertisement(read(sent)),
        Kind::BGPPeer => Object::BGPPeer(read(sent)),
        Kind::BGPAdvertisement => Object::BGPAdvertisement(read(sent)),
        Kind::BFDProfile => Object::BFDProfile(read(sent)),
        Kind::Community => Object::Community(read(sent)),
        Kind::Secret => Object::Secret(read(sent)),
        Kind::MetalLBSecret => Object::MetalLBSecret(read(sent)),
        Kind::MetalLBBGPPeer => Object::MetalLBBGPPeer(read(sent)),
        Kind::MetalLBBGPAdvertisement => Object::MetalLBBGPAdvertisement(read(sent)),
        Kind::MetalLBBFDProfile => Object::MetalLBBFDProfile(read(sent)),
        Kind::MetalLBCommunity => Object::MetalLBCommunity(read(sent)),
        Kind::FloatingIP => Object::FloatingIP(read(sent)),
        Kind::VirtualIP => Object::VirtualIP(read(sent)),
        Kind::Speaker => Object::Speaker(read(sent)),
        Kind::Service => Object::Service(read(sent)),
        Kind::EndpointSlice => Object::EndpointSlice(read(sent)),
        Kind::Node => Object::Node(read(sent)),
        Kind::Namespace => Object::Namespace(read(sent)),
        Kind::MetalLBPool => Object::MetalLBPool(read(sent)),
        Kind::MetalLBL2Advertisement => Object::MetalLBL2Advertisement(read(sent)),
    }
}

#[test]
fn what_is_pruned_makes_no_difference_to_the_snapshot() {
    let (mut pruned, mut all) = (Objects::default(), Objects::default());
    for (kind, sent) in sent() {
        pruned.insert(decode::object(kind, &sent.to_string(), Reader::Controller).unwrap());
        let mut object = whole(kind, sent);
        if kind == Kind::VirtualIP {
            // It stands in the snapshot as it is.
            object.metadata_mut().managed_fields = None;
        }
        all.insert(object);
    }
    let snapshot = Snapshot::build(&pruned);
    assert_eq!(snapshot, Snapshot::build(&all));
    assert_eq!(
        (snapshot.load_balancers.len(), snapshot.endpoints.len(), snapshot.virtual_ips.len()),
        (1, 1, 1)
    );
    assert_eq!(snapshot.nodes["n1"].ready, Some(true));
}

#[test]
fn a_speaker_keeps_what_it_decides_from() {
    let (mut pruned, mut all) = (Objects::default(), Objects::default());
    for (kind, sent) in sent() {
        pruned.insert(decode::object(kind, &sent.to_string(), Reader::Speaker).unwrap());
        all.insert(whole(kind, sent));
    }
    let (mut pruned, mut all) = (Snapshot::build(&pruned), Snapshot::build(&all));
    assert_eq!(pruned.load_balancers.len(), 1);
    for snapshot in [&mut pruned, &mut all] {
        for service in snapshot.load_balancers.values_mut() {
            // Which addresses it has and may have was judged by the controller; the pods, the numbers of their ports and
            // the address inside the cluster are kube-proxy's business.
            *service = LoadBalancer {
                uid: None,
                created: None,
                families: Vec::new(),
                family_policy: FamilyPolicy::default(),
                cluster_ips: Vec::new(),
                backend_selector: BTreeMap::new(),
                requested: Vec::new(),
                pool: None,
                sharing_key: None,
                status_addresses: Vec::new(),
                status_writer: None,
                external_ips: Vec::new(),
                refusal: None,
                ..service.clone()
            };
            for port in &mut service.ports {
                (port.target, port.node_port) = (TargetPort::Number(port.port), None);
            }
        }
        for floating_ip in snapshot.floating_ips.values_mut() {
            (floating_ip.uid, floating_ip.created) = (None, None);
        }
        for endpoint in snapshot.endpoints.values_mut().flatten() {
            endpoint.terminating = false;
        }
        let is_of_service = |object: &ObjectRef| object.kind == "Service";
        snapshot.refused.retain(|refusal| !refusal.object.as_ref().is_some_and(is_of_service));
        snapshot.external_ips.clear();
        snapshot.virtual_ips.clear();
    }
    assert_eq!(pruned, all);
}

#[test]
fn no_command_comes_from_a_cluster_whatever_its_schema_says() {
    let checks = json!([{"exec": {"command": ["/bin/true"]}}, {"tcp": {"port": 80}}]);
    let spec = json!({"target": {"ports": [{"port": 80}]}, "healthChecks": checks});
    let sent =
        json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec, "status": {"accepted": spec}});
    for reader in [Reader::Controller, Reader::Speaker] {
        let object = decode::object(Kind::FloatingIP, &sent.to_string(), reader).unwrap();
        let Object::FloatingIP(object) = object else { unreachable!() };
        let accepted = object.status.clone().unwrap().accepted.unwrap();
        assert!(
            object.spec.health_checks.iter().chain(&accepted.health_checks).all(|check| check.exec.is_none())
        );
    }
}

/// What a speaker's form of an object holds, as text.
fn kept_by_speakers(kind: Kind, sent: &Value) -> String {
    let kept = match decode::object(kind, &sent.to_string(), Reader::Speaker).unwrap() {
        Object::Service(object) => serde_json::to_string(&*object),
        Object::EndpointSlice(object) => serde_json::to_string(&*object),
        Object::VirtualIP(object) => serde_json::to_string(&*object),
        other => unreachable!("{other:?}"),
    };
    kept.unwrap()
}

#[test]
fn of_thousands_of_objects_a_speaker_keeps_names_versions_and_little_else() {
    let (kind, service) = sent().remove(0);
    assert_eq!(
        kept_by_speakers(kind, &service),
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"generation":3,"labels":{"kubernetes.io/service-name":"web","tier":"gold"},"name":"web","namespace":"shop","resourceVersion":"7"},"spec":{"externalTrafficPolicy":"Local","healthCheckNodePort":31000,"loadBalancerSourceRanges":["198.51.100.0/24"],"ports":[{"name":"http","port":80}],"sessionAffinity":"ClientIP","type":"LoadBalancer"}}"#
    );
    let (kind, mut without_address) = sent().remove(0);
    without_address["spec"]["type"] = json!("ClusterIP");
    assert_eq!(
        kept_by_speakers(kind, &without_address),
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"generation":3,"name":"web","namespace":"shop","resourceVersion":"7"}}"#
    );
    let (kind, slice) = sent().remove(1);
    assert_eq!(
        kept_by_speakers(kind, &slice),
        r#"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true,"serving":true},"nodeName":"n1"}],"metadata":{"labels":{"kubernetes.io/service-name":"web"},"name":"web-1","namespace":"shop","resourceVersion":"7"},"ports":[{"name":"http","port":8080}]}"#
    );
    let (kind, mut virtual_ip) = sent().remove(5);
    virtual_ip["spec"]["consumers"] = json!([{
        "kind": "Service", "namespace": "shop", "name": "web", "uid": "u", "backends": "b",
        "ports": [{"protocol": "TCP", "port": 80}],
    }]);
    virtual_ip["spec"]["sharingKey"] = json!("k");
    virtual_ip["spec"]["group"] = json!("shop/web");
    virtual_ip["status"] = json!({"observedGeneration": 3, "layer2": [{
        "segment": "192.0.2.0/24", "interface": "eth0", "node": "n1", "term": 1, "since": "2026-01-02T03:04:05Z",
        "cause": "nobody had it",
    }]});
    assert_eq!(
        kept_by_speakers(kind, &virtual_ip),
        r#"{"apiVersion":"ferrolb.io/v1beta1","kind":"VirtualIP","metadata":{"generation":3,"name":"192.0.2.9","resourceVersion":"7"},"spec":{"address":"192.0.2.9","pool":"a","consumers":[{"kind":"Service","namespace":"shop","name":"web"}],"group":"shop/web","mode":"ReplyOnly"},"status":{"observedGeneration":3,"layer2":[{"segment":"192.0.2.0/24","interface":"","node":"n1","term":1,"since":"2026-01-02T03:04:05Z","cause":""}]}}"#
    );
}

#[test]
fn a_speaker_keeps_the_two_wishes_of_a_service_that_concern_it() {
    let (kind, mut service) = sent().remove(0);
    service["spec"]["type"] = json!("ClusterIP");
    service["metadata"]["annotations"]["ferrolb.io/external-ips-from"] = json!("shared");
    service["metadata"]["annotations"]["ferrolb.io/announce-without-endpoints"] = json!("true");
    let mut objects = Objects::default();
    objects.insert(decode::object(kind, &service.to_string(), Reader::Speaker).unwrap());
    let snapshot = Snapshot::build(&objects);
    let read = snapshot.load_balancers.values().next().unwrap();
    assert_eq!((read.purpose, read.announce_without_endpoints), (Purpose::ExternalIP, true));
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let unread = [
        "f:spec",
        "f:status",
        "last-applied",
        "ownerReferences",
        "images",
        "capacity",
        "MemoryPressure",
        "podCIDR",
        "lastHeartbeatTime",
        "posting",
        "appProtocol",
        "10.1.0.2",
        "targetRef",
        "hints",
        "zone",
        "timeoutSeconds",
        "internalTrafficPolicy",
        "phase",
    ];
    for (kind, sent) in sent().into_iter().filter(|(kind, _)| !kind.is_own() && !kind.is_metallbs()) {
        let kept = match decode::object(kind, &sent.to_string(), Reader::Controller).unwrap() {
            Object::Service(object) => serde_json::to_string(&*object),
            Object::EndpointSlice(object) => serde_json::to_string(&*object),
            Object::Node(object) => serde_json::to_string(&*object),
            Object::Namespace(object) => serde_json::to_string(&*object),
            other => unreachable!("{other:?}"),
        };
        let kept = kept.unwrap();
        let found: Vec<_> = unread.iter().filter(|word| kept.contains(**word)).collect();
        assert!(found.is_empty(), "{kind:?}: {found:?} in {kept}");
    }
}

#[test]
fn who_wrote_the_status_of_a_service_is_kept_while_it_shows_an_address() {
    let (_, mut sent) = sent().remove(0);
    let managers = |sent: &Value| -> Vec<String> {
        let Object::Service(service) =
            decode::object(Kind::Service, &sent.to_string(), Reader::Controller).unwrap()
        else {
            unreachable!()
        };
        let fields = service.metadata.managed_fields.iter().flatten();
        fields.map(|entry| format!("{entry:?}")).collect()
    };
    let kept = managers(&sent);
    assert_eq!(kept.len(), 1);
    assert!(kept[0].contains("metallb") && !kept[0].contains("f:status"), "{kept:?}");
    sent["status"] = json!({});
    assert_eq!(managers(&sent), [""; 0]);
}

#[test]
fn a_virtual_ip_keeps_all_of_its_metadata_since_it_is_replaced_as_a_whole() {
    let (kind, sent) = sent().remove(5);
    let Object::VirtualIP(object) = decode::object(kind, &sent.to_string(), Reader::Controller).unwrap()
    else {
        unreachable!()
    };
    let metadata = serde_json::to_value(&object.metadata).unwrap();
    let mut expected = sent["metadata"].clone();
    let fields = expected.as_object_mut().unwrap();
    fields.remove("managedFields");
    fields.remove("namespace");
    assert_eq!(metadata, expected);
}

#[test]
fn of_a_secret_only_the_password_is_kept() {
    let sent = json!({
        "metadata": {"name": "router", "namespace": "ferrolb-system", "labels": {"a": "b"}},
        "type": "kubernetes.io/basic-auth", "immutable": true,
        "data": {"username": "dXNlcg==", "password": "aHVzaA==", "ca.crt": "AAAA"},
    });
    let Ok(Object::Secret(kept)) = decode::object(Kind::Secret, &sent.to_string(), Reader::Speaker) else {
        panic!("a Secret");
    };
    let keys: Vec<&String> = kept.data.iter().flatten().map(|(key, _)| key).collect();
    assert_eq!((keys.as_slice(), &kept.metadata.labels), ([&"password".to_owned()].as_slice(), &None));
    assert_eq!(ferrolb_config::snapshot::Password::read(&kept).unwrap().octets(), b"hush");
}

#[test]
fn a_password_that_a_folder_spells_out_is_kept_as_a_cluster_would_keep_it() {
    let written = json!({"metadata": {"name": "router"}, "type": "kubernetes.io/basic-auth",
        "stringData": {"username": "bgp", "password": "hush"}});
    let Ok(Object::Secret(kept)) = decode::object(Kind::Secret, &written.to_string(), Reader::Speaker) else {
        panic!("a Secret");
    };
    assert_eq!(serde_json::to_value(&kept.data).unwrap(), json!({"password": "aHVzaA=="}));
    assert_eq!(kept.string_data, None);
}
