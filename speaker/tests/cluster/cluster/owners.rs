// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What speakers tell the cluster.

use anyhow::{Context, ensure};
use ferrolb_lab::rights;

use crate::stage::{SEGMENT, Stage, VIP, until};

#[test]
fn owners_and_speakers_show_in_the_cluster_move_and_cost_nothing_at_rest() {
    rights::within(|| {
        let stage = Stage::build()?;
        let mut running = vec![stage.start(stage.node(0)?)?, stage.start(stage.node(1)?)?];
        let first = stage.owner_other_than("")?;
        ensure!((first.segment.as_str(), first.interface.as_str()) == (SEGMENT, "eth0"), "{first:?}");
        for node in ["n1", "n2"] {
            let speaker = until("the Speaker objects", || {
                let other = if node == "n1" { "n2" } else { "n1" };
                let heard = |speaker: &ferrolb_config::api::Speaker| {
                    let segments = speaker.status.iter().flat_map(|status| &status.segments);
                    segments.into_iter().any(|segment| segment.heard == [other])
                };
                Ok(stage.speaker(node)?.filter(heard))
            })?;
            let owner = speaker.metadata.owner_references.and_then(|owners| owners.into_iter().next());
            let owner = owner.context("it goes with its Node")?;
            ensure!((owner.kind.as_str(), owner.name.as_str()) == ("Node", node));
        }

        // At rest nothing is written; what a claim brings with it has to settle first, the word of a witness above all.
        let reachable = stage.witnessed()?;
        ensure!(reachable.status == "True", "{reachable:?}");
        std::thread::sleep(std::time::Duration::from_secs(5));
        let plane = stage.cluster.plane();
        let before = plane.requests()?;
        std::thread::sleep(std::time::Duration::from_secs(10));
        let ours = |resource: &str| ["virtualips", "speakers"].contains(&resource);
        let written = plane.requests()?.since(&before).count(|it| it.writes() && ours(&it.resource));
        ensure!(written == 0, "{written} writes at rest");

        // An entry that somebody took out is written again.
        let nobody = "{\"status\":{\"layer2\":[]}}";
        plane.kubectl().run(&[
            "patch",
            "virtualip",
            VIP,
            "--subresource=status",
            "--type=merge",
            "-p",
            nobody,
        ])?;
        let again = stage.owner_other_than("")?;
        ensure!((&again.node, again.term) == (&first.node, first.term), "{again:?}");

        let leaver = if first.node == "n1" { running.remove(0) } else { running.remove(1) };
        leaver.stop()?;
        let second = stage.owner_other_than(&first.node)?;
        ensure!(second.term > first.term, "{second:?}");
        let ready = until("the last words", || {
            let status = stage.speaker(&first.node)?.and_then(|speaker| speaker.status);
            let conditions = status.map(|status| status.conditions).unwrap_or_default();
            Ok(conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready" && condition.status == "False"))
        })?;
        ensure!(ready.reason == "Stopping", "{ready:?}");
        // The last one ends too: nobody carries the address, and the cluster shows nobody.
        running.remove(0).stop()?;
        until("the end of the entry", || Ok(stage.owners()?.is_empty().then_some(())))
    });
}
