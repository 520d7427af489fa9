// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What to do about which bound address, and when: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{FRESH, LIFETIME, RENEW_EVERY, REST};
use crate::kernel::Place;

/// Something to ask of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Remove(Place),
    Add(Place),
    Renew(Place),
}

/// What is owned, as the layer-2 thread said last.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub(super) places: BTreeSet<Place>,
    pub(super) said: Instant,
}

/// What the kernel holds of ours.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// With the time of the last renewal.
    bound: BTreeMap<Place, Instant>,
    /// What could not be done: why, and when it is tried again.
    resting: BTreeMap<Place, (String, Instant)>,
}

impl Ledger {
    /// What is to be done at `now`, removals first: the successor answers already.
    pub(super) fn steps(&mut self, owned: &Owned, now: Instant) -> Vec<Step> {
        self.resting.retain(|_, (_, until)| *until > now);
        let fresh = now.saturating_duration_since(owned.said) <= FRESH;
        let surplus = self.bound.keys().filter(|place| !owned.places.contains(place));
        let mut steps: Vec<Step> = surplus.copied().map(Step::Remove).collect();
        if !fresh {
            // What nobody renewed for its lifetime is gone.
            self.bound.retain(|place, renewed| {
                !owned.places.contains(place) || now.saturating_duration_since(*renewed) <= LIFETIME
            });
            return steps;
        }
        for place in &owned.places {
            match self.bound.get(place) {
                None if self.resting.contains_key(place) => {}
                None => steps.push(Step::Add(*place)),
                Some(renewed) if now.saturating_duration_since(*renewed) >= RENEW_EVERY => {
                    steps.push(Step::Renew(*place));
                }
                Some(_) => {}
            }
        }
        steps
    }

    /// A step was done at `now`.
    pub(super) fn done(&mut self, step: Step, now: Instant) {
        match step {
            Step::Add(place) | Step::Renew(place) => {
                self.bound.insert(place, now);
            }
            Step::Remove(place) => {
                self.bound.remove(&place);
            }
        }
    }

    /// A step failed at `now`. What could not be removed ends by itself.
    pub(super) fn failed(&mut self, step: Step, why: String, now: Instant) {
        match step {
            Step::Add(place) | Step::Renew(place) => {
                self.bound.remove(&place);
                self.resting.insert(place, (why, now.checked_add(REST).unwrap_or(now)));
            }
            Step::Remove(place) => {
                self.bound.remove(&place);
            }
        }
    }

    /// When something is to be done although nobody says anything.
    pub(super) fn next(&self) -> Option<Instant> {
        let renewals = self.bound.values().filter_map(|renewed| renewed.checked_add(RENEW_EVERY));
        renewals.chain(self.resting.values().map(|(_, until)| *until)).min()
    }

    /// What the kernel holds.
    pub(super) fn bound(&self) -> impl Iterator<Item = Place> {
        self.bound.keys().copied()
    }

    /// Whether the address is in its place, or cannot be.
    pub(super) fn is_settled(&self, place: Place) -> bool {
        self.bound.contains_key(&place) || self.resting.contains_key(&place)
    }

    /// What cannot be bound, and why.
    pub(super) fn resting(&self) -> impl Iterator<Item = (Place, &str)> {
        self.resting.iter().map(|(place, (why, _))| (*place, why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(host: u8) -> Place {
        Place { link: 2, address: [192, 0, 2, host].into() }
    }

    fn owned(hosts: &[u8], said: Instant) -> Owned {
        Owned { places: hosts.iter().copied().map(place).collect(), said }
    }

    fn play(ledger: &mut Ledger, owned: &Owned, now: Instant) -> Vec<Step> {
        let steps = ledger.steps(owned, now);
        for step in &steps {
            ledger.done(*step, now);
        }
        steps
    }

    #[test]
    fn l2_068_what_is_owned_is_added_then_renewed_and_what_is_not_is_removed_first() {
        let (begin, mut ledger) = (Instant::now(), Ledger::default());
        assert_eq!(play(&mut ledger, &owned(&[1], begin), begin), [Step::Add(place(1))]);
        assert_eq!(play(&mut ledger, &owned(&[1], begin), begin), []);
        assert_eq!(ledger.next(), Some(begin + RENEW_EVERY));
        let later = begin + RENEW_EVERY;
        assert_eq!(play(&mut ledger, &owned(&[1], later), later), [Step::Renew(place(1))]);
        assert_eq!(
            play(&mut ledger, &owned(&[2], later), later),
            [Step::Remove(place(1)), Step::Add(place(2))]
        );
        assert_eq!(play(&mut ledger, &owned(&[], later), later), [Step::Remove(place(2))]);
        assert_eq!(ledger.next(), None);
    }

    #[test]
    fn without_a_fresh_word_of_the_election_nothing_is_added_or_renewed() {
        let (begin, mut ledger) = (Instant::now(), Ledger::default());
        play(&mut ledger, &owned(&[1], begin), begin);
        // Stopped for long: the timer comes before the election has spoken.
        let woken = begin + Duration::from_secs(60);
        assert_eq!(play(&mut ledger, &owned(&[1, 2], begin), woken), []);
        assert_eq!(ledger.bound().count(), 0, "the kernel dropped it long ago");
        // Still the owner: it is put back; another one took it: nothing is.
        assert_eq!(play(&mut ledger, &owned(&[1], woken), woken), [Step::Add(place(1))]);
        assert_eq!(play(&mut ledger, &owned(&[], woken), woken), [Step::Remove(place(1))]);
    }

    #[test]
    fn what_is_given_up_is_removed_however_old_the_word_is() {
        let (begin, mut ledger) = (Instant::now(), Ledger::default());
        play(&mut ledger, &owned(&[1], begin), begin);
        let later = begin + FRESH * 2;
        assert_eq!(play(&mut ledger, &owned(&[], begin), later), [Step::Remove(place(1))]);
    }

    #[test]
    fn what_cannot_be_bound_is_told_and_tried_again_after_a_rest() {
        let (begin, mut ledger) = (Instant::now(), Ledger::default());
        let [step] = ledger.steps(&owned(&[1], begin), begin)[..] else { panic!("one step") };
        ledger.failed(step, "taken".to_owned(), begin);
        assert!(ledger.is_settled(place(1)));
        assert_eq!(ledger.resting().collect::<Vec<_>>(), [(place(1), "taken")]);
        assert_eq!(ledger.steps(&owned(&[1], begin), begin), []);
        let later = begin + REST;
        assert_eq!(ledger.next(), Some(later));
        assert_eq!(ledger.steps(&owned(&[1], later), later), [Step::Add(place(1))]);
        assert_eq!(ledger.resting().count(), 0);
    }
}
