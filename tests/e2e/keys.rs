// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The key of the hellos is changed while everybody speaks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::installation::{HELLO_KEY, Installation, SpeakerStatus};
use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::cluster::quickstart;
use crate::patience::{SLOWLY, eventually};

const NEW: &str = "a new key of thirty-two bytes or more";

#[test]
fn the_key_is_changed_on_three_nodes_without_a_claim_and_without_a_lost_probe() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, vip) = (&ferrolb.installation, ferrolb.target().ip());
        let owner = trial::settled_owner(&ferrolb)?;
        let before = installation.status()?.terms(vip)?;
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
        let newcomers = NewClients::start(&ferrolb.lab().newcomer, vip)?;

        let [old] = in_force(installation, "the old key alone", |_: &[String; 1]| true)?;
        installation.set_keys(&[HELLO_KEY, NEW])?;
        let [_, new] = in_force(installation, "the old key signs", |[signs, _]| *signs == old)?;
        installation.set_keys(&[NEW, HELLO_KEY])?;
        in_force(installation, "the new key signs", |[signs, accepted]| (signs, accepted) == (&new, &old))?;
        installation.set_keys(&[NEW])?;
        in_force(installation, "the new key alone", |[signs]| *signs == new)?;

        let (probe, newcomers) = (probe.finish()?, newcomers.finish()?);
        let logs = installation.logs();
        println!("{} probes over the change, {} lost, own stall {:?}", probe.sent, probe.lost, probe.stall);
        assert!(
            probe.lost == 0 || probe.outage < Duration::from_millis(100) + probe.stall,
            "{probe:?}\n{logs}"
        );
        let answerers = newcomers.presences();
        assert!(answerers.keys().all(|mac| *mac == owner.mac()), "{answerers:?}\n{logs}");
        assert_eq!(installation.status()?.terms(vip)?, before, "nobody claimed anything\n{logs}");
        Ok(())
    });
}

#[test]
fn a_key_file_that_gives_no_keys_changes_nothing_and_is_told_until_it_is_mended() {
    within(|| {
        let ferrolb = quickstart(2)?;
        let vip = ferrolb.target().ip();
        let before = ferrolb.installation.status()?.terms(vip)?;
        let keys = in_force(&ferrolb.installation, "one key", |_: &[String; 1]| true)?;
        let refused = |wanted: bool| {
            eventually("what is wrong with the file is told", SLOWLY, || {
                let status = ferrolb.installation.status()?;
                let told = |speaker: &SpeakerStatus| {
                    speaker.problems.iter().any(|problem| problem.reason == "HelloKeyRefused")
                };
                ensure!(status.speakers.iter().all(|speaker| told(speaker) == wanted), "{status:?}");
                Ok(())
            })
        };
        ferrolb.installation.set_keys(&["short"])?;
        refused(true)?;
        in_force(&ferrolb.installation, "those from before", |now| *now == keys)?;
        assert_eq!(ferrolb.installation.status()?.terms(vip)?, before);
        ferrolb.installation.set_keys(&[NEW])?;
        refused(false)?;
        in_force(&ferrolb.installation, "the new key", |now| *now != keys)?;
        trial::settled_owner(&ferrolb).map(drop)
    });
}

/// Waits until every speaker has the same `N` keys in force, and such as are `wanted`; their names.
fn in_force<const N: usize>(
    installation: &Installation,
    what: &str,
    wanted: impl Fn(&[String; N]) -> bool,
) -> Result<[String; N]> {
    eventually(what, SLOWLY, || {
        let status = installation.status()?;
        let first = status.speakers.first().context("speakers run")?.hello_keys.clone();
        let same = status.speakers.iter().all(|speaker| speaker.hello_keys == first);
        let keys = <[String; N]>::try_from(first);
        keys.ok().filter(|keys| same && wanted(keys)).with_context(|| format!("{:?}", status.speakers))
    })
}
