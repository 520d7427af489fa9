// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! How the nodes stand with a router: the condition `Established` of a BGPPeer, gathered from what speakers report.

use std::collections::BTreeMap;

use ferrolb_config::Objects;
use ferrolb_config::api::{BGPSession, SILENT_AFTER, SessionState, Speaker};
use ferrolb_config::condition::{self, ESTABLISHED, READY};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::apply::Verdict;

/// The longest message, in characters.
const LONGEST: usize = 1024;

/// What living nodes say of each BGPPeer, by its name; nodes in order.
pub(super) struct Sessions<'a> {
    by_peer: BTreeMap<&'a str, Vec<(&'a str, &'a BGPSession)>>,
}

impl<'a> Sessions<'a> {
    pub(super) fn of(objects: &'a Objects, now: &Time) -> Self {
        let mut by_peer: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (node, speaker) in objects.speakers.iter().filter(|(_, speaker)| lives(speaker, now)) {
            for session in speaker.status.iter().flat_map(|status| &status.bgp) {
                by_peer.entry(session.peer.as_str()).or_default().push((node.as_str(), session));
            }
        }
        Self { by_peer }
    }

    /// Adds to what is said of a BGPPeer how the nodes stand with it.
    pub(super) fn tell(&self, verdict: Verdict, objects: &Objects, now: &Time) -> Verdict {
        let Verdict::BGPPeer(mut peer) = verdict else { return verdict };
        let generation = peer.metadata.generation;
        let told = peer.metadata.name.as_deref().and_then(|name| self.by_peer.get(name));
        let conditions = &mut peer.status.get_or_insert_default().conditions;
        let is_told = condition::find(conditions, ESTABLISHED).is_some();
        if !objects.freshness.unknown.contains("Speaker") && (told.is_some() || is_told) {
            let (status, reason, message) = judge(told.map(Vec::as_slice).unwrap_or_default());
            let established = Condition {
                last_transition_time: now.clone(),
                message: message.chars().take(LONGEST).collect(),
                observed_generation: generation,
                reason,
                status: status.to_owned(),
                type_: ESTABLISHED.to_owned(),
            };
            condition::set(conditions, established);
        }
        Verdict::BGPPeer(peer)
    }
}

/// Whether a write would change nothing but how sessions stand.
pub(super) fn differ_in_sessions_only(verdict: &Verdict, objects: &Objects) -> bool {
    let Verdict::BGPPeer(peer) = verdict else { return false };
    let without = |status: Option<&_>| {
        status.cloned().map(|mut status: ferrolb_config::api::BGPPeerStatus| {
            status.conditions.retain(|condition| condition.type_ != ESTABLISHED);
            status
        })
    };
    let known = peer.metadata.name.as_ref().and_then(|name| objects.bgp_peers.get(name));
    known.is_some_and(|known| without(known.status.as_ref()) == without(peer.status.as_ref()))
}

/// A node that is gone says nothing any more, whatever it said last.
fn lives(speaker: &Speaker, now: &Time) -> bool {
    let Some(status) = &speaker.status else { return false };
    let is_silent = |last: &Time| now.0.duration_since(last.0) > SILENT_AFTER;
    let ready = condition::find(&status.conditions, READY);
    !status.heartbeat.as_ref().is_some_and(is_silent) && ready.is_none_or(|ready| ready.status != "Unknown")
}

fn judge(told: &[(&str, &BGPSession)]) -> (&'static str, String, String) {
    let is_up = |session: &BGPSession| session.state == SessionState::Established;
    let up = told.iter().filter(|(_, session)| is_up(session)).count();
    let count = format!("{up} of {} nodes", told.len());
    match told.iter().find(|(_, session)| !is_up(session)) {
        None if told.is_empty() => {
            let message = "no speaker tells of this peer: does it run, on a node that nodeSelectors match?";
            ("Unknown", "NoSpeaker".to_owned(), message.to_owned())
        }
        None => ("True", "Established".to_owned(), count),
        Some((node, session)) => {
            let reason = session.reason.clone().unwrap_or_else(|| session.state.as_str().to_owned());
            let why = session.message.as_deref().unwrap_or("no session yet");
            ("False", reason, format!("{count}; {node}: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::api::{BGPPeer, SpeakerSpec, SpeakerStatus};
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn speaker(state: SessionState, message: Option<&str>, heartbeat: Option<i64>) -> Arc<Speaker> {
        let session = BGPSession {
            peer: "router".to_owned(),
            state,
            reason: message.map(|_| "RouterNotReached".to_owned()),
            message: message.map(str::to_owned),
            ..BGPSession::default()
        };
        let status =
            SpeakerStatus { bgp: vec![session], heartbeat: heartbeat.map(at), ..SpeakerStatus::default() };
        Arc::new(Speaker { status: Some(status), ..Speaker::new("node", SpeakerSpec {}) })
    }

    fn peer() -> BGPPeer {
        serde_json::from_value(json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "BGPPeer", "metadata": {"name": "router", "generation": 3},
            "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.0.1"},
        }))
        .unwrap()
    }

    /// What is told of the peer after what was told before: status, reason and message.
    fn told(objects: &mut Objects, second: i64) -> Option<(String, String, String)> {
        let known = objects.bgp_peers.get("router").map_or_else(peer, |peer| BGPPeer::clone(peer));
        let now = at(second);
        let verdict = Sessions::of(objects, &now).tell(Verdict::BGPPeer(Box::new(known)), objects, &now);
        let Verdict::BGPPeer(peer) = verdict else { panic!("another kind") };
        let conditions = &peer.status.as_ref().unwrap().conditions;
        let said = condition::find(conditions, ESTABLISHED).map(|it| {
            assert_eq!(it.observed_generation, Some(3));
            (it.status.clone(), it.reason.clone(), it.message.clone())
        });
        objects.bgp_peers.insert("router".to_owned(), Arc::from(peer));
        said
    }

    fn said(status: &str, reason: &str, message: &str) -> Option<(String, String, String)> {
        Some((status.to_owned(), reason.to_owned(), message.to_owned()))
    }

    #[test]
    fn a_peer_tells_how_many_nodes_have_a_session_and_why_the_first_has_none() {
        use SessionState::{Connecting, Established};
        let mut objects = Objects::default();
        assert_eq!(told(&mut objects, 0), None, "nobody has told of it yet");
        objects.speakers.insert("b".to_owned(), speaker(Established, None, None));
        objects.speakers.insert("c".to_owned(), speaker(Connecting, None, None));
        assert_eq!(told(&mut objects, 1), said("False", "Connecting", "1 of 2 nodes; c: no session yet"));
        objects.speakers.insert("a".to_owned(), speaker(Connecting, Some("no answer"), None));
        assert_eq!(told(&mut objects, 2), said("False", "RouterNotReached", "1 of 3 nodes; a: no answer"));
        for node in ["a", "c"] {
            objects.speakers.insert(node.to_owned(), speaker(Established, None, None));
        }
        assert_eq!(told(&mut objects, 3), said("True", "Established", "3 of 3 nodes"));
    }

    #[test]
    fn a_speaker_that_is_gone_does_not_count() {
        use SessionState::{Connecting, Established};
        let mut objects = Objects::default();
        let mut unready = Speaker::clone(&speaker(Connecting, None, None));
        unready.status.as_mut().unwrap().conditions = serde_json::from_value(json!([{
            "type": READY, "status": "Unknown", "reason": "NodeNotReady", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]))
        .unwrap();
        objects.speakers.insert("a".to_owned(), Arc::new(unready));
        objects.speakers.insert("b".to_owned(), speaker(Connecting, None, Some(10)));
        objects.speakers.insert("c".to_owned(), speaker(Established, None, Some(30)));
        assert_eq!(told(&mut objects, 41), said("True", "Established", "1 of 1 nodes"));
        assert_eq!(told(&mut objects, 40).unwrap().2, "1 of 2 nodes; b: no session yet");
        assert_eq!(told(&mut objects, 99).unwrap().1, "NoSpeaker");
    }

    #[test]
    fn a_status_in_which_only_sessions_changed_may_wait() {
        let mut objects = Objects::default();
        objects.speakers.insert("a".to_owned(), speaker(SessionState::Established, None, None));
        told(&mut objects, 1);
        objects.speakers.insert("a".to_owned(), speaker(SessionState::Connecting, None, None));
        let known = BGPPeer::clone(&objects.bgp_peers["router"]);
        let verdict =
            Sessions::of(&objects, &at(2)).tell(Verdict::BGPPeer(Box::new(known)), &objects, &at(2));
        assert!(differ_in_sessions_only(&verdict, &objects) && !verdict.is_visible_in(&objects));
        let Verdict::BGPPeer(mut other) = verdict else { panic!("another kind") };
        other.status.as_mut().unwrap().observed_generation = Some(4);
        assert!(!differ_in_sessions_only(&Verdict::BGPPeer(other), &objects));
    }
}
