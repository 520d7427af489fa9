// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Deadlines in order of time: asking for the next costs the same whether there are ten or ten thousand, and moving one costs a
//! look into a table and a place in a heap.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hash, time::Instant};

use crate::by_id::ById;

/// Entries of the heap that may be out of date before it is made anew, beside as many as there are deadlines.
const STALE: usize = 64;

/// At most one deadline per key.
#[derive(Debug)]
pub(crate) struct Agenda<K> {
    /// Soonest first, then in the order of the keys. What was moved or removed stays in until it would be first.
    by_time: BinaryHeap<Reverse<(Instant, K)>>,
    by_key: ById<K, Instant>,
}

impl<K: Ord + Hash + Copy> Agenda<K> {
    pub(crate) fn new() -> Self {
        Self { by_time: BinaryHeap::new(), by_key: ById::default() }
    }

    /// Sets, moves or (with `None`) removes the deadline of `key`.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        // What is first moves on within the heap: to take it out and put it in again would cost twice as much.
        let first = self.by_time.peek_mut().filter(|first| first.0.1 == key);
        if first.zip(at).map(|(mut first, at)| first.0.0 = at).is_none() {
            self.by_time.extend(at.map(|at| Reverse((at, key))));
        }
        self.tidy();
    }

    /// Moves the deadline of `key` to `at` unless it is due earlier.
    pub(crate) fn advance(&mut self, key: K, at: Instant) {
        if self.get(key).is_none_or(|set| set > at) {
            self.set(key, Some(at));
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.peek().map(|Reverse((at, _))| *at)
    }

    /// The earliest deadline that is due, which stays until it is set anew or taken out.
    pub(crate) fn first_due(&self, now: Instant) -> Option<K> {
        self.by_time.peek().filter(|Reverse((at, _))| *at <= now).map(|Reverse((_, key))| *key)
    }

    /// Takes out the earliest deadline that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let Reverse((at, key)) = *self.by_time.peek()?;
        if at > now {
            return None;
        }
        self.by_time.pop();
        self.by_key.remove(&key);
        self.tidy();
        Some(key)
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }

    /// Lets an entry that holds be the first of the heap.
    fn tidy(&mut self) {
        while let Some(Reverse((at, key))) = self.by_time.peek()
            && self.by_key.get(key) != Some(at)
        {
            self.by_time.pop();
        }
        if self.by_time.len() > 2 * self.by_key.len() + STALE {
            self.by_time = self.by_key.iter().map(|(key, at)| Reverse((*at, *key))).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;

    #[test]
    fn deadlines_come_out_in_order_once_and_only_when_due() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut agenda = Agenda::new();
        agenda.set('b', Some(at(20)));
        agenda.set('a', Some(at(30)));
        agenda.set('c', Some(at(10)));
        agenda.set('a', Some(at(5)));
        agenda.set('c', None);
        agenda.advance('b', at(40));
        assert_eq!(agenda.next(), Some(at(5)));
        assert_eq!(agenda.pop_due(at(4)), None);
        assert_eq!(agenda.pop_due(at(25)), Some('a'));
        assert_eq!(agenda.pop_due(at(25)), Some('b'));
        assert_eq!(agenda.pop_due(at(25)), None);
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn it_does_as_a_sorted_list_does_whatever_is_moved_and_does_not_grow() {
        let (start, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let (mut agenda, mut list) = (Agenda::new(), BTreeMap::new());
        for step in 0..20_000 {
            let (key, at) = (random.u64(..50), start + Duration::from_millis(step / 10 + random.u64(..100)));
            match random.u8(..5) {
                4 => {
                    let now = start + Duration::from_millis(step / 10);
                    let first = list.iter().map(|(key, at)| (*at, *key)).min().filter(|(at, _)| *at <= now);
                    let due = agenda.first_due(now);
                    assert_eq!(due, first.map(|(_, key)| key));
                    if let Some(key) = due {
                        agenda.set(key, Some(at));
                        list.insert(key, at);
                    }
                }
                0 => {
                    agenda.set(key, None);
                    list.remove(&key);
                }
                1 => {
                    let now = start + Duration::from_millis(step / 10);
                    let first = list.iter().map(|(key, at)| (*at, *key)).min().filter(|(at, _)| *at <= now);
                    assert_eq!(agenda.pop_due(now), first.map(|(_, key)| key));
                    first.map(|(_, key)| list.remove(&key));
                }
                _ => {
                    agenda.set(key, Some(at));
                    list.insert(key, at);
                }
            }
            assert_eq!(agenda.next(), list.values().min().copied());
            assert!(agenda.by_time.len() <= 2 * 50 + STALE);
        }
    }
}
