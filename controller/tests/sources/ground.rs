// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What scenarios do, whatever the source is: apply objects as a user does, and look at what a controller made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use ferrolb_config::condition::ADDRESSES_ASSIGNED;
use ferrolb_config::{Objects, ServiceName};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::folder::Folder;
use crate::running::Running;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often is looked.
const STEP: Duration = Duration::from_millis(30);

/// A source with a controller on it.
pub struct Ground {
    controller: Running,
    source: Source,
    /// Every Service as the user last wrote it.
    services: BTreeMap<String, Value>,
}

/// Where the objects are.
pub enum Source {
    Folder(Folder),
    Cluster(Box<Cluster>),
}

impl From<Folder> for Source {
    fn from(folder: Folder) -> Self {
        Self::Folder(folder)
    }
}

impl From<Cluster> for Source {
    fn from(cluster: Cluster) -> Self {
        Self::Cluster(Box::new(cluster))
    }
}

impl Source {
    fn controller(&self) -> Running {
        match self {
            Self::Folder(folder) => folder.controller(),
            Self::Cluster(cluster) => cluster.controller(),
        }
    }
}

impl Ground {
    pub fn of(source: impl Into<Source>) -> Self {
        let source = source.into();
        Self { controller: source.controller(), source, services: BTreeMap::new() }
    }

    /// Ends the controller in good order.
    pub async fn close(mut self) {
        self.controller.stop().await;
    }

    /// Ends the controller and starts another one.
    pub async fn restart(&mut self) {
        self.controller.stop().await;
        self.controller = self.source.controller();
    }

    /// Creates the pool, or replaces its spec: these ranges, and `more`.
    pub async fn pool(&self, name: &str, ranges: &[&str], more: Value) {
        let mut pool = json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "AddressPool",
            "metadata": {"name": name}, "spec": {"addresses": ranges},
        });
        merge(&mut pool, json!({"spec": more}));
        self.apply(&pool).await;
    }

    /// Creates a Service of type LoadBalancer with the port TCP 80, changed by `more`. `name` may begin with a namespace and
    /// a slash.
    pub async fn service(&mut self, name: &str, more: Value) {
        let ServiceName { namespace, name: own } = named(name);
        let plain = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": own},
            "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        });
        self.services.insert(name.to_owned(), plain);
        self.edit(name, more).await;
    }

    /// Changes a Service; `null` takes a field away.
    pub async fn edit(&mut self, name: &str, change: Value) {
        let service = self.services.get_mut(name).expect("it was created");
        merge(service, change);
        let service = service.clone();
        self.apply(&service).await;
    }

    pub async fn delete(&mut self, name: &str) {
        self.services.remove(name).expect("it was created");
        let name = named(name);
        match &self.source {
            Source::Folder(folder) => folder.delete("Service", &name.namespace, &name.name),
            Source::Cluster(cluster) => cluster.delete_service(&name).await,
        }
    }

    pub async fn delete_pool(&self, name: &str) {
        match &self.source {
            Source::Folder(folder) => folder.delete("AddressPool", "", name),
            Source::Cluster(cluster) => cluster.delete_pool(name).await,
        }
    }

    pub async fn namespace(&self, name: &str, labels: Value) {
        let metadata = json!({"name": name, "labels": labels});
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})).await;
    }

    async fn apply(&self, object: &Value) {
        match &self.source {
            Source::Folder(folder) => folder.apply(object),
            Source::Cluster(cluster) => cluster.apply(object).await,
        }
    }

    async fn look(&self) -> Objects {
        match &self.source {
            Source::Folder(folder) => folder.look(),
            Source::Cluster(cluster) => cluster.look().await,
        }
    }

    /// Waits until each Service shows just these addresses, separated by spaces; `-` for none.
    pub async fn shows<const N: usize>(&self, expected: [(&str, &str); N]) {
        let all = |objects: &Objects| {
            expected.map(|(name, _)| {
                let shown = objects.services.get(&named(name)).map(|service| shown(service));
                shown.filter(|shown| !shown.is_empty()).unwrap_or_else(|| "-".to_owned())
            })
        };
        self.until(&all, &expected.map(|(_, addresses)| addresses.to_owned())).await;
    }

    /// Waits until a Service is told for this reason that it lacks something; `Assigned`: that it lacks nothing.
    pub async fn told(&self, name: &str, reason: &str) {
        let told = |objects: &Objects| {
            let service = objects.services.get(&named(name))?;
            let conditions = service.status.as_ref()?.conditions.as_ref()?;
            let condition = conditions.iter().find(|condition| condition.type_ == ADDRESSES_ASSIGNED)?;
            Some(condition.reason.clone())
        };
        self.until(&told, &Some(reason.to_owned())).await;
    }

    /// Waits until the pool says of itself for this reason whether it is ready.
    pub async fn pool_told(&self, name: &str, reason: &str) {
        let told = |objects: &Objects| {
            let conditions = &objects.pools.get(name)?.status.as_ref()?.conditions;
            let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
            Some(ready.reason.clone())
        };
        self.until(&told, &Some(reason.to_owned())).await;
    }

    /// Waits until just these addresses are recorded, each with its pool and its Services.
    pub async fn recorded(&self, expected: &[(&str, &str, &[&str])]) {
        let records = |objects: &Objects| -> Vec<(String, String, Vec<String>)> {
            let of = |(name, record): (&String, &std::sync::Arc<ferrolb_config::api::VirtualIP>)| {
                let consumers = record.spec.consumers.iter().map(|consumer| consumer.name.clone());
                (name.clone(), record.spec.pool.clone(), consumers.collect())
            };
            objects.virtual_ips.iter().map(of).collect()
        };
        let expected = expected.iter().map(|(name, pool, of)| {
            ((*name).to_owned(), (*pool).to_owned(), of.iter().map(|&name| name.to_owned()).collect())
        });
        self.until(&records, &expected.collect()).await;
    }

    async fn until<T: PartialEq + std::fmt::Debug>(&self, look: &impl Fn(&Objects) -> T, expected: &T) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = look(&self.look().await);
            if seen == *expected {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {expected:?}; there is {seen:?}");
            sleep(STEP).await;
        }
    }
}

pub fn named(text: &str) -> ServiceName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ServiceName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn shown(service: &Service) -> String {
    let status = service.status.as_ref();
    let ingress = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let addresses: Vec<_> = ingress.into_iter().flatten().filter_map(|entry| entry.ip.as_deref()).collect();
    addresses.join(" ")
}

/// RFC 7386.
fn merge(into: &mut Value, change: Value) {
    let Value::Object(change) = change else { return *into = change };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(fields) = into.as_object_mut() else { return };
    for (name, value) in change {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}
