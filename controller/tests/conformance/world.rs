// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A cluster's objects, edited as users edit them, with every plan carried out at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{AddressPool, AddressPoolSpec, ConsumerKind, FloatingIP, ServiceAllocation};
use ferrolb_config::reason::Reason;
use ferrolb_config::{Objects, ServiceName, Snapshot};
use ferrolb_controller::apply::{Target, Write, Written, carry_out, steps};
use ferrolb_controller::plan::ServicePlan;
use ferrolb_controller::{Plan, plan};
use k8s_openapi::api::core::v1::{
    LoadBalancerIngress, LoadBalancerStatus, Namespace, Service, ServicePort, ServiceSpec, ServiceStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

#[derive(Clone, Debug, Default)]
pub struct World {
    pub objects: Objects,
    pub plan: Plan,
    /// The time at which plans are made.
    pub now: Timestamp,
    written: Written,
    /// Whether the checks after every write are left out; each looks at everything.
    pub unchecked: bool,
    /// What Services show by other hands than ours.
    shown_before: BTreeSet<(ServiceName, String)>,
}

fn shown_by(service: &Service) -> Vec<String> {
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    ingress.into_iter().flatten().filter_map(|entry| entry.ip.clone()).collect()
}

pub fn service_name(text: &str) -> ServiceName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ServiceName { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// A TCP port.
pub fn tcp(port: i32) -> ServicePort {
    ServicePort {
        port,
        protocol: Some("TCP".to_owned()),
        name: Some(format!("tcp-{port}")),
        ..Default::default()
    }
}

/// A UDP port.
pub fn udp(port: i32) -> ServicePort {
    ServicePort { protocol: Some("UDP".to_owned()), name: Some(format!("udp-{port}")), ..tcp(port) }
}

/// The edits that tests make on a Service.
pub trait Edit {
    fn annotate(&mut self, key: &str, value: &str) -> &mut Self;
    fn unannotate(&mut self, key: &str) -> &mut Self;
    fn spec(&mut self) -> &mut ServiceSpec;

    fn ask(&mut self, addresses: &str) -> &mut Self {
        self.annotate("ferrolb.io/addresses", addresses)
    }
    fn ask_pool(&mut self, pool: &str) -> &mut Self {
        self.annotate("ferrolb.io/address-pool", pool)
    }
    fn share(&mut self, key: &str) -> &mut Self {
        self.annotate("ferrolb.io/sharing-key", key)
    }
    fn ports(&mut self, ports: &[ServicePort]) -> &mut Self {
        self.spec().ports = Some(ports.to_vec());
        self
    }
    fn policy(&mut self, policy: &str) -> &mut Self {
        self.spec().ip_family_policy = Some(policy.to_owned());
        self
    }
    fn families(&mut self, families: &[&str]) -> &mut Self {
        self.spec().ip_families = Some(families.iter().map(|family| (*family).to_owned()).collect());
        self
    }
    fn external(&mut self, pool: &str) -> &mut Self {
        self.spec().type_ = Some("ClusterIP".to_owned());
        self.annotate("ferrolb.io/external-ips-from", pool)
    }
    fn local(&mut self, app: &str) -> &mut Self {
        self.spec().external_traffic_policy = Some("Local".to_owned());
        self.selector(app)
    }
    fn selector(&mut self, app: &str) -> &mut Self {
        self.spec().selector = Some([("app".to_owned(), app.to_owned())].into());
        self
    }
}

impl Edit for Service {
    fn annotate(&mut self, key: &str, value: &str) -> &mut Self {
        self.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self
    }
    fn unannotate(&mut self, key: &str) -> &mut Self {
        self.metadata.annotations.get_or_insert_default().remove(key);
        self
    }
    fn spec(&mut self) -> &mut ServiceSpec {
        self.spec.get_or_insert_default()
    }
}

/// Whom a pool serves.
pub trait Serve {
    fn serve(&mut self) -> &mut ServiceAllocation;

    fn priority(&mut self, priority: u32) -> &mut Self {
        self.serve().priority = priority;
        self
    }
    fn namespaces(&mut self, names: &[&str]) -> &mut Self {
        self.serve().namespaces = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }
    fn namespaces_with(&mut self, labels: &[(&str, &str)]) -> &mut Self {
        self.serve().namespace_selectors.push(selecting(labels));
        self
    }
    fn services_with(&mut self, labels: &[(&str, &str)]) -> &mut Self {
        self.serve().service_selectors.push(selecting(labels));
        self
    }
}

impl Serve for AddressPool {
    fn serve(&mut self) -> &mut ServiceAllocation {
        self.spec.service_allocation.get_or_insert_default()
    }
}

/// Labels.
pub fn text_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn selecting(labels: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(text_map(labels)), match_expressions: None }
}

impl World {
    /// A world with these pools, each a name and its ranges.
    pub fn with_pools(pools: &[(&str, &[&str])]) -> Self {
        let mut world = Self::default();
        for (name, ranges) in pools {
            world.pool(name, ranges);
        }
        world
    }

    /// Creates the pool, or edits its ranges.
    pub fn pool(&mut self, name: &str, ranges: &[&str]) -> &mut AddressPool {
        let pool = self
            .objects
            .pools
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(AddressPool::new(name, AddressPoolSpec::default())));
        let pool = Arc::make_mut(pool);
        pool.spec.addresses = ranges.iter().map(|range| (*range).to_owned()).collect();
        pool
    }

    /// Creates a Service of type LoadBalancer with the port TCP 80, or finds it.
    pub fn service(&mut self, name: &str) -> &mut Service {
        let name = service_name(name);
        let service = self.objects.services.entry(name.clone()).or_insert_with(|| {
            let mut service = Service::default();
            service.metadata.namespace = Some(name.namespace);
            service.metadata.name = Some(name.name);
            service.spec().type_ = Some("LoadBalancer".to_owned());
            service.ports(&[tcp(80)]);
            Arc::new(service)
        });
        Arc::make_mut(service)
    }

    /// Creates a FloatingIP that leads to port 80 of its node, or finds it.
    pub fn floating_ip(&mut self, name: &str) -> &mut FloatingIP {
        let name = service_name(name);
        let floating_ip = self.objects.floating_ips.entry(name.clone()).or_insert_with(|| {
            let target = serde_json::json!({"target": {"ports": [{"port": 80}]}});
            let mut floating_ip = FloatingIP::new(&name.name, serde_json::from_value(target).unwrap());
            floating_ip.metadata.namespace = Some(name.namespace);
            Arc::new(floating_ip)
        });
        Arc::make_mut(floating_ip)
    }

    pub fn delete(&mut self, name: &str) {
        self.objects.services.remove(&service_name(name));
    }

    /// Plans and carries the plan out, as often as it takes until nothing changes. Returns how often.
    pub fn settle(&mut self) -> usize {
        for round in 0..20 {
            if self.pass(usize::MAX) == 0 {
                return round;
            }
        }
        panic!("the plan does not come to rest");
    }

    /// One pass of a controller that is killed after `most` writes. Returns how many writes it made.
    pub fn pass(&mut self, most: usize) -> usize {
        self.plan = plan(&Snapshot::build(&self.objects), self.now);
        let steps = steps(&self.plan, &self.objects, Target::Directory(&self.written), &Time(self.now));
        let mut writes = 0;
        let outcome = carry_out(steps, |write| {
            if writes == most {
                return Err("killed");
            }
            writes += 1;
            self.written.note(write);
            self.write(write);
            if !self.unchecked {
                self.check_shown_is_recorded();
            }
            Ok(())
        });
        assert!(most < usize::MAX || outcome.put_off == 0);
        if writes < most {
            writes += self.write_external_ips();
        }
        writes
    }

    fn write(&mut self, write: &Write) {
        let objects = &mut self.objects;
        match write.clone() {
            Write::PutVirtualIP(object) => {
                objects.virtual_ips.insert(object.metadata.name.clone().unwrap(), Arc::from(object));
            }
            Write::DeleteVirtualIP(object) => {
                objects.virtual_ips.remove(object.metadata.name.as_ref().unwrap()).unwrap();
            }
            Write::PutServiceStatus(object) => {
                let name =
                    format!("{}/{}", object.metadata.namespace.unwrap(), object.metadata.name.unwrap());
                Arc::make_mut(objects.services.get_mut(&service_name(&name)).unwrap()).status = object.status;
            }
            Write::DeleteServiceStatus(name) => {
                if let Some(object) = objects.services.get_mut(&name).map(Arc::make_mut) {
                    object.status = None;
                }
            }
            Write::PutFloatingIPStatus(object) => {
                let name =
                    format!("{}/{}", object.metadata.namespace.unwrap(), object.metadata.name.unwrap());
                Arc::make_mut(objects.floating_ips.get_mut(&service_name(&name)).unwrap()).status =
                    object.status;
            }
            Write::DeleteFloatingIPStatus(_) => {}
            Write::PutPoolStatus(object) => {
                Arc::make_mut(objects.pools.get_mut(&object.metadata.name.unwrap()).unwrap()).status =
                    object.status;
            }
            Write::PutVerdict(verdict) => verdict.enter(objects),
            Write::PutExternalIPs(_) | Write::PutVirtualIPStatus(_) | Write::PutSpeakerStatus(_) => {
                panic!("written in a cluster only")
            }
            Write::DeletePoolStatus(_) | Write::DeleteVerdict(..) => {}
        }
    }

    /// At every moment: who shows an address of ours is recorded for it, and who shares one fits together.
    fn check_shown_is_recorded(&self) {
        let mut shown: BTreeMap<String, Vec<ServiceName>> = BTreeMap::new();
        for (name, service) in &self.objects.services {
            for address in shown_by(service) {
                shown.entry(address).or_default().push(name.clone());
            }
        }
        for (name, floating_ip) in &self.objects.floating_ips {
            for address in floating_ip.status.iter().flat_map(|status| &status.addresses) {
                let record = &self.objects.virtual_ips[&virtual_ip_name(address.parse().unwrap())];
                let [user] = record.spec.consumers.as_slice() else { panic!("{address} is shared") };
                assert_eq!((user.kind, &user.object_name()), (ConsumerKind::FloatingIP, name), "{address}");
            }
        }
        for (address, names) in shown {
            let ip: IpAddr = address.parse().unwrap();
            let Some(record) = self.objects.virtual_ips.get(&virtual_ip_name(ip)) else {
                let foreign =
                    |name| matches!(self.plan.services.get(name), Some(ServicePlan::Foreign { .. }) | None);
                let stale = |name| self.shown_before.contains(&(name, address.clone()));
                assert!(
                    names.iter().all(|name| foreign(name) || stale(name.clone())),
                    "{address} is shown and not recorded"
                );
                continue;
            };
            for name in names {
                let is_recorded =
                    record.spec.consumers.iter().any(|consumer| consumer.service().as_ref() == Some(&name));
                let stale = self.shown_before.contains(&(name.clone(), address.clone()));
                assert!(is_recorded || stale, "{name} shows {address} and is not recorded for it");
            }
        }
    }

    /// Puts a status there that no write of ours explains.
    pub fn tamper(&mut self, name: &str, addresses: &[&str]) {
        self.service(name).status = Some(status(addresses.iter().map(|address| (*address).to_owned())));
        self.shown_before.extend(addresses.iter().map(|address| (service_name(name), (*address).to_owned())));
    }

    /// Loses all records, as when the disk is lost.
    pub fn lose_records(&mut self) {
        self.objects.virtual_ips.clear();
        for (name, service) in &self.objects.services {
            self.shown_before.extend(shown_by(service).into_iter().map(|address| (name.clone(), address)));
        }
    }

    /// Creates or relabels a namespace.
    pub fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        namespace.metadata.labels = Some(text_map(labels));
        self.objects.namespaces.insert(name.to_owned(), Arc::new(namespace));
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Writes `spec.externalIPs` as the plan says. Returns how many lists changed.
    fn write_external_ips(&mut self) -> usize {
        let mut written = 0;
        for (name, list) in self.plan.external_ips.clone() {
            let Some(service) = self.objects.services.get_mut(&name).map(Arc::make_mut) else { continue };
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            let spec = service.spec.get_or_insert_default();
            if spec.external_ips.clone().unwrap_or_default() != list {
                spec.external_ips = Some(list);
                written += 1;
            }
        }
        written
    }

    /// Settles, and returns `spec.externalIPs` of a Service.
    pub fn external_ips(&mut self, name: &str) -> Vec<String> {
        self.settle();
        let service = &self.objects.services[&service_name(name)];
        service.spec.as_ref().and_then(|spec| spec.external_ips.clone()).unwrap_or_default()
    }

    /// Settles, and returns the addresses that the Service has.
    pub fn addresses(&mut self, name: &str) -> Vec<String> {
        self.settle();
        match self.plan.services.get(&service_name(name)) {
            Some(ServicePlan::Ours { addresses, .. } | ServicePlan::External { addresses, .. }) => {
                addresses.iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Settles, and returns why the Service has not all that it asks for.
    pub fn reason(&mut self, name: &str) -> Option<Reason> {
        self.settle();
        match self.plan.services.get(&service_name(name))? {
            ServicePlan::Ours { refusal, .. } | ServicePlan::External { refusal, .. } => {
                refusal.as_ref().map(|refusal| refusal.reason)
            }
            ServicePlan::Foreign { refusal } => Some(refusal.reason),
            ServicePlan::Released => None,
        }
    }

    /// Settles, and returns the addresses of several Services, `-` for none.
    pub fn all<const N: usize>(&mut self, names: [&str; N]) -> [String; N] {
        names.map(|name| {
            let addresses = self.addresses(name);
            if addresses.is_empty() { "-".to_owned() } else { addresses.join(" ") }
        })
    }

    /// The group and the consumers of an address.
    pub fn virtual_ip(&self, address: &str) -> Option<(String, Vec<String>)> {
        let spec = self.plan.virtual_ips.get(&address.parse().unwrap())?;
        let consumers =
            spec.consumers.iter().map(|consumer| format!("{}/{}", consumer.namespace, consumer.name));
        Some((spec.group.clone().unwrap_or_default(), consumers.collect()))
    }
}

/// The status of a Service that shows `addresses`.
pub fn status(addresses: impl Iterator<Item = String>) -> ServiceStatus {
    let entry = |ip| LoadBalancerIngress { ip: Some(ip), ..Default::default() };
    let ingress = addresses.map(entry).collect::<Vec<_>>();
    ServiceStatus { load_balancer: Some(LoadBalancerStatus { ingress: Some(ingress) }), conditions: None }
}
