// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether the external addresses of a Service are FerroLB's to move, and what is to be written then. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::address::Family;
use ferrolb_config::api::annotation;
use ferrolb_config::reason::{Reason, Refusal};
use ferrolb_config::snapshot::Scope;
use ferrolb_config::{Object, ObjectRef, Objects, ServiceName, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use crate::plan::{ServicePlan, plan};

/// What makes a Service with external addresses one of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The Service.
    pub service: ServiceName,
    /// Its external addresses, at most one a family.
    pub addresses: Vec<IpAddr>,
    /// The class that it gets; `None`: it is of type LoadBalancer already, and its class cannot be changed.
    pub class: Option<String>,
    /// Whether it had node ports before. One that had none gets none.
    pub has_node_ports: bool,
}

impl Move {
    /// The first write, as a JSON merge patch (RFC 7396).
    pub(super) fn patch(&self) -> Value {
        let mut spec = json!({"type": "LoadBalancer"});
        if let (Some(class), Value::Object(spec)) = (&self.class, &mut spec) {
            spec.insert("loadBalancerClass".to_owned(), json!(class));
            spec.insert("allocateLoadBalancerNodePorts".to_owned(), json!(self.has_node_ports));
        }
        let annotations = json!({annotation::ADDRESSES: self.list(), annotation::EXTERNAL_IPS_FROM: null});
        json!({"metadata": {"annotations": annotations}, "spec": spec})
    }

    /// Whether the list of the Service is still the one that was decided upon.
    pub(super) fn is_of(&self, service: &Service) -> bool {
        listed(service).iter().map(|entry| entry.parse().ok()).eq(self.addresses.iter().copied().map(Some))
    }

    /// The Service as it is after the first write.
    fn asking(&self, service: &Service) -> Service {
        let mut service = service.clone();
        let spec = service.spec.get_or_insert_default();
        spec.type_ = Some("LoadBalancer".to_owned());
        if let Some(class) = &self.class {
            spec.load_balancer_class = Some(class.clone());
        }
        let annotations = service.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation::ADDRESSES.to_owned(), self.list());
        annotations.remove(annotation::EXTERNAL_IPS_FROM);
        service
    }

    /// What has to stand in the Service's manifest from then on, as YAML; `null` is what has to be taken out.
    pub fn manifest(&self) -> String {
        let Self { service: ServiceName { namespace, name }, class, has_node_ports, .. } = self;
        let class = class.iter().map(|class| {
            format!("  loadBalancerClass: {class:?}\n  allocateLoadBalancerNodePorts: {has_node_ports}\n")
        });
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  namespace: {namespace:?}\n  name: {name:?}\n  annotations:\n    \
             {}: {:?}\n    {}: null\nspec:\n  type: LoadBalancer\n{}  externalIPs: null\n",
            annotation::ADDRESSES,
            self.list(),
            annotation::EXTERNAL_IPS_FROM,
            class.collect::<String>(),
        )
    }

    fn list(&self) -> String {
        self.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Decides about the Service `name`, for a controller that serves the Services of `scope`.
///
/// # Errors
/// Why nothing may be written: an entry is not FerroLB's to move, or the controller would not give all of them.
pub fn decide(
    objects: &Objects,
    name: &ServiceName,
    scope: &Scope,
    now: Timestamp,
) -> Result<Move, Box<Refusal>> {
    let refuse = |reason, message: String, field| {
        Box::new(Refusal::error(reason, ObjectRef::namespaced("Service", name), message).field(field))
    };
    let service = objects.services.get(name);
    let service = service
        .ok_or_else(|| refuse(Reason::NotFound, "there is no such Service".to_owned(), "metadata.name"))?;
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") || spec.cluster_ip.as_deref() == Some("None") {
        let message = "Kubernetes ignores the external addresses of a Service without a cluster address";
        return Err(refuse(Reason::ContradictoryRequest, message.to_owned(), "spec.externalIPs"));
    }
    let is_load_balancer = spec.type_.as_deref() == Some("LoadBalancer");
    let theirs = spec.load_balancer_class.as_deref();
    if is_load_balancer && !scope.admits(theirs) {
        let message = match theirs {
            Some(theirs) => format!("the Service is of the class {theirs}"),
            None => "the Service is of no class".to_owned(),
        };
        return Err(refuse(Reason::OtherLoadBalancerClass, message, "spec.loadBalancerClass"));
    }
    let snapshot = Snapshot::build_within(objects, scope);
    let what = Move {
        service: name.clone(),
        addresses: movable(&snapshot, service, name)?,
        class: (!is_load_balancer).then(|| scope.class().to_owned()),
        has_node_ports: spec.type_.as_deref() == Some("NodePort"),
    };
    rehearse(objects, service, &what, scope, now)?;
    Ok(what)
}

/// Asks the controller's own function whether it would give the addresses after the first write.
fn rehearse(
    objects: &Objects,
    service: &Service,
    what: &Move,
    scope: &Scope,
    now: Timestamp,
) -> Result<(), Box<Refusal>> {
    let mut then = objects.clone();
    then.insert(Object::Service(Arc::new(what.asking(service))));
    let planned = plan(&Snapshot::build_within(&then, scope), now).services.remove(&what.service);
    let (given, refusal) = match planned {
        Some(ServicePlan::Ours { addresses, refusal }) => (addresses, refusal),
        Some(ServicePlan::Foreign { refusal }) => (Vec::new(), Some(refusal)),
        _ => (Vec::new(), None),
    };
    if what.addresses.iter().all(|address| given.contains(address)) {
        return Ok(());
    }
    let unknown = || {
        let message = format!("the controller would give {given:?} instead");
        Refusal::error(Reason::ContradictoryRequest, ObjectRef::namespaced("Service", &what.service), message)
    };
    Err(Box::new(refusal.unwrap_or_else(unknown)))
}

/// The entries of the list, if all of them are ours to move.
fn movable(snapshot: &Snapshot, service: &Service, name: &ServiceName) -> Result<Vec<IpAddr>, Box<Refusal>> {
    let refuse = |reason, message: String, remedy: &str| {
        let object = ObjectRef::namespaced("Service", name);
        Box::new(Refusal::error(reason, object, message).field("spec.externalIPs").remedy(remedy))
    };
    let entries = listed(service);
    if entries.is_empty() {
        let message = "the Service has no external addresses to move".to_owned();
        return Err(refuse(Reason::NotFound, message, "Nothing is left to do."));
    }
    let labels = service.metadata.labels.clone().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for entry in entries {
        let not_ours =
            |why: &str, remedy| refuse(Reason::ExternalIPsNotOurs, format!("{entry} {why}"), remedy);
        let address: IpAddr = entry.parse().map_err(|_| not_ours("is not an address", "Take it out."))?;
        let namespace = &name.namespace;
        let pool = snapshot.pools.values().find(|pool| pool.accepting.is_ok() && pool.contains(address));
        let pool = pool.filter(|pool| pool.admits(namespace, snapshot.namespaces.get(namespace), &labels));
        if pool.is_none() {
            let remedy = "Add it to an AddressPool that the Service may use.";
            return Err(not_ours("is in no pool that the Service may use", remedy));
        }
        if addresses.iter().any(|other| Family::of(*other) == Family::of(address)) {
            let message = "a LoadBalancer has one address of each family, and the list holds more";
            let remedy = "Give the others to Services of their own.";
            return Err(refuse(Reason::ContradictoryRequest, message.to_owned(), remedy));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// The external addresses of a Service as they are written.
fn listed(service: &Service) -> &[String] {
    service.spec.as_ref().and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceSpec;

    use super::*;

    fn objects(type_: &str, list: &[&str]) -> Objects {
        let mut objects = Objects::default();
        let is_dual = list.iter().any(|entry| entry.contains(':'));
        let (families, cluster_ips) = if is_dual {
            (json!(["IPv4", "IPv6"]), json!(["10.0.0.1", "fd00::1"]))
        } else {
            (json!(["IPv4"]), json!(["10.0.0.1"]))
        };
        let service = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "type": type_, "clusterIP": "10.0.0.1", "clusterIPs": cluster_ips, "externalIPs": list,
                "ipFamilyPolicy": if is_dual { "PreferDualStack" } else { "SingleStack" }, "ipFamilies": families,
            },
        });
        objects.insert(Object::Service(Arc::new(serde_json::from_value(service).unwrap())));
        let pool = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "AddressPool", "metadata": {"name": "p"},
            "spec": {"addresses": ["192.0.2.0/24", "2001:db8::/120"]},
        });
        objects.insert(Object::AddressPool(Arc::new(serde_json::from_value(pool).unwrap())));
        objects
    }

    fn edit(objects: &mut Objects, change: impl FnOnce(&mut ServiceSpec)) {
        let mut service = Service::clone(objects.services.values().next().unwrap());
        change(service.spec.as_mut().unwrap());
        objects.insert(Object::Service(Arc::new(service)));
    }

    fn decided(objects: &Objects) -> Result<Move, (Reason, String)> {
        let name = ServiceName { namespace: "shop".to_owned(), name: "web".to_owned() };
        let decision = decide(objects, &name, &Scope::default(), Timestamp::UNIX_EPOCH);
        decision.map_err(|refusal| (refusal.reason, refusal.message))
    }

    #[test]
    fn addresses_of_a_pool_move_and_the_manifest_says_what_is_to_stand_in_it() {
        let what = decided(&objects("ClusterIP", &["192.0.2.7", "2001:db8::7"])).unwrap();
        assert_eq!(
            what.manifest(),
            "apiVersion: v1\nkind: Service\nmetadata:\n  namespace: \"shop\"\n  name: \"web\"\n  annotations:\n    \
             ferrolb.io/addresses: \"192.0.2.7,2001:db8::7\"\n    ferrolb.io/external-ips-from: null\nspec:\n  \
             type: LoadBalancer\n  loadBalancerClass: \"ferrolb.io/ferrolb\"\n  allocateLoadBalancerNodePorts: false\n  \
             externalIPs: null\n"
        );
        let patch = what.patch();
        assert!(patch["spec"].get("externalIPs").is_none(), "the list is emptied last");
    }

    #[test]
    fn a_migration_that_was_cut_short_goes_on() {
        let what = decided(&objects("LoadBalancer", &["192.0.2.7"])).unwrap();
        assert_eq!(what.class, None);
        assert_eq!(what.patch()["spec"], json!({"type": "LoadBalancer"}));
    }

    #[test]
    fn what_is_not_ours_to_move_is_refused_with_the_entry_named() {
        let not_ours = decided(&objects("ClusterIP", &["192.0.2.7", "203.0.113.9"])).unwrap_err();
        assert_eq!(
            not_ours,
            (Reason::ExternalIPsNotOurs, "203.0.113.9 is in no pool that the Service may use".to_owned())
        );
        assert_eq!(decided(&objects("ClusterIP", &[])).unwrap_err().0, Reason::NotFound);
        let two = decided(&objects("ClusterIP", &["192.0.2.7", "192.0.2.8"])).unwrap_err();
        assert_eq!(two.0, Reason::ContradictoryRequest);
        assert_eq!(
            decided(&objects("ExternalName", &["192.0.2.7"])).unwrap_err().0,
            Reason::ContradictoryRequest
        );
    }

    #[test]
    fn what_the_controller_would_not_give_is_refused_in_its_words() {
        let mut single = objects("ClusterIP", &["192.0.2.7", "2001:db8::7"]);
        edit(&mut single, |spec| {
            spec.ip_family_policy = Some("SingleStack".to_owned());
            spec.ip_families = Some(vec!["IPv4".to_owned()]);
            spec.cluster_ips = Some(vec!["10.0.0.1".to_owned()]);
        });
        assert_eq!(decided(&single).unwrap_err().0, Reason::NoSuchFamily);
        let mut recorded = objects("ClusterIP", &["192.0.2.7"]);
        let record = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "VirtualIP", "metadata": {"name": "192.0.2.7"},
            "spec": {"address": "192.0.2.7", "pool": "p",
                "consumers": [{"kind": "Service", "namespace": "shop", "name": "other"}]},
        });
        recorded.insert(Object::VirtualIP(Arc::new(serde_json::from_value(record).unwrap())));
        let other = json!({
            "metadata": {"name": "other", "namespace": "shop"},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.2", "ports": [{"port": 80}]},
        });
        recorded.insert(Object::Service(Arc::new(serde_json::from_value(other).unwrap())));
        let (reason, message) = decided(&recorded).unwrap_err();
        assert_eq!(reason, Reason::AddressInUse, "{message}");
    }

    #[test]
    fn a_load_balancer_of_another_class_is_another_controllers() {
        let mut all = objects("LoadBalancer", &["192.0.2.7"]);
        edit(&mut all, |spec| spec.load_balancer_class = Some("other.io/lb".to_owned()));
        assert_eq!(decided(&all).unwrap_err().0, Reason::OtherLoadBalancerClass);
    }
}
