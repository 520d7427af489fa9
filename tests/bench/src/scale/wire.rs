// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What was announced, as a station saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ferrolb_lab::capture::Seen;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::frame::Content;
use ferrolb_lab::{Mac, Place};
use serde::{Deserialize, Serialize};

/// Gratuitous ARP for the addresses that changed their owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// Frames by the new owners.
    pub(crate) frames: usize,
    /// Addresses that none of them was about.
    pub(crate) missing: usize,
    /// Milliseconds from the event until each address had been announced once.
    pub(crate) first_pass: f64,
    /// The most frames of one node within any second.
    pub(crate) most_in_a_second: usize,
}

impl Announced {
    /// From the frames seen since `event`; `old` owned `addresses` before.
    pub(super) fn of(seen: &[Seen], event: Instant, old: Place, addresses: &[Ipv4Addr]) -> Self {
        let ours: BTreeSet<Ipv4Addr> = addresses.iter().copied().collect();
        let mut by_node: BTreeMap<Mac, Vec<Instant>> = BTreeMap::new();
        let mut first: BTreeMap<Ipv4Addr, Duration> = BTreeMap::new();
        for Seen { at, frame } in seen {
            let Content::Arp(arp) = frame.content else { continue };
            if *at < event
                || !arp.is_gratuitous()
                || arp.sender_mac == old.mac()
                || !ours.contains(&arp.sender)
            {
                continue;
            }
            by_node.entry(arp.sender_mac).or_default().push(*at);
            first.entry(arp.sender).or_insert(at.saturating_duration_since(event));
        }
        Self {
            frames: by_node.values().map(Vec::len).sum(),
            missing: ours.len() - first.len(),
            first_pass: first.values().copied().max().map_or(0.0, milliseconds),
            most_in_a_second: by_node.values().map(|times| most_in_a_second(times)).max().unwrap_or(0),
        }
    }
}

fn most_in_a_second(times: &[Instant]) -> usize {
    let within = |from: usize| {
        let begin = times.get(from).copied();
        let rest = times.iter().skip(from);
        rest.take_while(|at| begin.is_some_and(|begin| at.duration_since(begin) < Duration::from_secs(1)))
            .count()
    };
    // Every hundredth frame as the begin of a second is near enough.
    (0..times.len()).step_by(100.min(times.len() / 10 + 1)).map(within).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_lab::frame::{Arp, Frame};

    #[test]
    fn announcements_by_new_owners_are_counted_and_missing_ones_noticed() {
        let begin = Instant::now();
        let address = |last| Ipv4Addr::new(198, 18, 0, last);
        let seen = |after, place: Place, last| {
            let arp = Arp {
                operation: 1,
                sender_mac: place.mac(),
                sender: address(last),
                target_mac: Mac::BROADCAST,
                target: address(last),
            };
            let frame =
                Frame { destination: Mac::BROADCAST, source: place.mac(), content: Content::Arp(arp) };
            Seen { at: begin + Duration::from_millis(after), frame }
        };
        let (old, new) = (Place::Node(1), Place::Node(2));
        let frames = [
            seen(0, new, 1),
            seen(20, old, 3),
            seen(300, new, 1),
            seen(400, new, 2),
            seen(1350, new, 2),
            seen(1360, new, 9),
        ];
        let event = begin + Duration::from_millis(10);
        let announced = Announced::of(&frames, event, old, &[address(1), address(2), address(3)]);
        let expected = Announced { frames: 3, missing: 1, first_pass: 390.0, most_in_a_second: 2 };
        assert_eq!(announced, expected);
    }
}
