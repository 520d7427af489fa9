// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A node is gone from one moment to the next.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use ferrolb_lab::Mac;
use ferrolb_lab::backend::ask;
use ferrolb_lab::probe::NewClients;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::quickstart;
use crate::patience::{SLOWLY, SOON, eventually};

#[test]
fn l2_014_l2_015_the_death_of_the_carrying_node_is_survived_again_and_again() {
    within(|| {
        let ferrolb = quickstart(3)?;
        for phase in [0.2, 0.5, 0.8] {
            let trial = trial::crash(&ferrolb, phase)?;
            assert!(
                trial.outage < SOON && trial.lost < trial.probes,
                "{trial}\n{}",
                ferrolb.installation.logs()
            );
            assert!(trial.to.is_some_and(|to| to != trial.from), "{trial}");
            assert!(!trial.two_answerers(), "{trial}");
        }
        Ok(())
    });
}

#[test]
fn l2_014_of_two_nodes_the_survivor_serves_and_goes_on_serving_alone() {
    within(|| {
        let ferrolb = quickstart(2)?;
        let owner = ferrolb.lab().node_at(trial::settled_owner(&ferrolb)?)?.clone();
        ferrolb.lab().cut(&owner)?;
        let survivor = trial::settled_owner(&ferrolb)?;
        assert_ne!(survivor, owner.place());
        let steady = steady(&ferrolb)?;
        assert_eq!(steady, 0, "probes lost with the survivor alone\n{}", ferrolb.installation.logs());
        assert_eq!(trial::settled_owner(&ferrolb)?, survivor);

        ferrolb.lab().plug(&owner)?;
        std::thread::sleep(SOON);
        assert_eq!(trial::settled_owner(&ferrolb)?, survivor, "a node that comes back takes nothing away");
        Ok(())
    });
}

#[test]
fn l2_010_l2_073_both_families_of_a_service_are_carried_by_one_node_and_move_together() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, lab) = (&ferrolb.installation, ferrolb.lab());
        let families =
            [installation.address_of("default/dual", true)?, installation.address_of("default/dual", false)?];
        let carrier = || -> Result<String> {
            let status = installation.status()?;
            let found = status.addresses.iter().filter(|found| families.contains(&found.address));
            let mut nodes: Vec<&str> =
                found.flat_map(|found| found.carriers.iter().map(|carrier| carrier.node.as_str())).collect();
            nodes.dedup();
            ensure!(nodes.len() == 1, "carried by {nodes:?}");
            Ok(nodes.concat())
        };
        let before = carrier()?;
        let probes: Vec<NewClients> = families
            .iter()
            .map(|address| NewClients::start(&lab.newcomer, *address))
            .collect::<Result<_>>()?;
        std::thread::sleep(SOON / 10);
        lab.cut(lab.node(&before)?)?;
        std::thread::sleep(SOON);
        let answerers: Vec<Option<Mac>> =
            probes.into_iter().map(|probe| Ok(probe.finish()?.last_answerer())).collect::<Result<_>>()?;
        let after = carrier()?;
        assert_ne!(after, before);
        let expected = lab.node(&after)?.place().mac();
        assert_eq!(
            answerers,
            [Some(expected), Some(expected)],
            "ARP and neighbour discovery\n{}",
            installation.logs()
        );
        // A third of the pods went with the node: ask until another one is chosen.
        for address in families {
            eventually("a living pod answers", SLOWLY, || ask(&lab.client, SocketAddr::new(address, 80)))?;
        }
        Ok(())
    });
}

/// Probes lost in three quiet seconds.
fn steady(ferrolb: &dyn Contender) -> Result<usize> {
    let probe = ferrolb_lab::probe::UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
    std::thread::sleep(SOON);
    Ok(probe.finish()?.lost)
}

#[test]
fn the_switch_reboots_and_one_node_serves_again() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let lab = ferrolb.lab();
        lab.all_ports_down()?;
        std::thread::sleep(SOON);
        for port in lab.port_names() {
            lab.port_up(&port)?;
            std::thread::sleep(SOON / 10);
        }
        trial::settled_owner(&ferrolb)?;
        std::thread::sleep(SOON);
        trial::settled_owner(&ferrolb)?;
        assert_eq!(steady(&ferrolb)?, 0, "probes lost afterwards\n{}", ferrolb.installation.logs());
        Ok(())
    });
}
