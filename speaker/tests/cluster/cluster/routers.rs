// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a speaker tells the cluster of its sessions with routers.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrolb_config::api::{
    BFDSession, BGPSession, SessionEnd, SessionState, SessionTerms, Speaker, SpeakerSpec, SpeakerStatus,
};
use ferrolb_lab::rights;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::stage::{Stage, until};

/// One at an address that nobody has, and one whose Secret is missing.
const PEERS: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: away},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 198.51.100.250, connectTime: 1s}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: locked},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 198.51.100.251, passwordSecret: {name: nowhere}}}
";

#[test]
fn sessions_and_why_there_are_none_show_in_the_cluster_and_cost_nothing_at_rest() {
    rights::within(|| {
        let stage = Stage::build()?;
        stage.cluster.plane().kubectl().apply(PEERS)?;
        let running = stage.start(stage.node(0)?)?;
        let status = until("both routers with their reasons", || {
            let status = stage.speaker("n1")?.and_then(|speaker| speaker.status).unwrap_or_default();
            let reasons: Vec<_> = status.bgp.iter().map(|session| session.reason.as_deref()).collect();
            let known = reasons == [Some("RouterNotReached"), Some("PasswordNotUsable")];
            Ok(known.then_some(status))
        })?;
        let [away, locked] = status.bgp.as_slice() else { anyhow::bail!("{:?}", status.bgp) };
        ensure!((away.state, locked.state) == (SessionState::Connecting, SessionState::Blocked));
        ensure!(away.router == "198.51.100.250:179" && away.since.is_some(), "{away:?}");
        ensure!(locked.message.as_ref().is_some_and(|words| words.contains("Secret nowhere")), "{locked:?}");
        ensure!(away.counters.is_empty(), "counters are not for the cluster: {away:?}");
        let told = status.conditions.iter().find(|condition| condition.type_ == "RoutersReached");
        let told = told.context("a condition")?;
        ensure!(told.status == "False" && told.message.contains("away: "), "{told:?}");

        // Attempts go on, one a second, and end as the last did.
        thread::sleep(Duration::from_secs(5));
        let plane = stage.cluster.plane();
        let before = plane.requests()?;
        thread::sleep(Duration::from_secs(10));
        let writes = plane.requests()?.since(&before).count(|it| it.writes() && it.resource == "speakers");
        ensure!(writes == 0, "{writes} writes at rest");
        running.stop()
    });
}

#[test]
fn the_api_server_takes_all_sessions_at_their_longest() {
    rights::within(|| {
        let stage = Stage::build()?;
        let kubectl = stage.cluster.plane().kubectl();
        let at = || Time("2026-11-21T12:00:00Z".parse().unwrap_or_default());
        let text = |length: usize| "x".repeat(length);
        let session = BGPSession {
            peer: text(253),
            router: text(128),
            state: SessionState::Established,
            since: Some(at()),
            reason: Some(text(64)),
            message: Some(text(512)),
            note: Some(text(512)),
            last_end: Some(SessionEnd { at: at(), message: text(512) }),
            agreed: Some(SessionTerms {
                local_asn: u32::MAX,
                peer_asn: u32::MAX,
                hold_seconds: u16::MAX,
                peer_router_id: "255.255.255.255".to_owned(),
                families: vec!["IPv4 unicast".to_owned(), "IPv6 unicast".to_owned()],
                capabilities_sent: vec![text(192); 12],
                capabilities_received: vec![text(192); 12],
                ..SessionTerms::default()
            }),
            unsendable: Some(text(512)),
            bfd: Some(BFDSession {
                state: "Up".to_owned(),
                since: Some(at()),
                message: Some(text(512)),
                counters: BTreeMap::new(),
            }),
            counters: BTreeMap::new(),
        };
        let mut object = Speaker::new("n9", SpeakerSpec {});
        kubectl.apply(&serde_json::to_string(&object)?)?;
        object.status = Some(SpeakerStatus { bgp: vec![session.clone(); 128], ..SpeakerStatus::default() });
        let patch = serde_json::json!({ "status": object.status }).to_string();
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), patch)?;
        let path = file.path().to_string_lossy();
        kubectl.run(&[
            "patch",
            "speaker",
            "n9",
            "--subresource=status",
            "--type=merge",
            "--patch-file",
            &path,
        ])?;
        let kept = stage.speaker("n9")?.and_then(|speaker| speaker.status).context("the status")?;
        ensure!(kept.bgp.len() == 128 && kept.bgp.first() == Some(&session), "{:#?}", kept.bgp.first());
        Ok(())
    });
}
