// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Changes while traffic flows.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::addresses::{POD_TCP, POD_UDP};
use ferrolb_lab::probe::Connections;
use ferrolb_lab::rights;
use ferrolb_speaker::datapath::{DataPath, Protocol, Role, Source};

use crate::rig::{
    BOTH, NewFlows, Rig, SOON, VIP4, VIP6, backends, eventually, exchange, frontend, pods, service,
    udp_socket,
};

#[test]
fn nothing_is_lost_while_services_come_and_go() {
    rights::within(|| {
        let rig = Rig::build()?;
        let kept = service(Source::Masqueraded, &[1, 2]);
        let running = rig.start(&kept)?;
        let connections = Connections::start(&rig.lab.client, SocketAddr::new(VIP4, 80), 20)?;
        let connections6 = Connections::start(&rig.lab.client, SocketAddr::new(VIP6, 80), 20)?;
        let flows = NewFlows::start(&rig, SocketAddr::new(VIP4, 53))?;
        for round in 0..60_u8 {
            let mut desired = kept.clone();
            for other in 0..=round % 7 {
                let vip: IpAddr = [198, 51, 100, 101 + other].into();
                desired.vips.insert(vip, Role::Candidate);
                let backends = backends(Source::Kept, pods(&[1 + round % 2], POD_TCP));
                desired
                    .ports
                    .insert(frontend(vip, Protocol::Tcp, 80 + u16::from(round % 3)), Arc::new(backends));
            }
            running.desire(&desired);
            std::thread::sleep(Duration::from_millis(25));
        }
        running.set(&kept)?;
        let (sent, lost) = flows.finish()?;
        ensure!(sent > 200 && lost == 0, "{lost} of {sent} new flows were lost");
        for report in [connections.finish()?, connections6.finish()?] {
            ensure!(report.reset == 0 && report.stalled == 0, "{report:?}");
        }
        let listing = rig.nft(&["list", "table", "inet", "ferrolb"])?;
        ensure!(!listing.contains("198.51.100.101"), "left behind: {listing}");
        Ok(())
    });
}

#[test]
fn an_endpoint_that_leaves_gets_no_new_connections_and_keeps_its_old_ones() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&service(Source::Masqueraded, &[1, 2]))?;
        let connections = Connections::start(&rig.lab.client, SocketAddr::new(VIP4, 80), 20)?;
        running.set(&service(Source::Masqueraded, &[2]))?;
        for _ in 0..20 {
            ensure!(rig.ask(VIP4, 80)?.0 == "n2");
        }
        let report = connections.finish()?;
        ensure!(report.reset == 0 && report.stalled == 0, "{report:?}");
        Ok(())
    });
}

#[test]
fn a_udp_flow_moves_when_its_endpoint_is_gone() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&service(Source::Masqueraded, &[1]))?;
        for vip in BOTH {
            let before = rig.lab.client.run(|| {
                let socket = udp_socket(SocketAddr::new(vip, 53))?;
                ensure!(answering_node(&socket)? == 1);
                Ok(socket)
            })?;
            running.set(&service(Source::Masqueraded, &[2]))?;
            eventually("the flow's move", SOON, || Ok(answering_node(&before)? == 2))?;
            running.set(&service(Source::Masqueraded, &[1]))?;
        }
        Ok(())
    });
}

fn answering_node(socket: &std::net::UdpSocket) -> Result<u8> {
    socket.set_read_timeout(Some(SOON))?;
    socket.send(b"ask")?;
    let mut buffer = [0; 64];
    // A machine that is paused and woken interrupts reads that have a time limit, without any handler: signal(7).
    let length = loop {
        match socket.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => break received?,
        }
    };
    buffer.get(..length).and_then(|answer| answer.last()).copied().context("an empty answer")
}

#[test]
fn a_udp_flow_begun_before_the_rule_heals() {
    rights::within(|| {
        let rig = Rig::build()?;
        // Connection tracking must be on without any rule of ours, as on every node of a cluster.
        rig.nft(&["add", "table", "inet", "other"])?;
        rig.nft(&["add", "chain", "inet", "other", "track", "{ type filter hook prerouting priority 0; }"])?;
        rig.nft(&["add", "rule", "inet", "other", "track", "ct state new accept"])?;
        let mut sockets = Vec::new();
        for vip in BOTH {
            sockets.push(rig.lab.client.run(|| {
                let socket = udp_socket(SocketAddr::new(vip, 53))?;
                ensure!(!exchange(&socket, Duration::from_millis(300)), "{vip} answers without a rule");
                Ok(socket)
            })?);
        }
        let flows = rig.shell(&rig.node().namespace, "conntrack", &["-L", "-p", "udp"])?;
        ensure!(
            flows.contains(&VIP4.to_string()),
            "the flow is not tracked, so this proves nothing: {flows}"
        );
        let _running = rig.start(&service(Source::Masqueraded, &[1]))?;
        for socket in sockets {
            // An ICMP error of the time before may still be waiting to be read.
            let healed = (0..5).any(|_| exchange(&socket, Duration::from_millis(500)));
            ensure!(healed, "{:?} is stuck", socket.peer_addr());
        }
        Ok(())
    });
}

#[test]
fn a_thousand_ports_are_applied_within_seconds() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut desired = DataPath::default();
        desired.vips.insert(VIP4, Role::Candidate);
        for port in 1..=1000 {
            let backends = backends(Source::Masqueraded, pods(&[1, 2], POD_UDP));
            desired.ports.insert(frontend(VIP4, Protocol::Udp, port), Arc::new(backends));
        }
        let begun = std::time::Instant::now();
        let running = rig.start(&desired)?;
        eprintln!("1000 ports after {:?}", begun.elapsed());
        desired.ports.remove(&frontend(VIP4, Protocol::Udp, 1000));
        let begun = std::time::Instant::now();
        running.set(&desired)?;
        eprintln!("one of 1000 ports removed after {:?}", begun.elapsed());
        ensure!(rig.udp_answers(SocketAddr::new(VIP4, 999), SOON)?);
        ensure!(!rig.udp_answers(SocketAddr::new(VIP4, 1000), Duration::from_millis(500))?);
        Ok(())
    });
}
