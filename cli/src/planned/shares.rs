// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which addresses are not where preferences and the load bound want them: from the objects, pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::address::parse_virtual_ip_name;
use ferrolb_layer2::balance::{Standing, Transfer, Why, transfers};
use ferrolb_speaker::intent::Intent;
use k8s_openapi::jiff::Timestamp;

use super::prospect::{intent, owners};
use crate::status::is_silent;

/// An address that should move, with all of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) address: IpAddr,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) why: Why,
}

/// What should move at the time `now`. Segments are balanced each by itself.
pub(super) fn shifts(objects: &Arc<Objects>, now: Timestamp) -> Vec<Shift> {
    let intent = intent(objects, "");
    let mut segments: BTreeMap<&str, BTreeMap<&str, Standing<IpAddr, String>>> = BTreeMap::new();
    for (name, object) in &objects.virtual_ips {
        let Some(address) = parse_virtual_ip_name(name) else { continue };
        let group = object.spec.group.as_deref().unwrap_or(&object.spec.address);
        for owner in owners(object) {
            // Of a group the first address stands for all.
            segments.entry(&owner.segment).or_default().entry(group).or_insert_with(|| Standing {
                group: address,
                owner: owner.node.clone(),
                able: Arc::new(able(objects, &intent, address, now)),
            });
        }
    }
    let shift =
        |it: Transfer<IpAddr, String>| Shift { address: it.group, from: it.from, to: it.to, why: it.why };
    let standings = segments.into_values().map(|groups| groups.into_values().collect::<Vec<_>>());
    standings.flat_map(|standings| transfers(&standings, standings.len())).map(shift).collect()
}

/// Who may carry the address and whose speaker says nothing else, and how much each is preferred.
fn able(objects: &Objects, intent: &Intent, address: IpAddr, now: Timestamp) -> BTreeMap<String, u32> {
    let Some(vip) = intent.vips.get(&address) else { return BTreeMap::new() };
    let takes = |node: &&String| {
        objects.speakers.get(*node).is_some_and(|speaker| {
            let status = speaker.status.as_ref();
            let refuses = status.is_some_and(|status| status.refusals.contains_key(&address.to_string()));
            !is_silent(speaker, now) && !refuses
        })
    };
    let preferred = |node: &String| vip.preferences.get(node).copied().unwrap_or_default();
    vip.candidates.iter().filter(takes).map(|node| (node.clone(), preferred(node))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planned::prospect::tests::{at, objects};

    fn planned(edit: impl Fn(String) -> String) -> Vec<Shift> {
        shifts(&objects(edit), at("2026-11-21T12:00:10Z"))
    }

    #[test]
    fn an_address_goes_to_the_preferred_node_whose_speaker_lives_and_else_stays() {
        let preferring = |text: String| {
            text.replace("{name: n2}}", "{name: n2, labels: {rack: a}}}").replace(
                "spec: {addressPools: [lan]}",
                "spec: {addressPools: [lan], preferredNodeSelectors: [{weight: 9, preference: {matchLabels: {rack: a}}}]}",
            )
        };
        let to_n2 = Shift {
            address: "192.0.2.10".parse().unwrap(),
            from: "n1".to_owned(),
            to: "n2".to_owned(),
            why: Why::Preference,
        };
        assert_eq!(planned(preferring), [to_n2]);
        let silent =
            |text: String| preferring(text).replace("heartbeat: 2026-11-21T12", "heartbeat: 2026-11-21T11");
        assert_eq!(planned(silent), []);
    }
}
