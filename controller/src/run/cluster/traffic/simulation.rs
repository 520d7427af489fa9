// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! An API server played in memory: users edit, watches lag, writes come back in any order, fail, or are carried out
//! without an answer, and the controller dies and comes back. After every change of the cluster: who shows an address is
//! recorded for it.

use std::collections::BTreeMap;

use ferrolb_config::address::virtual_ip_name;
use ferrolb_config::api::{AddressPool, VirtualIP};
use ferrolb_config::{ServiceName, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::*;
use crate::apply::{Target, steps};
use crate::plan::plan;

struct Cluster {
    objects: Objects,
    versions: u64,
    random: fastrand::Rng,
}

/// What the next request meets.
enum Weather {
    Fair,
    Refused,
    /// Carried out, and the answer is lost.
    Unanswered,
    Away,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut cluster =
            Self { objects: Objects::default(), versions: 0, random: fastrand::Rng::with_seed(seed) };
        for (name, ranges) in [("p", "192.0.2.0/29"), ("q", "198.51.100.0/30")] {
            cluster.pool(name, ranges);
        }
        cluster
    }

    fn version(&mut self) -> Option<String> {
        self.versions += 1;
        Some(self.versions.to_string())
    }

    fn pool(&mut self, name: &str, ranges: &str) {
        let spec = serde_json::from_value(serde_json::json!({"addresses": [ranges]})).unwrap();
        let status = self.objects.pools.get(name).and_then(|pool| pool.status.clone());
        let mut pool = AddressPool::new(name, spec);
        pool.metadata.resource_version = self.version();
        pool.status = status;
        self.objects.pools.insert(name.to_owned(), pool.into());
    }

    /// A user does something.
    fn edit(&mut self) {
        let number = self.random.u8(..9);
        let name = ServiceName { namespace: "default".to_owned(), name: format!("s{number}") };
        match self.random.u8(..12) {
            0..4 => drop(self.objects.services.remove(&name)),
            4 => {
                let ranges = ["192.0.2.0/29", "192.0.2.0/30", "192.0.2.4/30"];
                let ranges = ranges[self.random.usize(..ranges.len())];
                self.pool("p", ranges);
            }
            _ => {
                let version = self.version();
                let wish = self.random.u8(..6);
                let service = Arc::make_mut(self.objects.services.entry(name.clone()).or_default());
                service.metadata.namespace = Some(name.namespace);
                service.metadata.name = Some(name.name);
                service.metadata.resource_version = version;
                let port = i32::from(number) + 1;
                service.spec = Some(ServiceSpec {
                    type_: Some("LoadBalancer".to_owned()),
                    ports: Some(vec![ServicePort { port, ..ServicePort::default() }]),
                    ..ServiceSpec::default()
                });
                let wish = match wish {
                    0 => Some(("ferrolb.io/addresses", "192.0.2.1")),
                    1 => Some(("ferrolb.io/address-pool", "q")),
                    2 | 3 => Some(("ferrolb.io/sharing-key", "k")),
                    _ => None,
                };
                service.metadata.annotations =
                    wish.map(|(key, value)| BTreeMap::from([(key.to_owned(), value.to_owned())]));
            }
        }
    }

    /// The API server carries out a write, or does not.
    fn request(&mut self, write: &Write, weather: &Weather) -> Result<(), Setback> {
        match weather {
            Weather::Refused => return Err(Setback::Refused),
            Weather::Away => return Err(Setback::NoAnswer),
            Weather::Fair | Weather::Unanswered => {}
        }
        let held = self.objects.metadata(&write.object()).map(|metadata| metadata.resource_version.clone());
        if held.as_ref().map(|version| version.as_deref()) != write.version().map(Some) {
            return Err(Setback::Outdated);
        }
        let version = self.version();
        let stored =
            |metadata: &ObjectMeta| ObjectMeta { resource_version: version.clone(), ..metadata.clone() };
        match write {
            Write::PutVirtualIP(object) => {
                let mut object = VirtualIP::clone(object);
                object.metadata = stored(&object.metadata);
                self.objects.virtual_ips.insert(write.object().name, object.into());
            }
            Write::DeleteVirtualIP(_) => drop(self.objects.virtual_ips.remove(&write.object().name)),
            Write::PutServiceStatus(object) => {
                let name = ServiceName { namespace: "default".to_owned(), name: write.object().name };
                let held = Arc::make_mut(self.objects.services.get_mut(&name).unwrap());
                held.metadata = stored(&held.metadata);
                held.status.clone_from(&object.status);
            }
            Write::PutPoolStatus(object) => {
                let held = Arc::make_mut(self.objects.pools.get_mut(&write.object().name).unwrap());
                held.metadata = stored(&held.metadata);
                held.status.clone_from(&object.status);
            }
            other => panic!("{other:?}"),
        }
        self.check();
        if matches!(weather, Weather::Unanswered) { Err(Setback::NoAnswer) } else { Ok(()) }
    }

    fn check(&self) {
        let shown = |service: &Service| -> Vec<String> {
            let status = service.status.as_ref();
            let ingress = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
            ingress.into_iter().flatten().filter_map(|entry| entry.ip.clone()).collect()
        };
        for (name, service) in &self.objects.services {
            for address in shown(service) {
                let record = self.objects.virtual_ips.get(&virtual_ip_name(address.parse().unwrap()));
                let is_recorded = record.is_some_and(|record| {
                    record.spec.consumers.iter().any(|consumer| consumer.name == name.name)
                });
                assert!(is_recorded, "{name} shows {address} and is not recorded for it");
            }
        }
    }

    fn weather(&mut self, is_rough: bool) -> Weather {
        match if is_rough { self.random.u8(..12) } else { u8::MAX } {
            0 => Weather::Refused,
            1 => Weather::Unanswered,
            2 => Weather::Away,
            _ => Weather::Fair,
        }
    }
}

fn planned(view: &Arc<Objects>) -> Vec<Step> {
    let now = Time(Timestamp::UNIX_EPOCH);
    steps(&plan(&Snapshot::build(view), Timestamp::UNIX_EPOCH), view, Target::Cluster, &now)
}

/// Plays one history, and then lets it come to rest.
fn play(seed: u64) {
    let mut cluster = Cluster::new(seed);
    let mut traffic = Traffic::default();
    let mut now = Instant::now();
    // What the watch has delivered; it may be older than what there is.
    let mut view = Arc::new(cluster.objects.clone());
    let mut plan_of: Option<(Vec<Step>, Arc<Objects>)> = None;
    let mut flights: Vec<(Ticket, Write)> = Vec::new();
    for turn in 0.. {
        let is_rough = turn < 400;
        now += Duration::from_millis(cluster.random.u64(..if is_rough { 40 } else { 2_000 }));
        match cluster.random.u8(..12) {
            0 if is_rough => cluster.edit(),
            1 if is_rough && cluster.random.u8(..6) == 0 => {
                // The controller dies. Of its requests that are out some are carried out, before the next one looks.
                for (_, write) in std::mem::take(&mut flights) {
                    if cluster.random.bool() {
                        // Nobody is there to hear it.
                        let _ = cluster.request(&write, &Weather::Fair);
                    }
                }
                (traffic, plan_of) = (Traffic::default(), None);
                view = Arc::new(cluster.objects.clone());
            }
            1..4 => view = Arc::new(cluster.objects.clone()),
            // A plan is made, and followed some time later, when the view may have moved on.
            4 | 5 => plan_of = Some((planned(&view), Arc::clone(&view))),
            6 | 7 => {
                if let Some((steps, view)) = plan_of.take() {
                    traffic.follow(steps, view, now);
                }
            }
            _ => {
                flights.extend(traffic.take(now));
                if !flights.is_empty() && cluster.random.u8(..3) > 0 {
                    let (ticket, write) = flights.swap_remove(cluster.random.usize(..flights.len()));
                    let weather = cluster.weather(is_rough);
                    let result = cluster.request(&write, &weather);
                    traffic.done(ticket, result, now);
                }
            }
        }
        if turn % 50 == 0 && !is_rough {
            let now_there = Arc::new(cluster.objects.clone());
            if planned(&now_there).is_empty() && flights.is_empty() {
                return;
            }
            assert!(turn < 20_000, "it does not come to rest: {:#?}", planned(&now_there));
        }
    }
}

#[test]
fn whatever_fails_and_in_whatever_order_no_service_shows_what_is_not_recorded_for_it() {
    for seed in 0..100 {
        play(seed);
    }
}
