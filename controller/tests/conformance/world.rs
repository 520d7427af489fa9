// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A cluster's objects, edited as users edit them, with every plan carried out at once.

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{AddressPool, AddressPoolSpec, AddressPoolStatus, VirtualIP};
use ferrolb_config::reason::Reason;
use ferrolb_config::{Objects, ServiceName, Snapshot};
use ferrolb_controller::plan::ServicePlan;
use ferrolb_controller::{Plan, plan};
use k8s_openapi::api::core::v1::{
    LoadBalancerIngress, LoadBalancerStatus, Service, ServicePort, ServiceSpec, ServiceStatus,
};

#[derive(Clone, Debug, Default)]
pub struct World {
    pub objects: Objects,
    pub plan: Plan,
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
        let pool = self.objects.pools.entry(name.to_owned()).or_insert_with(|| {
            let spec = AddressPoolSpec { addresses: Vec::new(), auto_assign: true, avoid_buggy_ips: false };
            AddressPool::new(name, spec)
        });
        pool.spec.addresses = ranges.iter().map(|range| (*range).to_owned()).collect();
        pool
    }

    /// Creates a Service of type LoadBalancer with the port TCP 80, or finds it.
    pub fn service(&mut self, name: &str) -> &mut Service {
        let name = service_name(name);
        self.objects.services.entry(name.clone()).or_insert_with(|| {
            let mut service = Service::default();
            service.metadata.namespace = Some(name.namespace);
            service.metadata.name = Some(name.name);
            service.spec().type_ = Some("LoadBalancer".to_owned());
            service.ports(&[tcp(80)]);
            service
        })
    }

    pub fn delete(&mut self, name: &str) {
        self.objects.services.remove(&service_name(name));
    }

    /// Plans and carries the plan out, as often as it takes until nothing changes. Returns how often.
    pub fn settle(&mut self) -> usize {
        for round in 0..20 {
            let plan = plan(&Snapshot::build(&self.objects));
            let before = self.objects.clone();
            self.carry_out(&plan);
            self.plan = plan;
            if before == self.objects {
                return round;
            }
        }
        panic!("the plan does not come to rest");
    }

    fn carry_out(&mut self, plan: &Plan) {
        self.objects.virtual_ips = plan
            .virtual_ips
            .iter()
            .map(|(ip, spec)| {
                let name = virtual_ip_name(*ip);
                (name.clone(), VirtualIP::new(&name, spec.clone()))
            })
            .collect();
        for (name, service) in &plan.services {
            let Some(object) = self.objects.services.get_mut(name) else { continue };
            let addresses = match service {
                ServicePlan::Foreign { .. } => continue,
                ServicePlan::Released => Vec::new(),
                ServicePlan::Ours { addresses, .. } => addresses.clone(),
            };
            object.status = Some(status(addresses.iter().map(ToString::to_string)));
        }
        for (name, pool) in &plan.pools {
            let status = self.objects.pools.get_mut(name).unwrap().status.get_or_insert_default();
            *status = AddressPoolStatus { accepted_addresses: pool.accepted.clone(), ..status.clone() };
        }
    }

    /// Settles, and returns the addresses that the Service has.
    pub fn addresses(&mut self, name: &str) -> Vec<String> {
        self.settle();
        match self.plan.services.get(&service_name(name)) {
            Some(ServicePlan::Ours { addresses, .. }) => addresses.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// Settles, and returns why the Service has not all that it asks for.
    pub fn reason(&mut self, name: &str) -> Option<Reason> {
        self.settle();
        match self.plan.services.get(&service_name(name))? {
            ServicePlan::Ours { refusal, .. } => refusal.as_ref().map(|refusal| refusal.reason),
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
