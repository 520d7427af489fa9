// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Several nodes that lead to one address, and a client behind their router, which puts the routes into its kernel.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::backend::{self, Server};
use ferrolb_lab::probe::{Requests, RequestsReport};
use ferrolb_lab::rack::{self, Moment, Rack, Watched};
use ferrolb_lab::router::Daemon;
use ferrolb_lab::{Lab, Place, rights};
use ferrolb_speaker::Options;

use crate::stage::SOON;
use crate::whole::{Manner, Whole};

const INTERVAL: Duration = Duration::from_millis(300);
/// Three missed packets, and room for a busy machine; the hold time is 9 s.
const NOTICED: Duration = Duration::from_secs(4);

/// The address that the controller gave.
const ADDRESS: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 203.0.113.1},
 spec: {address: 203.0.113.1, pool: routed, consumers: [{kind: Service, namespace: default, name: web}]}}
";

/// Fields drop in this order: what runs before where it runs.
struct Several {
    speakers: Vec<Option<Whole>>,
    rack: Rack,
    _servers: Vec<Server>,
    lab: Lab,
    files: Vec<(&'static str, String)>,
}

impl Several {
    /// So many nodes, with a pod on the first `pods` of them, and other files than the usual where `more` has them.
    fn start(
        daemon: Daemon,
        count: u8,
        pods: u8,
        keeps: bool,
        more: &[(&'static str, &str)],
    ) -> Result<Self> {
        let lab = Lab::build(count)?;
        let rack = Rack::build(&lab, daemon, INTERVAL, keeps)?;
        let watched = Watched { interval: INTERVAL, graceful_restart: keeps };
        let mut files = rack::manifests(count, watched);
        if pods < count {
            let narrow = rack::manifests(pods, watched).into_iter().find(|(name, _)| *name == "service.yaml");
            files.extend(narrow);
        }
        files.push(("address.yaml", ADDRESS.to_owned()));
        files.extend(more.iter().map(|(name, text)| (*name, (*text).to_owned())));
        let mut several = Self { speakers: Vec::new(), rack, _servers: backend::in_pods(&lab)?, lab, files };
        for index in 1..=count {
            let speaker = several.speaker(index)?;
            several.speakers.push(Some(speaker));
        }
        Ok(several)
    }

    fn speaker(&self, index: u8) -> Result<Whole> {
        let node = self.lab.node_at(Place::Node(index))?;
        let files: Vec<(&str, &str)> = self.files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let manner = Manner { node: &node.name, linger: Options::LINGER, ..Manner::default() };
        Whole::start_as(&node.namespace, manner, &files)
    }

    fn stop(&mut self, index: u8) -> Result<()> {
        let speaker = self.speakers.get_mut(usize::from(index) - 1).and_then(Option::take);
        speaker.context("it was stopped before")?.stop()
    }

    fn start_again(&mut self, index: u8) -> Result<()> {
        let speaker = self.speaker(index)?;
        let place = self.speakers.get_mut(usize::from(index) - 1).context("no such node")?;
        *place = Some(speaker);
        Ok(())
    }

    /// Waits until the router's kernel leads to these nodes and no others.
    fn leads_to(&self, nodes: &[u8]) -> Result<()> {
        let (wanted, begun) = (hops(nodes), Instant::now());
        loop {
            let found = self.rack.next_hops()?;
            if found == wanted {
                return Ok(());
            }
            let story = || self.rack.story();
            ensure!(begun.elapsed() < SOON, "the router leads to {found:?}, not to {wanted:?}: {}", story());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// No change of the route since `begun` left out one of these nodes, or led to others than `all`.
    fn always_led_to(&self, begun: Moment, nodes: &[u8], all: &[u8]) -> Result<()> {
        let changes = self.rack.routes().changes(begun);
        ensure!(!changes.is_empty(), "nothing changed");
        let (least, most) = (hops(nodes), hops(all));
        let held = changes.iter().all(|(_, to)| to.is_superset(&least) && to.is_subset(&most));
        ensure!(held, "not always {least:?}, or more than {most:?}: {changes:?}");
        Ok(())
    }
}

fn hops(nodes: &[u8]) -> BTreeSet<Ipv4Addr> {
    nodes.iter().map(|node| Place::Node(*node).ipv4()).collect()
}

#[test]
fn bgp_011_bgp_088_a_node_that_is_lost_takes_its_own_next_hop_along_and_brings_it_back() {
    rights::within(|| {
        let several = Several::start(Daemon::Bird, 3, 3, false, &[])?;
        several.rack.leads_to(&[1, 2, 3].map(Place::Node))?;
        let lost = several.lab.node("n2")?;
        let begun = Moment::now();
        several.lab.cut(lost)?;
        several.leads_to(&[1, 3])?;
        let after = several.rack.routes().leave(lost.place().ipv4(), begun, SOON)?;
        ensure!(after < NOTICED, "BFD noticed, not the hold time: {after:?}");
        several.always_led_to(begun, &[1, 3], &[1, 2, 3])?;
        let begun = Moment::now();
        several.lab.plug(lost)?;
        several.leads_to(&[1, 2, 3])?;
        several.always_led_to(begun, &[1, 3], &[1, 2, 3])
    });
}

#[test]
fn bgp_014_a_speaker_that_starts_again_announces_what_it_did_and_no_other_node_does() {
    rights::within(|| {
        // The policy is Local, and the third node has no pod.
        let mut several = Several::start(Daemon::Bird, 3, 2, false, &[])?;
        several.leads_to(&[1, 2])?;
        let begun = Moment::now();
        several.stop(1)?;
        several.leads_to(&[2])?;
        several.start_again(1)?;
        several.leads_to(&[1, 2])?;
        several.always_led_to(begun, &[2], &[1, 2])
    });
}

/// A client's requests, while the only speaker is away for two seconds. BIRD would take BFD's end for the node's.
fn restart(keeps: bool) -> Result<RequestsReport> {
    let mut several = Several::start(Daemon::Frr, 1, 1, keeps, &[])?;
    several.rack.leads_to(&[Place::Node(1)])?;
    // FRR may begin anew once while BFD comes up.
    thread::sleep(Duration::from_secs(1));
    several.rack.leads_to(&[Place::Node(1)])?;
    let requests = Requests::start(&several.lab.client, Rack::target())?;
    thread::sleep(Duration::from_secs(1));
    several.stop(1)?;
    thread::sleep(Duration::from_secs(2));
    several.start_again(1)?;
    several.rack.leads_to(&[Place::Node(1)])?;
    thread::sleep(Duration::from_secs(1));
    requests.finish()
}

#[test]
fn bgp_067_traffic_flows_through_a_restart_with_graceful_restart_and_not_without() {
    rights::within(|| {
        let kept = restart(true)?;
        // A machine that stands still loses some without any router's doing.
        ensure!(
            kept.made > 300 && kept.lost.len() * 20 < kept.made,
            "lost {} of {}",
            kept.lost.len(),
            kept.made
        );
        let dropped = restart(false)?;
        ensure!(
            dropped.lost.len() > 100,
            "two seconds without a route, and lost {} of {}",
            dropped.lost.len(),
            dropped.made
        );
        Ok(())
    });
}

/// What a Service of these families is to a speaker: its addresses, and a pod on the only node.
fn service(name: &str, families: &str, addresses: &[&str]) -> String {
    let mut text = format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}},\n \
         spec: {{type: LoadBalancer, externalTrafficPolicy: Local, ipFamilies: [{families}], ports: [{{port: 80, targetPort: 8080}}]}}}}\n"
    );
    for address in addresses {
        let (family, pod) = match address.contains(':') {
            false => ("IPv4", "10.244.1.10"),
            true => ("IPv6", "fd00:244:1::10"),
        };
        let object = address.parse().map(ferrolb_config::address::virtual_ip_name).unwrap_or_default();
        text.push_str(&format!(
            "---\n{{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: '{object}'}},\n \
             spec: {{address: '{address}', pool: routed, consumers: [{{kind: Service, namespace: default, name: {name}}}]}}}}\n\
             ---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}-{}, labels: {{kubernetes.io/service-name: {name}}}}},\n \
             addressType: {family}, ports: [{{port: 8080}}], endpoints: [{{addresses: ['{pod}'], nodeName: n1, conditions: {{ready: true}}}}]}}\n",
            family.to_lowercase()
        ));
    }
    text
}

#[test]
fn bgp_013_a_client_behind_the_router_reaches_services_of_either_family_and_of_both() {
    const GROUND: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: routed}, spec: {addresses: [203.0.113.0/24, '2001:db8:f::/64']}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: routed}, spec: {addressPools: [routed]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: router},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 198.51.100.60, holdTime: 9s, connectTime: 1s, families: [IPv4, IPv6]}}
";
    let services = [
        service("four", "IPv4", &["203.0.113.1"]),
        service("six", "IPv6", &["2001:db8:f::1"]),
        service("dual", "IPv4, IPv6", &["203.0.113.2", "2001:db8:f::2"]),
    ];
    rights::within(|| {
        let services = services.concat();
        let files =
            [("ground.yaml", GROUND), ("service.yaml", &services), ("router.yaml", ""), ("address.yaml", "")];
        let several = Several::start(Daemon::Bird, 1, 1, false, &files)?;
        let Lab { client, newcomer, nodes, .. } = &several.lab;
        newcomer.ip("addr add 2001:db8:50::1/64 dev behind nodad\n")?;
        client.ip(
            "addr add 2001:db8:50::2/64 dev front nodad\nroute add 2001:db8:f::/64 via 2001:db8:50::1\n\
             route add 203.0.113.0/24 via 192.0.2.1 src 192.0.2.2\n",
        )?;
        let node = nodes.first().context("a node")?;
        node.namespace.ip(&format!("route add 2001:db8:50::/64 via {}\n", Place::Newcomer.ipv6()))?;
        for (address, client_address) in [
            ("203.0.113.1", "192.0.2.2"),
            ("2001:db8:f::1", "2001:db8:50::2"),
            ("203.0.113.2", "192.0.2.2"),
            ("2001:db8:f::2", "2001:db8:50::2"),
        ] {
            let target = SocketAddr::new(address.parse()?, 80);
            let begun = Instant::now();
            let (answered, seen) = loop {
                match backend::ask(client, target) {
                    Ok(answer) => break answer,
                    Err(error) => {
                        ensure!(begun.elapsed() < SOON, "{error:#}\n{}", several.rack.story());
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            };
            let expected: IpAddr = client_address.parse()?;
            ensure!(answered == "n1" && seen == expected, "{address}: {answered} saw {seen}");
        }
        Ok(())
    });
}
