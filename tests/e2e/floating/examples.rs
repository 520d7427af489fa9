// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The examples that the ingress' tests do not run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::backend::ask;
use ferrolb_lab::rights::within;
use ferrolb_lab::{Lab, Namespace};

use super::stage::Stage;
use crate::patience::{SLOWLY, SOON, eventually};

const API_SERVER: [(&str, &str); 4] = [
    ("pool.yaml", include_str!("../../../deploy/examples/api-server/manifests/pool.yaml")),
    ("nodes.yaml", include_str!("../../../deploy/examples/api-server/manifests/nodes.yaml")),
    ("api-server.yaml", include_str!("../../../deploy/examples/api-server/manifests/api-server.yaml")),
    ("virtual-ips.yaml", include_str!("../../../deploy/examples/api-server/manifests/virtual-ips.yaml")),
];
const API_ADDRESS: &str = "198.51.100.130";

#[test]
fn the_example_of_the_api_server_leads_to_a_node_whose_server_accepts() {
    within(|| {
        let mut stage = Stage::of(Lab::build(3)?, &API_SERVER, 6443, API_ADDRESS)?;
        let target = SocketAddr::new(API_ADDRESS.parse()?, 6443);
        let owner = stage.carrier(API_ADDRESS)?;
        let served = |stage: &Stage| -> Result<String> {
            let served = eventually("the API server answers", SLOWLY, || ask(&stage.lab().client, target));
            Ok(served.with_context(|| stage.logs())?.0)
        };
        assert_eq!(served(&stage)?, owner.name());
        // From a node that does not carry it, and from the one that does.
        for node in &stage.lab().nodes {
            eventually("nodes reach it too", SLOWLY, || ask(&node.namespace, target))
                .with_context(|| format!("{}\n{}", node.name, stage.logs()))?;
        }
        stage.stop_proxy(&owner.name())?;
        let next = eventually("another server answers", SLOWLY, || {
            let (next, _) = ask(&stage.lab().client, target)?;
            ensure!(next != owner.name(), "{next} answers");
            Ok(next)
        })
        .with_context(|| stage.logs())?;
        assert_eq!(stage.carrier(API_ADDRESS)?.name(), next);
        assert_eq!(stage.bearers(API_ADDRESS)?, Vec::<String>::new(), "it is on no interface");
        Ok(())
    });
}

const INSIDE_OUTSIDE: [(&str, &str); 4] = [
    ("pools.yaml", include_str!("../../../deploy/examples/inside-outside/pools.yaml")),
    ("nodes.yaml", include_str!("../../../deploy/examples/inside-outside/nodes.yaml")),
    ("gateway.yaml", include_str!("../../../deploy/examples/inside-outside/gateway.yaml")),
    ("virtual-ips.yaml", include_str!("../../../deploy/examples/inside-outside/virtual-ips.yaml")),
];
const OUTSIDE: &str = "198.51.100.140";
const INSIDE: &str = "203.0.113.1";

#[test]
fn the_example_of_two_sides_keeps_both_on_one_node() {
    within(|| {
        let lab = Lab::build(3)?;
        let switch = Namespace::open(&format!("{}-sw", lab.name()))?;
        switch.ip("link add br1 type bridge stp_state 0 mcast_snooping 0\nlink set br1 up\n")?;
        for node in &lab.nodes {
            let (name, index) = (&node.name, node.index);
            switch.ip(&format!(
                "link add i-{name} type veth peer name eth1 netns {}\nlink set i-{name} master br1 up\n",
                node.namespace.name()
            ))?;
            node.namespace
                .ip(&format!("addr add 203.0.113.{}/24 dev eth1\nlink set eth1 up\n", 10 + index))?;
        }
        let stage = Stage::of(lab, &INSIDE_OUTSIDE, 8080, OUTSIDE)?;
        let first = together(&stage)?;

        // Inside alone is cut off: the outside follows.
        switch.ip(&format!("link set i-{first} down\n"))?;
        let second = eventually("both sides move", SLOWLY, || {
            let second = together(&stage)?;
            ensure!(second != first, "{second} still has both");
            Ok(second)
        })
        .with_context(|| stage.logs())?;
        switch.ip(&format!("link set i-{first} up\n"))?;
        thread::sleep(SOON);

        stage.lab().cut(stage.lab().node(&second)?)?;
        eventually("both sides move again", SLOWLY, || {
            let third = together(&stage)?;
            ensure!(third != second, "{third} still has both");
            Ok(())
        })
        .with_context(|| stage.logs())
    });
}

/// The node that has both addresses.
fn together(stage: &Stage) -> Result<String> {
    eventually("both are on one node", SLOWLY, || {
        let mut places = BTreeSet::new();
        for node in &stage.lab().nodes {
            for (interface, address) in [("eth0", OUTSIDE), ("eth1", INSIDE)] {
                if stage.on(&node.name, interface)?.contains(&format!("{address}/")) {
                    places.insert((interface, node.name.clone()));
                }
            }
        }
        let nodes: BTreeSet<&String> = places.iter().map(|(_, node)| node).collect();
        ensure!(places.len() == 2 && nodes.len() == 1, "{places:?}");
        nodes.first().map(|node| (*node).clone()).context("one")
    })
}
