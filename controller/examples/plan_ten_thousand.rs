// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Prints what a plan for ten thousand Services costs: `cargo run --release -p ferrolb-controller --example
//! plan_ten_thousand`. The budget is 50 ms a plan. What is measured is the time on the processor, so that a busy machine
//! gives the same figures as an idle one.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::api::{AddressPool, AddressPoolSpec, VirtualIP};
use ferrolb_config::snapshot::Snapshot;
use ferrolb_config::{Objects, ServiceName, address};
use ferrolb_controller::apply::{Target, Written, steps};
use ferrolb_controller::plan::{Plan, ServicePlan, plan};
use k8s_openapi::api::core::v1::{
    LoadBalancerIngress, LoadBalancerStatus, Service, ServicePort, ServiceStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const SERVICES: usize = 10_000;
const RUNS: usize = 15;

fn main() {
    println!("{SERVICES} Services, median of {RUNS} runs (snapshot, plan, steps):");
    let plain = objects(1, |_, _| {});
    measure("all new, one pool", &plain);
    measure("at rest", &settled(plain));
    let spread = objects(1000, |_, _| {});
    measure("all new, 1,000 pools", &spread);
    measure("at rest, 1,000 pools", &settled(spread));
    let dual = objects(1, |_, service| {
        service.spec.get_or_insert_default().ip_family_policy = Some("RequireDualStack".to_owned());
    });
    measure("all new, dual-stack", &dual);
    measure("at rest, dual-stack", &settled(dual));
    let sharing = objects(1, |_, service| annotate(service, "ferrolb.io/sharing-key", "all"));
    measure("all new, one key and one port", &sharing);
    let waiting = objects(1, |number, service| {
        if number >= SERVICES / 2 {
            annotate(service, "ferrolb.io/address-pool", "nowhere");
        }
    });
    measure("at rest, half of them refused", &settled(waiting));
}

/// The median of what each part of a pass costs.
fn measure(what: &str, objects: &Objects) {
    let mut parts: [Vec<Duration>; 3] = Default::default();
    for _ in 0..RUNS {
        let start = on_processor();
        let snapshot = Snapshot::build(objects);
        let built = on_processor();
        let plan = plan(&snapshot, jiff::Timestamp::UNIX_EPOCH);
        let planned = on_processor();
        let steps =
            steps(&plan, objects, Target::Directory(&Written::default()), &Time(jiff::Timestamp::UNIX_EPOCH));
        let ordered = on_processor();
        for (part, took) in parts.iter_mut().zip([built - start, planned - built, ordered - planned]) {
            part.push(took);
        }
        drop((snapshot, plan, steps));
    }
    let medians = parts.map(|mut part| {
        part.sort_unstable();
        part.get(RUNS / 2).map(|median| format!("{:6.1} ms", median.as_secs_f64() * 1e3)).unwrap_or_default()
    });
    println!("{what:32} {}", medians.join(" "));
}

/// How long this thread has run on a processor, as the kernel counts it.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

fn objects(pools: usize, edit: impl Fn(usize, &mut Service)) -> Objects {
    let mut objects = Objects::default();
    for number in 0..pools {
        let spec = AddressPoolSpec {
            addresses: if pools == 1 {
                vec!["10.0.0.0/16".to_owned(), "fd00::/64".to_owned()]
            } else {
                vec![format!("10.{}.{}.0/28", number / 256, number % 256)]
            },
            avoid_buggy_ips: true,
            ..AddressPoolSpec::default()
        };
        let name = format!("pool-{number:04}");
        objects.pools.insert(name.clone(), AddressPool::new(&name, spec).into());
    }
    for number in 0..SERVICES {
        let name =
            ServiceName { namespace: format!("team-{:02}", number % 50), name: format!("web-{number:05}") };
        let mut service = Service::default();
        service.metadata.namespace = Some(name.namespace.clone());
        service.metadata.name = Some(name.name.clone());
        let spec = service.spec.get_or_insert_default();
        spec.type_ = Some("LoadBalancer".to_owned());
        spec.ports = Some(vec![ServicePort { port: 443, ..ServicePort::default() }]);
        edit(number, &mut service);
        objects.services.insert(name, service.into());
    }
    objects
}

fn annotate(service: &mut Service, key: &str, value: &str) {
    service.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// The same objects after the plan was carried out.
fn settled(mut objects: Objects) -> Objects {
    let Plan { virtual_ips, services, .. } = plan(&Snapshot::build(&objects), jiff::Timestamp::UNIX_EPOCH);
    for (ip, spec) in virtual_ips {
        let name = address::virtual_ip_name(ip);
        objects.virtual_ips.insert(name.clone(), VirtualIP::new(&name, spec).into());
    }
    for (name, service) in services {
        let (ServicePlan::Ours { addresses, .. }, Some(object)) = (service, objects.services.get_mut(&name))
        else {
            continue;
        };
        let entry =
            |ip: &std::net::IpAddr| LoadBalancerIngress { ip: Some(ip.to_string()), ..Default::default() };
        let ingress = Some(addresses.iter().map(entry).collect());
        Arc::make_mut(object).status =
            Some(ServiceStatus { load_balancer: Some(LoadBalancerStatus { ingress }), conditions: None });
    }
    objects
}
