// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is going to happen, in order of time, and of what happens at the same time in the order of planning.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// The queue. Its heap holds numbers only: what they stand for is not moved about.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    /// Nanoseconds from the beginning, how many were planned before, and where it lies.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    planned: u64,
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Schedule<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0, places: Vec::new(), free: Vec::new() }
    }

    /// Plans `what` for a time since the beginning.
    pub(crate) fn plan(&mut self, at: Duration, what: T) {
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(free) => *free = Some(what),
            None => self.places.push(Some(what)),
        }
        self.planned += 1;
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.heap.push(Reverse((at, self.planned, place)));
    }

    /// What comes next, if that is no later than `end`.
    pub(crate) fn next_until(&mut self, end: Duration) -> Option<(Duration, T)> {
        let Reverse((at, _, place)) = *self.heap.peek()?;
        let at = Duration::from_nanos(at);
        if at > end {
            return None;
        }
        self.heap.pop();
        let what = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some((at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_comes_in_order_and_places_are_used_again() {
        let at = Duration::from_millis;
        let mut schedule = Schedule::new();
        [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')]
            .into_iter()
            .for_each(|(ms, what)| schedule.plan(at(ms), what));
        assert_eq!(schedule.next_until(at(3)), Some((at(1), 'a')));
        schedule.plan(at(9), 'e');
        let rest: Vec<_> = std::iter::from_fn(|| schedule.next_until(at(5))).map(|(_, what)| what).collect();
        assert_eq!(rest, ['b', 'c', 'd']);
        assert_eq!(schedule.places.len(), 4);
        assert_eq!(schedule.next_until(at(9)), Some((at(9), 'e')));
    }
}
