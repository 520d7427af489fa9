// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Random edits of a small cluster. Names are few, so that objects meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::{ObjectRef, Objects, ServiceName};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The first one mostly.
const SPACES: [&str; 4] = ["default", "default", "default", "shop"];
const SERVICES: [&str; 4] = ["a", "b", "c", "d"];
/// One is called as a Service is.
const FLOATING_IPS: [&str; 2] = ["a", "f"];
const ADDRESSES: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.4",
    "192.0.2.5",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8::3",
];
const POOLS: [&str; 2] = ["lan", "other"];
const NODES: [&str; 3] = ["n1", "n2", "n3"];

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

fn rarely(rng: &mut Rng) -> bool {
    rng.u8(..8) == 0
}

/// Puts the object there, or now and then takes it away.
fn put<K: Ord, T: DeserializeOwned>(
    map: &mut BTreeMap<K, Arc<T>>,
    key: K,
    object: Value,
    rng: &mut Rng,
) -> String {
    if rng.u8(..9) == 0 {
        map.remove(&key);
        return format!("without {object}");
    }
    let text = object.to_string();
    map.insert(key, Arc::new(serde_json::from_value(object).expect("an object")));
    text
}

/// Changes something; says what.
pub(super) fn edit(objects: &mut Objects, rng: &mut Rng) -> String {
    match rng.u8(..26) {
        0..6 => service(objects, rng),
        20..23 => floating_ip(objects, rng),
        23..25 => bgp_advertisement(objects, rng),
        25 => bgp_peer(objects, rng),
        6..10 => slice(objects, rng),
        10..14 => virtual_ip(objects, rng),
        14 => pool(objects, rng),
        15 => advertisement(objects, rng),
        16 if rng.bool() => node(objects, rng),
        17 => namespace(objects, rng),
        18 => {
            // What a broken object leaves: it is refused, and its last form stays.
            let name = ServiceName { namespace: one(rng, &SPACES).into(), name: one(rng, &SERVICES).into() };
            let object = ObjectRef::namespaced("Service", &name);
            let refusal = Refusal::error(Reason::InvalidValue, object, "\"all\" is not a list")
                .field("spec.loadBalancerSourceRanges");
            objects.refused = if rng.bool() { vec![refusal] } else { Vec::new() };
            format!("refused: {:?}", objects.refused)
        }
        _ => {
            *objects = read_anew(objects);
            "read anew".to_owned()
        }
    }
}

/// The same objects, each in memory of its own.
pub(super) fn read_anew(objects: &Objects) -> Objects {
    fn anew<K: Clone + Ord, T: Clone>(map: &BTreeMap<K, Arc<T>>) -> BTreeMap<K, Arc<T>> {
        map.iter().map(|(name, object)| (name.clone(), Arc::new(T::clone(object)))).collect()
    }
    Objects {
        pools: anew(&objects.pools),
        l2_advertisements: anew(&objects.l2_advertisements),
        floating_ips: anew(&objects.floating_ips),
        virtual_ips: anew(&objects.virtual_ips),
        services: anew(&objects.services),
        endpoint_slices: anew(&objects.endpoint_slices),
        nodes: anew(&objects.nodes),
        namespaces: anew(&objects.namespaces),
        bgp_advertisements: anew(&objects.bgp_advertisements),
        bgp_peers: anew(&objects.bgp_peers),
        metallb_pools: anew(&objects.metallb_pools),
        metallb_l2_advertisements: anew(&objects.metallb_l2_advertisements),
        ..objects.clone()
    }
}

fn service(objects: &mut Objects, rng: &mut Rng) -> String {
    let (namespace, name) = (one(rng, &SPACES), one(rng, &SERVICES));
    let external = rarely(rng);
    let mut annotations = BTreeMap::new();
    if external {
        annotations.insert("ferrolb.io/external-ips-from", one(rng, &POOLS));
    }
    if rarely(rng) {
        annotations.insert("ferrolb.io/announce-without-endpoints", "true");
    }
    let mut ports =
        vec![json!({ "name": "", "port": rng.u16(80..82), "protocol": one(rng, &["TCP", "UDP"]) })];
    if rarely(rng) {
        ports.push(json!({ "name": "s", "port": 90, "protocol": one(rng, &["SCTP", "XYZ"]) }));
    }
    let ranges = match rng.u8(..6) {
        0 => vec!["198.51.100.0/24"],
        1 => vec!["198.51.100.0/24", "198.51.100.0/99"],
        _ => Vec::new(),
    };
    let kind = if external {
        "ClusterIP"
    } else {
        one(rng, &["LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"])
    };
    let object = json!({
        "metadata": { "namespace": namespace, "name": name, "annotations": annotations,
                      "labels": { "tier": one(rng, &["gold", "tin"]) } },
        "spec": { "type": kind, "ports": ports, "loadBalancerSourceRanges": ranges, "clusterIP": "10.96.0.9",
                  "externalTrafficPolicy": one(rng, &["Cluster", "Local", "Local"]) },
    });
    put(&mut objects.services, ServiceName { namespace: namespace.into(), name: name.into() }, object, rng)
}

fn floating_ip(objects: &mut Objects, rng: &mut Rng) -> String {
    let (namespace, name) = (one(rng, &SPACES), one(rng, &FLOATING_IPS));
    let some = |rng: &mut Rng, value: Value| if rng.u8(..3) == 0 { value } else { Value::Null };
    let service = json!(one(rng, &SERVICES));
    let port =
        json!({ "port": rng.u16(80..82), "protocol": one(rng, &["TCP", "UDP", "SCTP"]), "targetPort": 8443 });
    let form = |rng: &mut Rng| {
        let bound = rng.bool();
        let target = if rng.bool() { json!({ "service": service }) } else { json!({ "ports": [port] }) };
        let selector = json!({ "matchLabels": { "rack": one(rng, &["a", "b"]) } });
        let candidates =
            json!({ "nodeSelector": some(rng, selector), "service": some(rng, service.clone()) });
        let checks = if rarely(rng) { json!([{ "tcp": { "port": 6443 } }]) } else { json!([]) };
        json!({
            "mode": if bound { "Bound" } else { "ReplyOnly" },
            "target": if bound && !rarely(rng) { Value::Null } else { target },
            "candidates": candidates, "healthChecks": checks,
        })
    };
    let spec = form(rng);
    let status = if rarely(rng) { json!({ "accepted": form(rng) }) } else { Value::Null };
    let object =
        json!({ "metadata": { "namespace": namespace, "name": name }, "spec": spec, "status": status });
    put(
        &mut objects.floating_ips,
        ServiceName { namespace: namespace.into(), name: name.into() },
        object,
        rng,
    )
}

fn slice(objects: &mut Objects, rng: &mut Rng) -> String {
    let (namespace, name) = (one(rng, &SPACES), one(rng, &["1", "2", "3", "4", "5", "6", "7"]));
    let family = one(rng, &["IPv4", "IPv4", "IPv6"]);
    let endpoints: Vec<Value> = (0..rng.u8(1..3))
        .map(|_| {
            let number = rng.u8(1..4);
            let address =
                if family == "IPv4" { format!("10.0.0.{number}") } else { format!("fd00::{number}") };
            let address = if rarely(rng) { "nonsense".to_owned() } else { address };
            let node = (!rarely(rng)).then(|| format!("n{number}"));
            json!({ "addresses": [address], "nodeName": node,
                    "conditions": { "ready": rng.u8(..4) > 0, "serving": rng.bool() } })
        })
        .collect();
    let labels =
        if rarely(rng) { json!({}) } else { json!({ "kubernetes.io/service-name": one(rng, &SERVICES) }) };
    let object = json!({
        "metadata": { "namespace": namespace, "name": name, "labels": labels },
        "addressType": family, "endpoints": endpoints,
        "ports": [{ "name": "", "port": 8080, "protocol": one(rng, &["TCP", "TCP", "UDP"]) }],
    });
    let key = ServiceName { namespace: namespace.into(), name: name.into() };
    put(&mut objects.endpoint_slices, key, object, rng)
}

fn virtual_ip(objects: &mut Objects, rng: &mut Rng) -> String {
    let address = one(rng, &ADDRESSES);
    let mut name = virtual_ip_name(address.parse().expect("an address"));
    if rarely(rng) {
        name.push('0');
    }
    let floats = rng.u8(..4) == 0;
    let consumer = |rng: &mut Rng| {
        let (kind, names) =
            if floats { ("FloatingIP", &FLOATING_IPS[..]) } else { ("Service", &SERVICES[..]) };
        json!({ "kind": kind, "namespace": one(rng, &SPACES), "name": one(rng, names) })
    };
    let count = if floats { 1 } else { rng.u8(1..4) };
    let consumers: Vec<Value> = (0..count).map(|_| consumer(rng)).collect();
    let mode = if floats { one(rng, &["Bound", "ReplyOnly"]) } else { "ReplyOnly" };
    let group = (rng.u8(..3) > 0).then(|| one(rng, &["g", "g", "h"]));
    let released = rarely(rng).then_some("2026-11-21T12:00:00Z");
    let object = json!({
        "metadata": { "name": name },
        "spec": { "address": address, "pool": one(rng, &POOLS), "consumers": consumers, "group": group, "mode": mode,
                  "releasedAt": released },
    });
    put(&mut objects.virtual_ips, name, object, rng)
}

fn pool(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &POOLS);
    let range = one(rng, &["192.0.2.0/24", "2001:db8::/64", "192.0.2.0/24", "192.0.2.0/99"]);
    let serves = match rng.u8(..3) {
        0 => json!({ "namespaces": ["shop"] }),
        1 => json!({ "namespaceSelectors": [{ "matchLabels": { "team": "a" } }] }),
        _ => Value::Null,
    };
    let metadata = json!({ "name": name, "labels": { "tier": one(rng, &["gold", "tin"]) } });
    if rarely(rng) {
        let object = json!({ "metadata": metadata, "spec": { "addresses": [range] } });
        return put(&mut objects.metallb_pools, name.to_owned(), object, rng);
    }
    let object =
        json!({ "metadata": metadata, "spec": { "addresses": [range], "serviceAllocation": serves } });
    put(&mut objects.pools, name.to_owned(), object, rng)
}

/// Selectors now and then, of which some cannot be read.
fn selectors(rng: &mut Rng, key: &str, values: [&str; 2]) -> Value {
    match rng.u8(..6) {
        0 => json!([{ "matchLabels": { key: one(rng, &values) } }]),
        1 if rarely(rng) => json!([{ "matchExpressions": [{ "key": key, "operator": "Near" }] }]),
        _ => json!([]),
    }
}

fn advertisement(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &["x", "y"]);
    let interfaces = if rng.bool() { json!([one(rng, &["eth0", "eth1"])]) } else { json!([]) };
    let metadata = json!({ "name": name });
    if rarely(rng) {
        let object = json!({ "metadata": metadata, "spec": { "ipAddressPools": [one(rng, &POOLS)] } });
        return put(&mut objects.metallb_l2_advertisements, name.to_owned(), object, rng);
    }
    let object = json!({ "metadata": metadata, "spec": {
        "addressPools": if rarely(rng) { json!([one(rng, &POOLS)]) } else { json!([]) },
        "addressPoolSelectors": selectors(rng, "tier", ["gold", "tin"]),
        "nodeSelectors": selectors(rng, "rack", ["a", "b"]),
        "serviceSelectors": selectors(rng, "tier", ["gold", "tin"]),
        "interfaces": interfaces,
    } });
    put(&mut objects.l2_advertisements, name.to_owned(), object, rng)
}

/// Half of the time only what is said of routes is another.
fn bgp_advertisement(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &["x", "y"]);
    let before = objects.bgp_advertisements.get(name).filter(|_| rng.bool());
    let mut spec = match before {
        Some(before) => json!(before.spec),
        None => json!({
            "addressPools": if rarely(rng) { json!([one(rng, &POOLS)]) } else { json!([]) },
            "addressPoolSelectors": selectors(rng, "tier", ["gold", "tin"]),
            "nodeSelectors": selectors(rng, "rack", ["a", "b"]),
            "serviceSelectors": selectors(rng, "tier", ["gold", "tin"]),
            "aggregationLength": if rarely(rng) { json!(30) } else { json!(32) },
        }),
    };
    spec["localPref"] = json!(rng.u8(..3));
    spec["communities"] = json!([one(rng, &["64512:1", "64512:2", "64512:1", "of no such name"])]);
    spec["peers"] = if rarely(rng) { json!([one(rng, &["p", "q"])]) } else { json!([]) };
    let object = json!({ "metadata": { "name": name }, "spec": spec });
    put(&mut objects.bgp_advertisements, name.to_owned(), object, rng)
}

fn bgp_peer(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &["p", "q"]);
    let object = json!({ "metadata": { "name": name }, "spec": {
        "myASN": 64512, "peerASN": rng.u32(64513..64515), "peerAddress": one(rng, &["203.0.113.1", "203.0.113.2"]),
        "nodeSelectors": selectors(rng, "rack", ["a", "b"]),
    } });
    put(&mut objects.bgp_peers, name.to_owned(), object, rng)
}

fn node(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &NODES);
    let mut labels = BTreeMap::from([("rack", one(rng, &["a", "b"]))]);
    if rarely(rng) {
        labels.insert("node.kubernetes.io/exclude-from-external-load-balancers", "");
    }
    let drained = if rarely(rng) { "true" } else { "false" };
    let object = json!({
        "metadata": { "name": name, "labels": labels, "annotations": { "ferrolb.io/drain": drained } },
        "status": { "conditions": [{ "type": "Ready", "status": one(rng, &["True", "False"]) }] },
    });
    put(&mut objects.nodes, name.to_owned(), object, rng)
}

fn namespace(objects: &mut Objects, rng: &mut Rng) -> String {
    let name = one(rng, &SPACES);
    let object = json!({ "metadata": { "name": name, "labels": { "team": one(rng, &["a", "b"]) } } });
    put(&mut objects.namespaces, name.to_owned(), object, rng)
}
