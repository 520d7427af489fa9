// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Deadlines in order of time: asking for the next costs the same whether there are ten or ten thousand.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// At most one deadline per key.
#[derive(Debug)]
pub(crate) struct Agenda<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Agenda<K> {
    pub(crate) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }

    /// Sets, moves or (with `None`) removes the deadline of `key`.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
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
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest deadline that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
