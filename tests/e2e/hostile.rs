// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Neighbours that mean harm, or are broken.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrolb_lab::installation::Installation;
use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::storm;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::quickstart;
use crate::patience::{SLOWLY, SOON, eventually};

/// Where hellos go.
const HELLO_PORT: u16 = 7948;

#[test]
fn replayed_reflected_forged_damaged_and_oversized_hellos_change_nothing_and_are_counted() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
        let new = NewClients::start(&ferrolb.lab().newcomer, ferrolb.target().ip())?;
        let sent = storm::of_hellos(&ferrolb.lab().newcomer, HELLO_PORT, SOON)?;
        let (probe, new) = (probe.finish()?, new.finish()?);
        let logs = ferrolb.installation.logs();
        assert!(sent > 1000, "{sent}");
        assert!(probe.outage < Duration::from_millis(100) + probe.stall, "{probe:?}\n{logs}");
        assert!(new.presences().keys().all(|mac| *mac == owner.mac()), "{:?}\n{logs}", new.presences());
        assert_eq!(trial::settled_owner(&ferrolb)?, owner);
        for kind in ["wrong_key", "truncated", "replayed", "reflected", "malformed", "bad_magic"] {
            eventually("the refused packets are counted", SLOWLY, || {
                counted(&ferrolb.installation, "n1", kind)
            })?;
        }
        Ok(())
    });
}

#[test]
fn a_speaker_with_another_key_is_noticed_and_harms_no_cached_client() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let Some(other) = ferrolb.lab().nodes.iter().find(|node| node.place() != owner).cloned() else {
            panic!("three nodes have another one")
        };
        ferrolb.installation.stop_speaker(&other.name)?;
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
        ferrolb.installation.start_speaker_with_key(&other.name, "another key, thirty-two bytes or more")?;
        std::thread::sleep(SOON);
        let probe = probe.finish()?;
        assert!(
            probe.outage < Duration::from_millis(100) + probe.stall,
            "{probe:?}\n{}",
            ferrolb.installation.logs()
        );
        eventually("the others count its hellos", SLOWLY, || {
            counted(&ferrolb.installation, &owner.name(), "wrong_key")
        })
    });
}

/// An error unless the speaker of `node` has counted refused packets of this kind.
fn counted(installation: &Installation, node: &str, kind: &str) -> Result<()> {
    let file = installation.state().join(format!("speaker-{node}/speaker.yaml"));
    let text = fs::read_to_string(&file)?;
    let counter = text.lines().find_map(|line| line.trim().strip_prefix(&format!("rejected.{kind}:")));
    ensure!(
        counter.is_some_and(|count| count.trim() != "0"),
        "no rejected.{kind} in {}:\n{text}",
        file.display()
    );
    Ok(())
}
