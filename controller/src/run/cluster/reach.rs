// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that clients do not reach, as nodes that asked for them found: told of the address and of what uses it. Pure.

use std::collections::BTreeMap;

use ferrolb_config::api::VirtualIP;
use ferrolb_config::{ObjectRef, Objects};
use ferrolb_source::events::{Event, Tone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::news;

/// What was being done.
const ASK: &str = "AskForAddress";
/// Of how many addresses is told at once, at most.
const MOST: usize = 20;

/// The addresses that are not reached, as they become known.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    /// The reason of each, by the name of its VirtualIP.
    known: Option<BTreeMap<String, String>>,
}

impl Unreached {
    /// What is new: an address that is not reached, or for another reason, and one that is again. At the start everything is
    /// known, since the leader before told it.
    pub(super) fn learn(&mut self, view: &Objects) -> Vec<Event> {
        let all = view.virtual_ips.iter();
        let judged =
            all.filter_map(|(name, virtual_ip)| Some((name, &**virtual_ip, virtual_ip.reachable()?)));
        let judged: Vec<(&String, &VirtualIP, &Condition)> = judged.collect();
        let away = judged.iter().filter(|(.., condition)| condition.status == "False");
        let now = away.map(|(name, _, condition)| ((*name).clone(), condition.reason.clone())).collect();
        let Some(known) = self.known.replace(now) else { return Vec::new() };
        let new = judged.into_iter().filter_map(|(name, virtual_ip, condition)| {
            let before = known.get(name);
            let tone = match condition.status.as_str() {
                "False" if before != Some(&condition.reason) => Tone::Warning,
                "True" if before.is_some() => Tone::Normal,
                _ => return None,
            };
            Some((virtual_ip, condition, tone))
        });
        let of_one = |(virtual_ip, condition, tone)| told(virtual_ip, condition, tone, view);
        new.take(MOST).flat_map(of_one).collect()
    }
}

fn told(virtual_ip: &VirtualIP, condition: &Condition, tone: Tone, view: &Objects) -> Vec<Event> {
    let address = virtual_ip.spec.address.to_string();
    let name = virtual_ip.metadata.name.clone().unwrap_or_else(|| address.clone());
    let note = match tone {
        Tone::Normal => format!("{address} is reached again: {}", condition.message),
        Tone::Warning => condition.message.clone(),
    };
    let record = (ObjectRef::cluster("VirtualIP", &name), news::OURS);
    let users = virtual_ip.spec.consumers.iter().map(|consumer| {
        (consumer.identity().object(), if consumer.service().is_some() { "v1" } else { news::OURS })
    });
    let event = |(object, api_version): (ObjectRef, &str)| {
        news::event(object, view, api_version, tone, &condition.reason, ASK, note.clone())
    };
    [record].into_iter().chain(users).map(event).collect()
}

#[cfg(test)]
mod tests {
    use ferrolb_config::condition::REACHABLE;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn view(status: &str, reason: &str) -> Objects {
        let virtual_ip: VirtualIP = serde_json::from_value(json!({
            "apiVersion": "ferrolb.io/v1beta1", "kind": "VirtualIP", "metadata": {"name": "192.0.2.1", "uid": "v"},
            "spec": {"address": "192.0.2.1", "pool": "p", "consumers": [
                {"kind": "Service", "namespace": "default", "name": "a", "ports": []},
            ]},
            "status": {"conditions": [{
                "type": REACHABLE, "status": status, "reason": reason, "message": "why",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap();
        let mut view = Objects::default();
        view.virtual_ips.insert("192.0.2.1".to_owned(), Arc::new(virtual_ip));
        view
    }

    fn told(unreached: &mut Unreached, view: &Objects) -> Vec<(String, String, String)> {
        let events = unreached.learn(view).into_iter();
        events.map(|event| (event.object.kind, event.tone.to_string(), event.reason)).collect()
    }

    fn both(tone: &str, reason: &str) -> Vec<(String, String, String)> {
        ["VirtualIP", "Service"].map(|kind| (kind.to_owned(), tone.to_owned(), reason.to_owned())).to_vec()
    }

    #[test]
    fn an_address_that_is_not_reached_is_told_once_to_whom_it_concerns_and_so_is_its_return() {
        let mut unreached = Unreached::default();
        assert_eq!(told(&mut unreached, &view("True", "Reachable")), [], "a leader's first view");
        let filtered = view("False", "PortFiltered");
        assert_eq!(told(&mut unreached, &filtered), both("Warning", "PortFiltered"));
        assert_eq!(told(&mut unreached, &filtered), []);
        assert_eq!(told(&mut unreached, &view("False", "StaleBinding")), both("Warning", "StaleBinding"));
        assert_eq!(told(&mut unreached, &view("True", "Reachable")), both("Normal", "Reachable"));
        assert_eq!(told(&mut unreached, &view("Unknown", "NotWitnessed")), []);
        assert_eq!(told(&mut Unreached::default(), &filtered), [], "the leader before told it");
    }
}
