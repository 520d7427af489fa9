// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the Kubernetes API server would fill in, for objects that come from files.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sha2::{Digest, Sha256};

use crate::name::{ObjectRef, ServiceName};
use crate::objects::{DEFAULT_NAMESPACE, Object, Objects};

/// The label that the API server puts on every Namespace.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Fills in one object as the API server would: namespace, uid, and for a Service its type, protocols, target ports
/// and policies. What the manifest says stays. `ipFamilies` is left empty where only the pools can tell.
pub fn apply(object: &mut Object) {
    let reference = object.reference();
    let metadata = object.metadata_mut();
    metadata.namespace = reference.namespace.clone();
    metadata.uid.get_or_insert_with(|| stable_uid(&reference));
    match object {
        Object::Service(service) => default_service(Arc::make_mut(service)),
        Object::Namespace(namespace) => label_namespace(Arc::make_mut(namespace)),
        _ => {}
    }
}

/// Adds the Namespaces that Services and FloatingIPs live in but no manifest describes: without an API server nobody else creates
/// them, and selectors match their labels.
pub fn complete(objects: &mut Objects) {
    for ServiceName { namespace, .. } in objects.services.keys().chain(objects.floating_ips.keys()) {
        objects.namespaces.entry(namespace.clone()).or_insert_with(|| {
            let name = Some(namespace.clone());
            let reference = ObjectRef::cluster("Namespace", namespace.clone());
            let metadata = ObjectMeta { name, uid: Some(stable_uid(&reference)), ..ObjectMeta::default() };
            let mut namespace = Namespace { metadata, ..Namespace::default() };
            label_namespace(&mut namespace);
            Arc::new(namespace)
        });
    }
}

/// A uid that the same kind, namespace and name always have, in the form of a version 8 UUID (RFC 9562, 5.8).
pub fn stable_uid(object: &ObjectRef) -> String {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let digest = Sha256::digest(format!("{}/{namespace}/{}", object.kind, object.name));
    let bits = digest.iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let version = bits & !(0xf << 76) | (0x8 << 76);
    let variant = version & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{variant:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

fn label_namespace(namespace: &mut Namespace) {
    let name = namespace.metadata.name.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let labels = namespace.metadata.labels.get_or_insert_default();
    labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name);
}

fn default_service(service: &mut Service) {
    let Some(spec) = &mut service.spec else { return };
    let kind = spec.type_.get_or_insert_with(|| "ClusterIP".to_owned()).clone();
    spec.session_affinity.get_or_insert_with(|| "None".to_owned());
    if kind == "LoadBalancer" || kind == "NodePort" {
        spec.external_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    let policy = spec.ip_family_policy.get_or_insert_with(|| "SingleStack".to_owned()).clone();
    if policy == "RequireDualStack" {
        let families = spec.ip_families.get_or_insert_default();
        let missing =
            ["IPv4", "IPv6"].into_iter().filter(|family| !families.iter().any(|known| known == family));
        let missing: Vec<String> = missing.map(str::to_owned).collect();
        families.extend(missing);
    }
    for port in spec.ports.iter_mut().flatten() {
        default_port(port);
    }
}

fn default_port(port: &mut ServicePort) {
    port.protocol.get_or_insert_with(|| "TCP".to_owned());
    let given = match &port.target_port {
        None | Some(IntOrString::Int(0)) => false,
        Some(IntOrString::String(name)) => !name.is_empty(),
        Some(IntOrString::Int(_)) => true,
    };
    if !given {
        port.target_port = Some(IntOrString::Int(port.port));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceSpec;

    use super::*;

    fn service(spec: ServiceSpec) -> ServiceSpec {
        let metadata = ObjectMeta { name: Some("web".to_owned()), ..ObjectMeta::default() };
        let mut object = Object::Service(Arc::new(Service { metadata, spec: Some(spec), status: None }));
        apply(&mut object);
        let Object::Service(service) = object else { unreachable!() };
        assert_eq!(service.metadata.namespace.as_deref(), Some("default"));
        service.spec.clone().unwrap()
    }

    #[test]
    fn a_service_gets_what_the_api_server_would_give_it() {
        let port = ServicePort { port: 80, ..ServicePort::default() };
        let spec = ServiceSpec {
            type_: Some("LoadBalancer".to_owned()),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        };
        let spec = service(spec);
        assert_eq!(spec.external_traffic_policy.as_deref(), Some("Cluster"));
        assert_eq!(spec.ip_family_policy.as_deref(), Some("SingleStack"));
        assert_eq!(spec.session_affinity.as_deref(), Some("None"));
        let port = &spec.ports.unwrap()[0];
        assert_eq!(port.protocol.as_deref(), Some("TCP"));
        assert_eq!(port.target_port, Some(IntOrString::Int(80)));
    }

    #[test]
    fn dual_stack_keeps_the_primary_family_that_the_manifest_names() {
        let spec = ServiceSpec {
            ip_family_policy: Some("RequireDualStack".to_owned()),
            ip_families: Some(vec!["IPv6".to_owned()]),
            ..ServiceSpec::default()
        };
        assert_eq!(service(spec).ip_families.unwrap(), ["IPv6", "IPv4"]);
    }

    #[test]
    fn a_uid_depends_on_kind_namespace_and_name_alone() {
        let of = |kind: &str, namespace: &str, name: &str| {
            let namespace = Some(namespace.to_owned());
            stable_uid(&ObjectRef { kind: kind.to_owned(), namespace, name: name.to_owned() })
        };
        let uid = of("Service", "default", "web");
        assert_eq!(uid, of("Service", "default", "web"));
        assert_ne!(uid, of("Service", "default", "web2"));
        assert_ne!(uid, of("Service", "shop", "web"));
        assert_ne!(uid, of("EndpointSlice", "default", "web"));
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.chars().nth(14), Some('8'), "{uid}");
        assert!(matches!(uid.chars().nth(19), Some('8' | '9' | 'a' | 'b')), "{uid}");
    }

    #[test]
    fn namespaces_that_nobody_describes_are_there_all_the_same() {
        let mut objects = Objects::default();
        let metadata = ObjectMeta {
            name: Some("web".to_owned()),
            namespace: Some("shop".to_owned()),
            ..ObjectMeta::default()
        };
        objects.insert(Object::Service(Arc::new(Service { metadata, ..Service::default() })));
        complete(&mut objects);
        let labels = objects.namespaces["shop"].metadata.labels.clone().unwrap();
        assert_eq!(labels[NAMESPACE_NAME_LABEL], "shop");
    }
}
