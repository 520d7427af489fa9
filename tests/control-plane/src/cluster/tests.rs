// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use ferrolb_lab::rights::within;
use ferrolb_lab::{Lab, Place, quickstart};

use super::*;
use crate::patience::until;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 100);

/// Leads the client's packets for [`ADDRESS`] to a node, in place of whoever would announce it.
fn lead(lab: &Lab, node: Place) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["route", "replace", &ADDRESS.to_string(), "via", &node.ipv4().to_string()]);
    lab.output(&lab.client, command).map(drop)
}

fn traffic_reaches_the_pods(mode: ProxyMode) -> Result<()> {
    let cluster = Cluster::build(2, mode)?;
    let (kubectl, lab) = (cluster.plane().kubectl(), cluster.lab());
    for (name, text) in quickstart::manifests_for(2) {
        if ["services.yaml", "endpoints.yaml"].contains(&name) {
            kubectl.create(&text)?;
        }
    }
    let status = format!("{{\"status\":{{\"loadBalancer\":{{\"ingress\":[{{\"ip\":\"{ADDRESS}\"}}]}}}}}}");
    kubectl.run(&["patch", "service", "local", "--subresource=status", "--type=merge", "-p", &status])?;
    for node in [Place::Node(1), Place::Node(2)] {
        lead(lab, node)?;
        let ask = || backend::ask(&lab.client, SocketAddr::new(ADDRESS.into(), 80));
        let (pod, client) =
            until(Duration::from_secs(60), ask).map_err(|error| error.context(cluster.logs()))?;
        assert_eq!((pod, client), (node.name(), IpAddr::V4(Place::Client.ipv4())), "Local stays on the node");
    }
    Ok(())
}

#[test]
fn kube_proxy_leads_traffic_to_the_pods_by_nftables() {
    within(|| traffic_reaches_the_pods(ProxyMode::NFTables));
}

#[test]
fn kube_proxy_leads_traffic_to_the_pods_by_iptables() {
    within(|| traffic_reaches_the_pods(ProxyMode::IPTables));
}
