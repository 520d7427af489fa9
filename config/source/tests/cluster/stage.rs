// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A control plane with our kinds, and a cluster connected to it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ferrolb_config::api::{VirtualIP, crds};
use ferrolb_config::{Objects, ServiceName};
use ferrolb_control_plane::{Account, ControlPlane, Options};
use ferrolb_source::kube::{Cluster, Interest, KubeOptions};
use tokio::sync::watch;

/// How long a loaded machine may take for what takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The control plane that tests share.
pub fn shared() -> Result<&'static ControlPlane> {
    static READY: OnceLock<Result<(), String>> = OnceLock::new();
    let plane = ferrolb_control_plane::shared()?;
    let ready = READY.get_or_init(|| install(plane).map_err(|error| format!("{error:#}")));
    ready.as_ref().map(|()| plane).map_err(|error| anyhow!("{error}"))
}

/// A control plane of the test's own.
pub fn own() -> Result<ControlPlane> {
    let plane = ControlPlane::start(Options::default())?;
    install(&plane)?;
    Ok(plane)
}

fn install(plane: &ControlPlane) -> Result<()> {
    let mut manifests = String::from(
        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ferrolb-system\"}}",
    );
    for crd in crds() {
        manifests.push_str("\n---\n");
        manifests.push_str(&serde_json::to_string(&crd)?);
    }
    plane.kubectl().apply(&manifests)?;
    plane.kubectl().run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    Ok(())
}

/// How to reach `plane` as its administrator.
pub fn options(plane: &ControlPlane) -> Result<KubeOptions> {
    Ok(KubeOptions { kubeconfig: Some(plane.kubeconfig(&Account::admin())?), ..KubeOptions::default() })
}

/// A cluster that is watched as the controller watches it.
pub async fn watched(plane: &ControlPlane) -> Result<(Cluster, watch::Receiver<Arc<Objects>>)> {
    let cluster = Cluster::connect(options(plane)?).await?;
    let objects = cluster.watch(Interest::Controller).await?;
    Ok((cluster, objects))
}

/// Waits for a view that is as `wanted`.
pub async fn until(
    objects: &mut watch::Receiver<Arc<Objects>>,
    what: &str,
    wanted: impl FnMut(&Arc<Objects>) -> bool,
) -> Result<Arc<Objects>> {
    let seen = tokio::time::timeout(PATIENCE, objects.wait_for(wanted)).await;
    let seen = seen.with_context(|| format!("never seen: {what}"))?;
    Ok(Arc::clone(&*seen?))
}

/// The name of a Service in the namespace `default`.
pub fn service(name: &str) -> ServiceName {
    ServiceName { namespace: "default".to_owned(), name: name.to_owned() }
}

/// The manifest of a Service of type LoadBalancer.
pub fn load_balancer(name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, annotations: {{ferrolb.io/address-pool: a, other.io/x: other}}}}, \
         spec: {{type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{{port: 80}}]}}}}"
    )
}

/// A VirtualIP as the controller writes it.
pub fn virtual_ip(address: &str) -> Result<VirtualIP> {
    let spec = serde_json::json!({"address": address, "pool": "a", "consumers": []});
    Ok(VirtualIP::new(address, serde_json::from_value(spec)?))
}
