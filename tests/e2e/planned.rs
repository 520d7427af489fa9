// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Moves that somebody wanted.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Result;
use ferrolb_lab::installation::{Contestant, Installation};
use ferrolb_lab::probe::{Connections, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender, Event};
use ferrolb_lab::{Lab, quickstart as example};

use crate::cluster::{binary, quickstart};
use crate::patience::{SLOWLY, SOON, eventually};

#[test]
fn a_planned_move_loses_no_probe() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        // Repeated only while the prober itself sleeps: then a lost probe would say nothing.
        let trials = trial::until_it_counts(&mut ferrolb, Event::HandOver, 0.5, |trial| {
            println!("{trial}");
            Ok(())
        })?;
        let Some(trial) = trials.last() else { panic!("no trial") };
        assert!(trial.lost == 0 || !trial.counts(), "{trial}\n{}", ferrolb.installation.logs());
        assert!(trial.to.is_some_and(|to| to != trial.from), "{trial}");
        assert!(!trial.two_answerers(), "{trial}");
        Ok(())
    });
}

#[test]
fn operators_move_an_address_and_empty_a_node_without_a_lost_probe_and_are_told_why_not() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let vip = ferrolb.target().ip().to_string();
        let owner = trial::settled_owner(&ferrolb)?.name();
        let others: Vec<&str> = ["n1", "n2", "n3"].into_iter().filter(|node| *node != owner).collect();
        let [one, two] = others.as_slice() else { panic!("three nodes, of which {owner} carries {vip}") };
        let ask = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
            let (name, rest) = arguments.split_first().expect("a command");
            let Output { status, stdout, stderr } = ferrolb.installation.command(name).args(rest).output()?;
            let said = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
            println!("{}: {said}", arguments.join(" "));
            Ok((status.code(), said))
        };
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;

        let (code, said) = ask(&["move", &vip, "--to", one])?;
        assert!(said.contains(&format!("{vip}: {owner} -> {one} after ")), "{said}");
        assert_eq!((code, trial::settled_owner(&ferrolb)?.name().as_str()), (Some(0), *one));
        let (code, said) = ask(&["move", &vip, "--to", one, "-o", "json"])?;
        assert!(code == Some(0) && said.contains("carries it already"), "{said}");
        let (code, said) = ask(&["move", &vip, "--to", "n9"])?;
        assert!(code == Some(1) && said.contains("(NotFound)"), "{said}");

        let (code, said) = ask(&["drain", one])?;
        assert!(code == Some(0) && said.contains(&format!("{vip}: {one} -> ")), "{said}");
        assert_ne!(trial::settled_owner(&ferrolb)?.name().as_str(), *one);
        let told = eventually("the drained node says so", SLOWLY, || {
            let (_, said) = ask(&["status"])?;
            anyhow::ensure!(said.contains("NodeDrained"), "{said}");
            Ok(said)
        })?;
        assert!(told.contains(&format!("Node {one} takes no address")), "{told}");
        let (code, said) = ask(&["move", &vip, "--to", one])?;
        assert!(code == Some(1) && said.contains("(NodeDrained)"), "{said}");
        let (code, said) = ask(&["drain", two])?;
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = ask(&["drain", &owner])?;
        assert!(code == Some(1) && said.contains("(NoOtherNode)"), "{said}");
        assert_eq!(trial::settled_owner(&ferrolb)?.name(), owner, "what nobody else may carry stays");
        let (code, said) = ask(&["undrain", one])?;
        assert!(code == Some(0) && said.contains("takes addresses again"), "{said}");
        let (code, said) = ask(&["move", &vip])?;
        assert!(code == Some(0) && said.contains(&format!("{vip}: {owner} -> {one} after ")), "{said}");

        let report = probe.finish()?;
        let logs = ferrolb.installation.logs();
        assert!(report.lost == 0 || report.stall > Duration::from_millis(20), "{report:?}\n{logs}");
        Ok(())
    });
}

/// With FerroLB's own table. docs/kubernetes.md says the same, and kubernetes/connections.rs what kube-proxy does.
#[test]
fn a_move_leaves_no_connection_hanging() {
    const OPEN: usize = 30;
    within(|| {
        let ferrolb = quickstart(3)?;
        for service in ["default/web", example::ECHO] {
            let vip = ferrolb.installation.address_of(service, true)?;
            trial::settled_owner_of(&ferrolb, vip)?;
            let target = SocketAddr::new(vip, example::ECHO_TCP);
            let connections = Connections::start(&ferrolb.lab().client, target, OPEN)?;
            std::thread::sleep(Duration::from_millis(500));
            let moved = ferrolb.installation.command("move").arg(vip.to_string()).output()?;
            assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
            std::thread::sleep(SOON);
            let report = connections.finish()?;
            println!("{service}: {report:?}");
            let logs = ferrolb.installation.logs();
            assert_eq!((report.opened, report.reset, report.stalled), (OPEN, OPEN, 0), "{report:?}\n{logs}");
        }
        Ok(())
    });
}

#[test]
fn a_speaker_that_ends_alone_leaves_its_rules_for_a_while_and_cleanup_removes_them_at_once() {
    within(|| {
        let mut ferrolb = lone()?;
        ferrolb.installation.stop_speaker("n1")?;
        let node = ferrolb.lab().node("n1")?.clone();
        let tables = || {
            let mut nft = Command::new("nft");
            nft.args(["list", "ruleset"]);
            ferrolb.lab().output(&node.namespace, nft)
        };
        let left = tables()?;
        assert!(
            left.contains("ferrolb") && left.contains("expires"),
            "rules that expire by themselves: {left}"
        );
        let mut cleanup = Command::new(binary());
        cleanup.arg("cleanup");
        let said = ferrolb.lab().output(&node.namespace, cleanup)?;
        assert!(!tables()?.contains("ferrolb"), "after cleanup, which said: {said}");
        Ok(())
    });
}

/// A node without any other. It carries nothing until some station's frames show that its link works: here, the newcomer's question.
fn lone() -> Result<Contestant> {
    let manifests = example::manifests_for(1);
    let manifests: Vec<(&str, &str)> = manifests.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut installation = Installation::prepare(Lab::build(1)?, binary(), &manifests)?;
    installation.launch()?;
    eventually("the Service has an address", SLOWLY, || installation.address_of(example::ECHO, true))?;
    let ferrolb = installation.contend(example::ECHO, example::ECHO_UDP)?;
    trial::settled_owner(&ferrolb)?;
    Ok(ferrolb)
}

#[test]
fn a_restarted_speaker_takes_nothing_away_and_loses_nothing() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let idle =
            ferrolb.lab().nodes.iter().find(|node| node.place() != owner).map(|node| node.name.clone());
        let Some(idle) = idle else { panic!("three nodes have one that is idle") };
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
        ferrolb.leave(&idle)?;
        ferrolb.rejoin(&idle)?;
        std::thread::sleep(SOON);
        let report = probe.finish()?;
        assert!(
            report.lost == 0 || report.stall > Duration::from_millis(20),
            "{report:?}\n{}",
            ferrolb.installation.logs()
        );
        assert_eq!(trial::settled_owner(&ferrolb)?, owner);
        Ok(())
    });
}
