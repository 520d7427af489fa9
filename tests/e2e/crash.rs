// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A node is gone from one moment to the next.

use anyhow::Result;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::{SOON, quickstart};

#[test]
fn the_death_of_the_carrying_node_is_survived() {
    within(|| {
        let ferrolb = quickstart(3)?;
        for phase in [0.2, 0.8] {
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
fn of_two_nodes_the_survivor_serves_and_goes_on_serving_alone() {
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
