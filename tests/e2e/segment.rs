// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What stations of the segment see: the behaviours of docs/conformance.md that only frames can show.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::backend::ask;
use ferrolb_lab::capture::Capture;
use ferrolb_lab::frame::{Content, Frame};
use ferrolb_lab::installation::{Contestant, Installation};
use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};
use ferrolb_lab::{Mac, Namespace, quickstart as example};

use crate::cluster::quickstart;
use crate::patience::{SLOWLY, SOON, eventually, expect};

/// Who answers for the address when stations ask for a moment.
fn answering(asker: &Namespace, address: IpAddr) -> Result<Vec<Mac>> {
    let clients = NewClients::start(asker, address)?;
    thread::sleep(SOON / 10);
    let mut macs: Vec<Mac> = clients.finish()?.answers.iter().map(|answer| answer.mac).collect();
    macs.sort_unstable();
    macs.dedup();
    Ok(macs)
}

fn answered(asker: &Namespace, address: IpAddr, wanted: bool) -> Result<Vec<Mac>> {
    let macs = answering(asker, address)?;
    ensure!(macs.is_empty() != wanted, "{macs:?} answer for {address}");
    Ok(macs)
}

/// The manifest of the pool, with this in the spec of the advertisement.
fn advertised(more: &str) -> Result<String> {
    let (_, pool) = example::MANIFESTS.iter().find(|(name, _)| *name == "pool.yaml").context("a pool")?;
    Ok(format!("{}\n  {more}\n", pool.trim_end()))
}

#[test]
fn l2_035_l2_036_only_listed_interfaces_answer_and_one_that_is_not_there_is_told() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, lab) = (&ferrolb.installation, ferrolb.lab());
        let address = ferrolb.target().ip();
        let owner = lab.node_at(trial::settled_owner(&ferrolb)?)?;
        // Between a node and its pod is a wire of its own. The pod says something, which shows that this wire works.
        let on_pods_wire = |wanted| {
            let mut ping = Command::new("ping");
            ping.args(["-c1", "-W1", "10.244.9.9"]);
            drop(lab.output(&owner.pod, ping));
            answered(&owner.pod, address, wanted)
        };
        on_pods_wire(false)?;

        installation.write("pool.yaml", &advertised("interfaces: [pod]")?)?;
        let told = eventually("the pod's wire is answered on", SLOWLY, || on_pods_wire(true))?;
        assert_ne!(told, [owner.place().mac()], "the MAC of the interface that was asked on");
        eventually("the segment is left alone", SLOWLY, || answered(&lab.newcomer, address, false))?;

        installation.write("pool.yaml", &advertised("interfaces: [foo]")?)?;
        eventually("the missing interface is named", SLOWLY, || {
            let said = installation.status_text()?;
            ensure!(said.contains("InterfaceNotFound"), "{said}");
            on_pods_wire(false)?;
            answered(&lab.newcomer, address, false)
        })?;

        installation.write("pool.yaml", &advertised("interfaces: [foo, eth0]")?)?;
        eventually("the other one listed works", SLOWLY, || answered(&lab.newcomer, address, true))?;
        on_pods_wire(false)?;
        Ok(())
    });
}

#[test]
fn l2_061_l2_063_the_new_holder_tells_everybody_at_once_and_again_by_arp_and_neighbour_discovery() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, lab) = (&ferrolb.installation, ferrolb.lab());
        let families =
            [installation.address_of("default/dual", true)?, installation.address_of("default/dual", false)?];
        let holder = || -> Result<Mac> {
            let mut macs = answering(&lab.newcomer, families[0])?;
            macs.extend(answering(&lab.newcomer, families[1])?);
            macs.dedup();
            ensure!(macs.len() == 1, "{macs:?} answer for {families:?}");
            Ok(macs[0])
        };
        let before = eventually("both families are answered for", SLOWLY, holder)?;
        let capture = Capture::start(&lab.newcomer, move |frame| match frame.content {
            Content::Arp(arp) => arp.is_gratuitous() && IpAddr::V4(arp.target) == families[0],
            Content::Advertisement(told) => !told.solicited && IpAddr::V6(told.target) == families[1],
            _ => false,
        })?;
        let node = lab.nodes.iter().find(|node| node.place().mac() == before).context("a node answered")?;
        lab.cut(node)?;
        thread::sleep(SOON);
        let after = eventually("both are answered for again", SLOWLY, holder)?;
        assert_ne!(after, before);
        // The old one may have repeated itself before its cable was pulled.
        let told = capture.finish()?.into_iter().map(|seen| seen.frame);
        let told: Vec<Frame> = told.skip_while(|frame| frame.source == before).collect();
        let count = |form: fn(&Content) -> bool| told.iter().filter(|frame| form(&frame.content)).count();
        let requests = count(|content| matches!(content, Content::Arp(arp) if arp.operation == 1));
        let replies = count(|content| matches!(content, Content::Arp(arp) if arp.operation == 2));
        let advertisements = count(|content| matches!(content, Content::Advertisement(_)));
        assert!(requests >= 2 && replies >= 2 && advertisements >= 2, "{told:?}\n{}", installation.logs());
        assert!(told.iter().all(|frame| frame.source == after), "{told:?}");
        Ok(())
    });
}

/// Two Services on one address.
fn sharer(name: &str, port: u16) -> String {
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{namespace: default, name: {name}, annotations: {{ferrolb.io/sharing-key: both}}}}
spec: {{type: LoadBalancer, loadBalancerIP: 198.51.100.119, ports: [{{name: http, port: {port}, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{namespace: default, name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.2.10], nodeName: n2, conditions: {{ready: true}}}}]
ports: [{{name: http, protocol: TCP, port: 8080}}]
"
    )
}

#[test]
fn l2_065_a_shared_address_is_answered_for_until_its_last_service_goes() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, lab) = (&ferrolb.installation, ferrolb.lab());
        installation.write("one.yaml", &sharer("one", 8001))?;
        installation.write("two.yaml", &sharer("two", 8002))?;
        let address: IpAddr = [198, 51, 100, 119].into();
        let serves = |port| ask(&lab.client, SocketAddr::new(address, port));
        eventually("both are served", SLOWLY, || serves(8001).and_then(|_| serves(8002)))?;
        let holder = answered(&lab.newcomer, address, true)?;
        installation.write("one.yaml", "")?;
        eventually("one is gone", SLOWLY, || {
            ensure!(serves(8001).is_err(), "port 8001 still answers");
            Ok(())
        })?;
        serves(8002)?;
        expect(&answering(&lab.newcomer, address)?, &holder)?;
        installation.write("two.yaml", "")?;
        eventually("nobody answers any more", SLOWLY, || answered(&lab.newcomer, address, false))?;
        Ok(())
    });
}

#[test]
fn l2_070_tcp_and_udp_of_one_service_both_work_through_its_address() {
    within(|| {
        let ferrolb: Contestant = quickstart(3)?;
        let client = &ferrolb.lab().client;
        let installation: &Installation = &ferrolb.installation;
        trial::settled_owner(&ferrolb)?;
        let address = installation.address_of(example::ECHO, true)?;
        ask(client, SocketAddr::new(address, example::ECHO_TCP)).with_context(|| installation.logs())?;
        let udp = UdpEcho::start(client, SocketAddr::new(address, example::ECHO_UDP))?;
        thread::sleep(SOON / 10);
        let udp = udp.finish()?;
        assert!(udp.sent > udp.lost, "{udp:?}\n{}", installation.logs());
        Ok(())
    });
}
