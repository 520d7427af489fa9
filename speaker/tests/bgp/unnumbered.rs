// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A BGPPeer that names an interface: the router there is found by its advertisements, and learns routes of both families.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Advertiser, Daemon, Neighbour, Over, Router, Table, Wire};

use crate::stage::{SOON, comes_up};
use crate::whole::Whole;

pub const GROUND: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [198.51.100.0/24, '2001:db8:1::/64']}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: lan}, spec: {addressPools: [lan]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web, labels: {kubernetes.io/service-name: web}},
 addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [192.0.2.1], nodeName: n1, conditions: {ready: true}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web6}, spec: {type: LoadBalancer, ipFamilies: [IPv6], ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web6, labels: {kubernetes.io/service-name: web6}},
 addressType: IPv6, ports: [{port: 8080}], endpoints: [{addresses: ['2001:db8:77::1'], nodeName: n1, conditions: {ready: true}}]}
---
{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 198.51.100.1},
 spec: {address: 198.51.100.1, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 2001-db8-1-0-0-0-0-1},
 spec: {address: '2001:db8:1::1', pool: lan, consumers: [{kind: Service, namespace: default, name: web6}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BFDProfile, metadata: {name: fast},
 spec: {receiveInterval: 100, transmitInterval: 100, detectMultiplier: 3}}
";
pub const FOUR: &str = "198.51.100.1/32";
pub const SIX: &str = "2001:db8:1::1/128";

fn peer(more: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: router}},\n \
         spec: {{myASN: 65001, dynamicASN: external, interface: eth0, holdTime: 9s, connectTime: 2s{more}}}}}\n"
    )
}

fn unnumbered() -> Neighbour {
    Neighbour { over: Over::LinkLocal, extended_next_hop: true, advertises: true, ..Neighbour::default() }
}

/// Waits until the router has both routes, or has none.
pub fn shows(router: &dyn Router, there: bool) -> Result<Table> {
    let begun = Instant::now();
    loop {
        let table = router.routes();
        let has = |prefix| table.as_ref().is_ok_and(|table| table.contains_key(prefix) == there);
        if has(FOUR) && has(SIX) {
            return table;
        }
        ensure!(begun.elapsed() < SOON, "the routes are there: {}, {table:?}\n{}", !there, router.story());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Both routes point to the node's link-local address, or IPv4 to its IPv4 address where the router cannot do that.
fn is_found(daemon: Daemon, more: &str, node: &Neighbour) -> Result<(Whole, Box<dyn Router>, Wire)> {
    let wire = Wire::build()?;
    let router = daemon.start(&wire, node)?;
    let speaker = Whole::start_with(&wire.node, &[("ground.yaml", GROUND)])?;
    speaker.write("peer.yaml", &peer(more))?;
    let table = shows(&*router, true)?;
    let next_hop = |prefix| table.get(prefix).map(|route| route.next_hop.clone()).context("the route");
    let wanted = if daemon == Daemon::OpenBgpd { "192.0.2.1" } else { ":" };
    ensure!(next_hop(FOUR)?.contains(wanted) && next_hop(SIX)?.contains(':'), "{table:?}");
    Ok((speaker, router, wire))
}

#[test]
fn bgp_071_bird_is_found_by_its_advertisements_and_again_after_the_interface_was_away() {
    rights::within(|| {
        let (mut speaker, router, wire) = is_found(Daemon::Bird, "", &unnumbered())?;
        wire.node.ip("link set eth0 down\n")?;
        shows(&*router, false)?;
        wire.node.ip("link set eth0 up\n")?;
        shows(&*router, true)?;
        speaker.stop()?;
        shows(&*router, false)?;
        Ok(())
    });
}

#[test]
fn bgp_071_frr_finds_the_node_as_the_node_finds_it() {
    rights::within(|| {
        let (mut speaker, router, _wire) = is_found(Daemon::Frr, "", &unnumbered())?;
        speaker.stop()?;
        shows(&*router, false)?;
        Ok(())
    });
}

#[test]
fn bgp_071_bfd_watches_over_a_router_that_was_found() {
    rights::within(|| {
        for daemon in [Daemon::Bird, Daemon::Frr] {
            let node = Neighbour { bfd: true, hold: 240, ..unnumbered() };
            let (_speaker, router, wire) = is_found(daemon, ", bfdProfile: fast", &node)?;
            comes_up(&*router).with_context(|| format!("{daemon:?}"))?;
            wire.ask(
                "nft",
                &["add table inet cut; add chain inet cut in { type filter hook input priority 0; }; \
                   add rule inet cut in udp dport 3784 drop; add rule inet cut in tcp dport 179 drop"],
            )?;
            // The hold time is four minutes.
            shows(&*router, false)?;
        }
        Ok(())
    });
}

#[test]
fn bgp_071_a_router_whose_daemon_does_not_advertise_it_is_found_if_somebody_does() {
    rights::within(|| {
        for daemon in [Daemon::GoBgp, Daemon::OpenBgpd] {
            let wire = Wire::build()?;
            let _advertiser = Advertiser::start(&wire)?;
            let node = unnumbered();
            let router = daemon.start(&wire, &node)?;
            let speaker = Whole::start_with(&wire.node, &[("ground.yaml", GROUND)])?;
            speaker.write("peer.yaml", &peer(""))?;
            shows(&*router, true)?;
        }
        Ok(())
    });
}
