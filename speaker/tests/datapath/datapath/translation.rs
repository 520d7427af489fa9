// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where connections go, and whom the backend sees.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, ensure};
use ferrolb_lab::{Place, backend, rights};
use ferrolb_speaker::datapath::{Clients, Protocol, Source};

use crate::rig::{BOTH, Rig, SOON, VIP4, VIP6, frontend, service};

fn client_address(vip: IpAddr) -> IpAddr {
    if vip.is_ipv4() { Place::Client.ipv4().into() } else { Place::Client.ipv6().into() }
}

#[test]
fn policy_cluster_reaches_every_pod_and_shows_it_the_node() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Masqueraded, &[1, 2]))?;
        for vip in BOTH {
            let mut nodes = BTreeSet::new();
            for _ in 0..40 {
                let (node, client) = rig.ask(vip, 80)?;
                ensure!(client != client_address(vip), "{node} saw the client {client} through {vip}");
                nodes.insert(node);
            }
            ensure!(nodes.len() == 2, "{vip} led to {nodes:?} only");
        }
        Ok(())
    });
}

#[test]
fn policy_local_keeps_the_clients_address() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Kept, &[1]))?;
        for vip in BOTH {
            ensure!(rig.ask(vip, 80)? == ("n1".to_owned(), client_address(vip)));
        }
        Ok(())
    });
}

#[test]
fn udp_is_translated_for_both_families_and_policies() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&service(Source::Masqueraded, &[1, 2]))?;
        for vip in BOTH {
            for _ in 0..10 {
                ensure!(rig.udp_answers(SocketAddr::new(vip, 53), SOON)?, "{vip}, Cluster");
            }
        }
        running.set(&service(Source::Kept, &[1]))?;
        for vip in BOTH {
            ensure!(rig.udp_answers(SocketAddr::new(vip, 53), SOON)?, "{vip}, Local");
        }
        Ok(())
    });
}

#[test]
fn l2_072_the_node_itself_reaches_its_virtual_ips() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Masqueraded, &[1, 2]))?;
        for vip in BOTH {
            for _ in 0..10 {
                backend::ask(&rig.node().namespace, SocketAddr::new(vip, 80))?;
            }
        }
        Ok(())
    });
}

#[test]
fn l2_072_a_pod_reaches_itself_through_the_virtual_ip() {
    rights::within(|| {
        let rig = Rig::build()?;
        for source in [Source::Kept, Source::Masqueraded] {
            let running = rig.start(&service(source, &[1]))?;
            for vip in BOTH {
                let (node, _) = backend::ask(&rig.node().pod, SocketAddr::new(vip, 80))?;
                ensure!(node == "n1");
            }
            running.kill()?;
        }
        Ok(())
    });
}

#[test]
fn with_affinity_a_client_stays_with_its_endpoint() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut desired = service(Source::Masqueraded, &[1, 2]);
        desired.ports.values_mut().for_each(|backends| Arc::make_mut(backends).affinity = true);
        let running = rig.start(&desired)?;
        for vip in BOTH {
            let (first, _) = rig.ask(vip, 80)?;
            for _ in 0..20 {
                ensure!(rig.ask(vip, 80)?.0 == first, "{vip} moved away from {first}");
            }
        }
        // The choice depends on nothing that a restart, or another node, would change.
        let chosen: Vec<_> = BOTH.iter().map(|vip| rig.ask(*vip, 80)).collect::<Result<_>>()?;
        running.kill()?;
        rig.nft(&["delete", "table", "inet", "ferrolb"])?;
        let _running = rig.start(&desired)?;
        for (vip, (node, _)) in BOTH.iter().zip(chosen) {
            ensure!(rig.ask(*vip, 80)?.0 == node);
        }
        Ok(())
    });
}

#[test]
fn only_clients_within_the_source_ranges_get_in() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut desired = service(Source::Masqueraded, &[1]);
        let within = |nets: &[&str]| Clients::Within(nets.iter().map(|net| net.parse().unwrap()).collect());
        let http = frontend(VIP4, Protocol::Tcp, 80);
        let mut check = |ranges: &[&str], allowed: bool| -> Result<()> {
            let port = desired.ports.get_mut(&http).expect("the service has it");
            Arc::make_mut(port).clients = within(ranges);
            let running = rig.start(&desired)?;
            let patience = std::time::Duration::from_millis(700);
            let result = rig.connect(SocketAddr::new(VIP4, 80), patience)?;
            ensure!(result.is_ok() == allowed, "{ranges:?}: {result:?}");
            if let Err(kind) = result {
                ensure!(kind == std::io::ErrorKind::TimedOut, "strangers learn nothing, not {kind}");
            }
            running.kill()
        };
        check(&["198.51.0.0/16", "198.51.100.0/24", "2001:db8::/32"], true)?;
        check(&["203.0.113.0/24", "10.0.0.0/8"], false)?;
        check(&["2001:db8::/32"], false)?;
        check(&["0.0.0.0/0"], true)?;
        rig.ask(VIP6, 80)?;
        Ok(())
    });
}
