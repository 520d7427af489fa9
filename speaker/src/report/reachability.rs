// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What this node saw when it asked, as a client does, for addresses that other nodes carry.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::condition::REACHABLE;
use ferrolb_config::reason::Reason;
use ferrolb_layer2::{Testimony, Verdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::Scene;

/// The status of a condition that nobody can judge.
const UNKNOWN: &str = "Unknown";

/// What was seen of one address on one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witnessed {
    /// The segment's name.
    pub(crate) segment: String,
    /// The owner itself asked, and somebody else answered: it never says that all is well, since it cannot know.
    pub(crate) by_owner: bool,
    /// Why clients do not reach the address, if they do not.
    pub(crate) obstacle: Option<(Reason, String)>,
}

impl Witnessed {
    /// As the condition `Reachable`, which became so `now`.
    pub(crate) fn condition(&self, now: Timestamp) -> Condition {
        let (status, reason, message) = match &self.obstacle {
            None => ("True", Reason::Reachable, "another node of the segment is answered".to_owned()),
            Some((reason, message)) => ("False", *reason, message.clone()),
        };
        Condition {
            type_: REACHABLE.to_owned(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: format!("{}{message}", self.prefix()),
            last_transition_time: Time(now),
            observed_generation: None,
        }
    }

    /// The condition to write where `shown` is shown, if it says something else. Several segments speak through one
    /// condition: one of them that is not reached outweighs the others, and whoever said so takes it back.
    pub(crate) fn news(&self, shown: Option<&Condition>, now: Timestamp) -> Option<Condition> {
        let Some(shown) = shown.filter(|shown| shown.status != UNKNOWN) else {
            return Some(self.condition(now));
        };
        let of_this_segment = shown.message.starts_with(&self.prefix());
        match (shown.status == "True", self.obstacle.is_none()) {
            (true, true) => None,
            (true, false) => Some(self.condition(now)),
            (false, true) => of_this_segment.then(|| self.condition(now)),
            (false, false) => {
                let still = self.condition(shown.last_transition_time.0);
                (of_this_segment && *shown != still).then_some(still)
            }
        }
    }
}

impl Witnessed {
    /// With what its messages begin, by which it knows them again.
    fn prefix(&self) -> String {
        prefix(&self.segment, self.by_owner)
    }
}

fn prefix(segment: &str, by_owner: bool) -> String {
    format!("on {segment}{}: ", if by_owner { ", asked by the owner" } else { "" })
}

/// The owner on `segment` sees nobody else answer: what to write where `shown` says that it, or an owner before it, did.
pub(crate) fn withdrawn(segment: &str, shown: &Condition, now: Timestamp) -> Option<Condition> {
    let prefix = prefix(segment, true);
    let says_so = shown.status == "False" && shown.message.starts_with(&prefix);
    says_so.then(|| Condition {
        status: UNKNOWN.to_owned(),
        reason: Reason::NotWitnessed.to_string(),
        message: format!("{prefix}nobody else answers any more"),
        last_transition_time: Time(now),
        ..shown.clone()
    })
}

/// What this node saw, by address.
pub(super) fn of(scene: &Scene<'_>) -> BTreeMap<IpAddr, Vec<Witnessed>> {
    let mut seen: BTreeMap<IpAddr, Vec<Witnessed>> = BTreeMap::new();
    for (interface, report) in &scene.layer2.segments {
        let link = scene.links.named(interface);
        for testimony in &report.testimonies {
            let address = testimony.address;
            let net = link.and_then(|link| link.segment_of(address));
            let segment = net.map_or_else(|| interface.clone(), |net| net.to_string());
            let obstacle = obstacle(testimony, scene);
            let by_owner = testimony.owner == scene.id;
            seen.entry(address).or_default().push(Witnessed { segment, by_owner, obstacle });
        }
    }
    seen.retain(|address, _| scene.recorded.contains_key(address));
    seen
}

/// The word for what was seen, if it is not as it should be.
pub(crate) fn reason(verdict: &Verdict) -> Option<Reason> {
    match verdict {
        Verdict::Reachable => None,
        Verdict::NoResponder { .. } => Some(Reason::NoResponder),
        Verdict::OtherStation { node: Some(_), .. } => Some(Reason::StaleBinding),
        Verdict::OtherStation { node: None, .. } => Some(Reason::ForeignStation),
        Verdict::PortFiltered { .. } => Some(Reason::PortFiltered),
    }
}

fn obstacle(testimony: &Testimony, scene: &Scene<'_>) -> Option<(Reason, String)> {
    let Testimony { address, owner, verdict } = testimony;
    let (owner, witness) = (scene.names.node(*owner), scene.node);
    let message = match verdict {
        Verdict::Reachable => return None,
        Verdict::NoResponder { mute: false } => format!(
            "{owner} carries {address} and its hellos and its own address are heard, but nobody answers {witness} for \
             {address}; something between takes it away: look at port security and dynamic ARP inspection of the switch, \
             at the hypervisor's anti-spoofing and at the host firewall of {owner}"
        ),
        Verdict::NoResponder { mute: true } => format!(
            "{owner} carries {address} and its hellos are heard, but it answers {witness} neither for {address} nor for \
             its own address; look for a filter of ARP and neighbour discovery before {owner} or {witness}: port \
             security, dynamic ARP inspection, the hypervisor's anti-spoofing, the host firewall"
        ),
        Verdict::OtherStation { mac, node: Some(node), beside_owner } => {
            let node = scene.names.node(*node);
            format!(
                "{owner} carries {address}, but {witness} is answered by {node} ({mac}){}: a stale binding; take the \
                 address off the interfaces of {node} (ip address), or, where kube-proxy in IPVS mode holds it, set its \
                 strictARP",
                too(*beside_owner)
            )
        }
        Verdict::OtherStation { mac, node: None, beside_owner } => format!(
            "{owner} carries {address}, but {witness} is answered by {mac}{}, which is no node's that speaks here; find \
             it in the switch's table and give it another address",
            too(*beside_owner)
        ),
        Verdict::PortFiltered { port } => format!(
            "{owner} answers for {address}, but TCP port {port} neither opens nor refuses when {witness} tries it; look \
             at the host firewall of {owner}, at filters between and at what translates the port there"
        ),
    };
    Some((reason(verdict)?, message))
}

fn too(beside_owner: bool) -> &'static str {
    if beside_owner { " too" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(segment: &str, reason: Option<Reason>) -> Witnessed {
        let obstacle = reason.map(|reason| (reason, "why".to_owned()));
        Witnessed { segment: segment.to_owned(), by_owner: false, obstacle }
    }

    fn news(seen: Witnessed, shown: Option<&Condition>) -> bool {
        seen.news(shown, Timestamp::UNIX_EPOCH).is_some()
    }

    #[test]
    fn one_segment_that_is_not_reached_outweighs_the_others_and_takes_it_back_itself() {
        let at = Timestamp::UNIX_EPOCH;
        let (lan, dmz) = ("192.0.2.0/24", "198.51.100.0/24");
        let reached = seen(lan, None).condition(at);
        assert!(news(seen(lan, None), None));
        assert!(!news(seen(dmz, None), Some(&reached)));
        assert!(news(seen(dmz, Some(Reason::NoResponder)), Some(&reached)));
        let silent = seen(lan, Some(Reason::NoResponder)).condition(at);
        assert!(!news(seen(lan, Some(Reason::NoResponder)), Some(&silent)));
        assert!(!news(seen(dmz, None), Some(&silent)));
        assert!(!news(seen(dmz, Some(Reason::PortFiltered)), Some(&silent)));
        assert!(news(seen(lan, None), Some(&silent)));
        assert!(news(seen(lan, Some(Reason::PortFiltered)), Some(&silent)));
    }

    #[test]
    fn what_the_owner_saw_is_taken_back_by_an_owner_and_not_by_the_witness_who_may_be_the_one_that_answers() {
        let at = Timestamp::UNIX_EPOCH;
        let lan = "192.0.2.0/24";
        let by_owner = Witnessed { by_owner: true, ..seen(lan, Some(Reason::StaleBinding)) };
        let reached = seen(lan, None).condition(at);
        let stale = by_owner.news(Some(&reached), at).expect("it outweighs the witness");
        assert!(!news(seen(lan, None), Some(&stale)));
        assert!(!news(by_owner, Some(&stale)));
        assert_eq!(withdrawn(lan, &reached, at), None);
        assert_eq!(withdrawn("198.51.100.0/24", &stale, at), None);
        let open = withdrawn(lan, &stale, at).expect("it was an owner's word");
        assert_eq!((open.status.as_str(), open.reason.as_str()), ("Unknown", "NotWitnessed"));
        assert_eq!(withdrawn(lan, &open, at), None);
        assert!(news(seen(lan, None), Some(&open)), "the witness has the word again");
    }

    #[test]
    fn a_condition_without_its_text_is_still_seen_to_hold() {
        let mut shown = seen("192.0.2.0/24", None).condition(Timestamp::UNIX_EPOCH);
        shown.message.clear();
        assert!(!news(seen("192.0.2.0/24", None), Some(&shown)));
    }
}
