// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! When each speaker runs next. Speakers change their minds with every packet, so this does not stand in the queue.

use std::time::Duration;

/// Of a speaker that does not run, or waits for nothing.
const NEVER: u64 = u64::MAX;

/// By node: nanoseconds from the beginning.
#[derive(Debug)]
pub(crate) struct Wakes(Vec<u64>);

impl Wakes {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(vec![NEVER; nodes])
    }

    /// Plans the next run of a node, or none.
    pub(crate) fn set(&mut self, node: usize, at: Option<Duration>) {
        if let Some(wake) = self.0.get_mut(node) {
            *wake = at.map_or(NEVER, |at| u64::try_from(at.as_nanos()).unwrap_or(NEVER));
        }
    }

    /// When the node runs next.
    pub(crate) fn of(&self, node: usize) -> Option<Duration> {
        self.0.get(node).filter(|at| **at != NEVER).map(|at| Duration::from_nanos(*at))
    }

    /// Who runs next, and when; of several the first.
    pub(crate) fn next(&self) -> Option<(Duration, usize)> {
        let (node, at) = self.0.iter().enumerate().min_by_key(|(_, at)| **at)?;
        (*at != NEVER).then_some((Duration::from_nanos(*at), node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_due_first_runs_first_and_of_several_the_first_one() {
        let at = Duration::from_millis;
        let mut wakes = Wakes::new(3);
        assert_eq!(wakes.next(), None);
        wakes.set(2, Some(at(5)));
        wakes.set(1, Some(at(5)));
        assert_eq!((wakes.next(), wakes.of(0), wakes.of(2)), (Some((at(5), 1)), None, Some(at(5))));
        wakes.set(1, None);
        assert_eq!(wakes.next(), Some((at(5), 2)));
    }
}
