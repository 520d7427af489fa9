// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which entries of this node are missing, and which are there in vain: pure but for the time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::address::{parse_virtual_ip_name, virtual_ip_name};
use ferrolb_config::api::{Layer2Owner, VirtualIP};
use tokio::time::Instant;

use crate::report::Report;

/// An entry of an address that nobody is known to own is in vain after this: the election takes less.
const UNOWNED: Duration = Duration::from_secs(5);
/// The same where another node owns the address, which that node should have told by then.
const OWNED_BY_ANOTHER: Duration = Duration::from_secs(90);

/// One entry to write.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The address, as the cluster shows it.
    pub(super) virtual_ip: Arc<VirtualIP>,
    /// The segment.
    pub(super) segment: String,
    /// This node's entry; `None`: it is to be taken out.
    pub(super) owner: Option<Layer2Owner>,
}

/// An entry: the address and the segment.
type Place = (IpAddr, String);

/// Remembers since when entries are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    in_vain_since: BTreeMap<Place, Instant>,
    contested_since: BTreeMap<Place, Instant>,
    /// Claims, by their terms, for which an entry of a higher term was overwritten. Once is enough: of two nodes that do
    /// not hear each other both may be right.
    insisted: BTreeSet<(Place, u64)>,
}

impl Ledger {
    /// What is to be written now, and when there will be more by the mere passing of time.
    pub(super) fn due(
        &mut self,
        report: &Report,
        view: &BTreeMap<String, Arc<VirtualIP>>,
        node: &str,
        now: Instant,
    ) -> (Vec<Entry>, Option<Instant>) {
        let mut entries = Vec::new();
        let mut wakes: Option<Instant> = None;
        let mut wake = |due: Instant| wakes = Some(wakes.map_or(due, |wakes| wakes.min(due)));
        let mut contested_since = BTreeMap::new();
        self.insisted.retain(|((address, segment), term)| owns(report, *address, segment, Some(*term)));
        for (place, entry, contest) in missing(report, view) {
            let Contest::By { own_term } = contest else {
                entries.push(entry);
                continue;
            };
            let since = *self.contested_since.get(&place).unwrap_or(&now);
            let (due, claim) = (since + UNOWNED, (place.clone(), own_term));
            contested_since.insert(place, since);
            if due > now {
                wake(due);
            } else if self.insisted.insert(claim) {
                entries.push(entry);
            }
        }
        self.contested_since = contested_since;
        let mut in_vain_since = BTreeMap::new();
        for (address, virtual_ip, owner) in in_vain(report, view, node) {
            let key = (address, owner.segment.clone());
            let since = *self.in_vain_since.get(&key).unwrap_or(&now);
            in_vain_since.insert(key, since);
            let due =
                since + if report.owned_elsewhere.contains(&address) { OWNED_BY_ANOTHER } else { UNOWNED };
            if due <= now {
                entries.push(taken_out(virtual_ip, owner));
            } else {
                wake(due);
            }
        }
        self.in_vain_since = in_vain_since;
        (entries, wakes)
    }

    /// What a speaker that ends leaves behind and no other node is known to take.
    pub(super) fn left(
        &self,
        report: &Report,
        view: &BTreeMap<String, Arc<VirtualIP>>,
        node: &str,
    ) -> Vec<Entry> {
        in_vain(report, view, node)
            .filter(|(address, ..)| !report.owned_elsewhere.contains(address))
            .map(|(_, virtual_ip, owner)| taken_out(virtual_ip, owner))
            .collect()
    }
}

/// Whether the cluster shows a claim of another node that is newer by its term.
enum Contest {
    No,
    /// Mostly this node is about to hear of it; but terms begin anew where all speakers were down.
    By {
        own_term: u64,
    },
}

/// What this node owns and the cluster does not show.
fn missing<'a>(
    report: &'a Report,
    view: &'a BTreeMap<String, Arc<VirtualIP>>,
) -> impl Iterator<Item = (Place, Entry, Contest)> + 'a {
    let of_address = |(address, owners): (&'a IpAddr, &'a Vec<Layer2Owner>)| {
        let virtual_ip = view.get(&virtual_ip_name(*address))?;
        Some(owners.iter().filter_map(move |owner| {
            let shown = entries(virtual_ip).find(|shown| shown.segment == owner.segment);
            let contest = match shown {
                Some(shown)
                    if shown.node == owner.node && shown.term == owner.term && is_current(virtual_ip) =>
                {
                    return None;
                }
                Some(shown) if shown.node != owner.node && shown.term > owner.term => {
                    Contest::By { own_term: owner.term }
                }
                _ => Contest::No,
            };
            let (virtual_ip, segment) = (Arc::clone(virtual_ip), owner.segment.clone());
            let place = (*address, segment.clone());
            Some((place, Entry { virtual_ip, segment, owner: Some(owner.clone()) }, contest))
        }))
    };
    report.owned.iter().filter_map(of_address).flatten()
}

/// What the cluster shows of this node and it does not own.
fn in_vain<'a>(
    report: &'a Report,
    view: &'a BTreeMap<String, Arc<VirtualIP>>,
    node: &'a str,
) -> impl Iterator<Item = (IpAddr, &'a Arc<VirtualIP>, &'a Layer2Owner)> {
    view.iter().flat_map(move |(name, virtual_ip)| {
        let ours = entries(virtual_ip).filter(move |owner| owner.node == node);
        ours.filter_map(move |owner| {
            let address = parse_virtual_ip_name(name)?;
            (!owns(report, address, &owner.segment, None)).then_some((address, virtual_ip, owner))
        })
    })
}

/// Whether this node owns the address on that segment, with that term if one is given.
fn owns(report: &Report, address: IpAddr, segment: &str, term: Option<u64>) -> bool {
    let mut owned = report.owned.get(&address).into_iter().flatten();
    owned.any(|owner| owner.segment == segment && term.is_none_or(|term| term == owner.term))
}

/// Whether `Ready` speaks of the present record.
fn is_current(virtual_ip: &VirtualIP) -> bool {
    let observed = virtual_ip.status.as_ref().and_then(|status| status.observed_generation);
    observed == virtual_ip.metadata.generation
}

fn entries(virtual_ip: &VirtualIP) -> impl Iterator<Item = &Layer2Owner> {
    virtual_ip.status.iter().flat_map(|status| &status.layer2)
}

fn taken_out(virtual_ip: &Arc<VirtualIP>, owner: &Layer2Owner) -> Entry {
    Entry { virtual_ip: Arc::clone(virtual_ip), segment: owner.segment.clone(), owner: None }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const SEGMENT: &str = "192.0.2.0/24";

    fn owner(node: &str, term: u64) -> Layer2Owner {
        Layer2Owner {
            segment: SEGMENT.to_owned(),
            interface: "eth0".to_owned(),
            node: node.to_owned(),
            term,
            since: Time(Timestamp::UNIX_EPOCH),
            cause: String::new(),
        }
    }

    fn shows(owners: &[Layer2Owner]) -> BTreeMap<String, Arc<VirtualIP>> {
        let object = json!({
            "metadata": { "name": "192.0.2.1", "uid": "u", "resourceVersion": "7" },
            "spec": { "address": "192.0.2.1", "pool": "lan", "consumers": [] },
            "status": { "layer2": owners },
        });
        [("192.0.2.1".to_owned(), Arc::new(serde_json::from_value(object).unwrap()))].into()
    }

    fn reports(owners: &[Layer2Owner]) -> Report {
        Report { owned: [("192.0.2.1".parse().unwrap(), owners.to_vec())].into(), ..Report::default() }
    }

    fn due(report: &Report, view: &BTreeMap<String, Arc<VirtualIP>>) -> Vec<Option<(String, u64)>> {
        let (entries, _) = Ledger::default().due(report, view, "n1", Instant::now());
        entries.into_iter().map(|entry| entry.owner.map(|owner| (owner.node, owner.term))).collect()
    }

    #[test]
    fn what_is_owned_and_not_shown_is_entered_and_what_is_shown_is_not_written_again() {
        let entered = [Some(("n1".to_owned(), 3))];
        assert_eq!(due(&reports(&[owner("n1", 3)]), &shows(&[])), entered);
        assert_eq!(due(&reports(&[owner("n1", 3)]), &shows(&[owner("n1", 2)])), entered);
        assert_eq!(due(&reports(&[owner("n1", 3)]), &shows(&[owner("n2", 3)])), entered);
        assert_eq!(due(&reports(&[owner("n1", 3)]), &shows(&[owner("n1", 3)])), []);
        let elsewhere = Layer2Owner { segment: "198.51.100.0/24".to_owned(), ..owner("n2", 9) };
        assert_eq!(due(&reports(&[owner("n1", 3)]), &shows(&[elsewhere])), entered);
    }

    #[test]
    fn a_record_that_changed_is_spoken_of_anew() {
        let mut view = shows(&[owner("n1", 3)]);
        for object in view.values_mut() {
            Arc::make_mut(object).metadata.generation = Some(2);
        }
        assert_eq!(due(&reports(&[owner("n1", 3)]), &view), [Some(("n1".to_owned(), 3))]);
        for object in view.values_mut() {
            Arc::make_mut(object).status.as_mut().unwrap().observed_generation = Some(2);
        }
        assert_eq!(due(&reports(&[owner("n1", 3)]), &view), []);
    }

    #[test]
    fn a_claim_of_a_higher_term_is_overwritten_late_and_once() {
        let (begin, newer) = (Instant::now(), shows(&[owner("n2", 4)]));
        let mut ledger = Ledger::default();
        let mut due = |term, after| {
            let (entries, wakes) = ledger.due(&reports(&[owner("n1", term)]), &newer, "n1", begin + after);
            (entries.len(), wakes.map(|wakes| wakes - begin))
        };
        assert_eq!(due(3, Duration::ZERO), (0, Some(UNOWNED)));
        assert_eq!(due(3, UNOWNED), (1, None));
        assert_eq!(due(3, UNOWNED * 9), (0, None));
        assert_eq!(due(4, UNOWNED * 9), (1, None));
    }

    #[test]
    fn an_address_that_nobody_records_is_not_entered() {
        assert_eq!(due(&reports(&[owner("n1", 3)]), &BTreeMap::new()), []);
    }

    #[test]
    fn an_entry_in_vain_is_taken_out_once_the_election_has_had_its_time() {
        let (begin, view) = (Instant::now(), shows(&[owner("n1", 3)]));
        let mut ledger = Ledger::default();
        let mut due = |report: &Report, after| {
            let (entries, wakes) = ledger.due(report, &view, "n1", begin + after);
            (entries.len(), wakes.map(|wakes| wakes - begin))
        };
        assert_eq!(due(&Report::default(), Duration::ZERO), (0, Some(UNOWNED)));
        let another = Report { owned_elsewhere: ["192.0.2.1".parse().unwrap()].into(), ..Report::default() };
        assert_eq!(due(&another, UNOWNED), (0, Some(OWNED_BY_ANOTHER)));
        assert_eq!(due(&another, OWNED_BY_ANOTHER), (1, None));
        assert_eq!(due(&Report::default(), UNOWNED), (1, None));
        // Owned again in between, so the time begins anew.
        assert_eq!(due(&reports(&[owner("n1", 3)]), UNOWNED), (0, None));
        assert_eq!(due(&Report::default(), UNOWNED), (0, Some(UNOWNED * 2)));
    }

    #[test]
    fn entries_of_other_nodes_are_not_taken_out() {
        let (entries, wakes) =
            Ledger::default().due(&Report::default(), &shows(&[owner("n2", 3)]), "n1", Instant::now());
        assert_eq!((entries.len(), wakes), (0, None));
    }

    #[test]
    fn a_speaker_that_ends_takes_out_what_nobody_took_over() {
        let left = |report: &Report| Ledger::default().left(report, &shows(&[owner("n1", 3)]), "n1").len();
        assert_eq!(left(&Report::default()), 1);
        let taken = Report { owned_elsewhere: ["192.0.2.1".parse().unwrap()].into(), ..Report::default() };
        assert_eq!(left(&taken), 0);
    }
}
