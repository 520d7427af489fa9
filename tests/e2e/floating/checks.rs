// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Health checks decide who carries.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrolb_lab::Lab;
use ferrolb_lab::probe::UdpEcho;
use ferrolb_lab::rights::within;

use super::stage::{INGRESS, INGRESS_MANIFESTS, Stage};
use crate::patience::{SLOWLY, SOON, eventually, expect};

#[test]
fn a_check_that_falls_moves_the_address_without_loss_and_one_that_rises_takes_nothing_back() {
    within(|| {
        let mut stage = Stage::ingress()?;
        eventually("every node is ready", SLOWLY, || {
            let said = stage.installation.status_text()?;
            ensure!(!said.contains("HealthCheckFailed"), "{said}");
            Ok(())
        })?;
        let owner = stage.carrier(INGRESS)?;
        let probe = UdpEcho::start(&stage.lab().client, stage.echo())?;
        thread::sleep(Duration::from_millis(300));
        stage.stop_proxy(&owner.name())?;
        let next = eventually("the address moves", SLOWLY, || {
            let next = stage.carrier(INGRESS)?;
            ensure!(next != owner, "{next:?} still answers");
            Ok(next)
        })
        .with_context(|| stage.logs())?;
        let report = probe.finish()?;
        println!("check fell: {} of {} probes lost, own stall {:?}", report.lost, report.sent, report.stall);
        assert!(report.lost == 0 || report.stall > Duration::from_millis(20), "{report:?}\n{}", stage.logs());
        let said = stage.installation.status_text()?;
        assert!(said.contains("HealthCheckFailed") && said.contains("/healthz"), "{said}");

        stage.start_proxy(&owner.name())?;
        eventually("the check passes again", SLOWLY, || {
            let said = stage.installation.status_text()?;
            ensure!(!said.contains("HealthCheckFailed"), "{said}");
            Ok(())
        })?;
        thread::sleep(SOON / 3);
        expect(&stage.carrier(INGRESS)?, &next)
    });
}

#[test]
fn a_command_decides_where_the_address_is() {
    within(|| {
        let lab = Lab::build(3)?;
        let folder = lab.folder().display().to_string();
        // Each node's command looks for a file of its own.
        let mac = r#"ip -o link show dev eth0 | grep -o "ether [0-9a-f:]*" | cut -c7-"#;
        let script = format!("! test -e {folder}/down-$({mac})");
        let check = format!("    - exec:\n        command: [/bin/sh, -c, '{script}']\n      fall: 2\n");
        let manifests = INGRESS_MANIFESTS.map(|(name, text)| match text.split_once("    - http:") {
            Some((before, _)) => (name, format!("{before}{check}")),
            None => (name, text.to_owned()),
        });
        let manifests: Vec<(&str, &str)> =
            manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let stage = Stage::of(lab, &manifests, 8080, INGRESS)?;
        let owner = stage.carrier(INGRESS)?;
        fs::write(format!("{folder}/down-{}", owner.mac()), "")?;
        eventually("the address moves", SLOWLY, || {
            let next = stage.carrier(INGRESS)?;
            ensure!(next != owner, "{next:?} still answers");
            Ok(())
        })
        .with_context(|| stage.logs())?;
        let said = stage.installation.status_text()?;
        assert!(said.contains("command /bin/sh fails") && !said.contains("down-"), "{said}");
        Ok(())
    });
}
