// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What happens to packets that no Service port translates.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ferrolb_lab::{Place, backend, rights};
use ferrolb_speaker::datapath::{Protocol, Role, Source};

use crate::rig::{BOTH, Rig, frontend, service, udp_socket};

#[test]
fn unused_ports_and_ports_without_endpoints_are_refused_at_once() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut desired = service(Source::Masqueraded, &[1]);
        for vip in BOTH {
            let port = desired.ports.get_mut(&frontend(vip, Protocol::Tcp, 80)).expect("it is there");
            Arc::make_mut(port).endpoints.clear();
        }
        let _running = rig.start(&desired)?;
        for vip in BOTH {
            for port in [80, 81] {
                let begun = Instant::now();
                let result = rig.connect(SocketAddr::new(vip, port), Duration::from_secs(3))?;
                ensure!(result == Err(ErrorKind::ConnectionRefused), "{vip} port {port}: {result:?}");
                ensure!(begun.elapsed() < Duration::from_millis(900), "{vip} port {port}: not at once");
            }
            let refused = rig.lab.client.run(|| {
                let socket = udp_socket(SocketAddr::new(vip, 54))?;
                socket.set_read_timeout(Some(Duration::from_secs(3)))?;
                socket.send(b"ask")?;
                Ok(socket.recv(&mut [0; 8]).map_err(|error| error.kind()))
            })?;
            ensure!(refused == Err(ErrorKind::ConnectionRefused), "{vip}, UDP: {refused:?}");
        }
        Ok(())
    });
}

#[test]
fn a_node_that_may_not_carry_the_address_keeps_silent() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut desired = service(Source::Kept, &[]);
        for vip in BOTH {
            desired.vips.insert(vip, Role::Elsewhere);
        }
        let _running = rig.start(&desired)?;
        for vip in BOTH {
            let result = rig.connect(SocketAddr::new(vip, 80), Duration::from_millis(700))?;
            ensure!(result == Err(ErrorKind::TimedOut), "{vip}: {result:?}");
            ensure!(!rig.ping(vip), "{vip} answers ping");
        }
        Ok(())
    });
}

#[test]
fn l2_072_a_node_that_may_not_carry_the_address_reaches_it_over_the_wire_with_its_pods() {
    rights::within(|| {
        let rig = Rig::build()?;
        let mut elsewhere = service(Source::Kept, &[]);
        elsewhere.vips.values_mut().for_each(|role| *role = Role::Elsewhere);
        let _outside = rig.start(&elsewhere)?;
        let _owner = rig.start_on(rig.lab.node("n2")?, &service(Source::Kept, &[2]))?;
        rig.point(&rig.node().namespace, Place::Node(2))?;
        for vip in BOTH {
            for station in [&rig.node().namespace, &rig.node().pod] {
                let (node, _) = backend::ask(station, SocketAddr::new(vip, 80))?;
                ensure!(node == "n2");
            }
        }
        Ok(())
    });
}

#[test]
fn a_virtual_ip_answers_ping_where_it_lives() {
    rights::within(|| {
        let rig = Rig::build()?;
        let _running = rig.start(&service(Source::Kept, &[1]))?;
        for vip in BOTH {
            ensure!(rig.ping(vip), "{vip} does not answer ping");
        }
        Ok(())
    });
}
