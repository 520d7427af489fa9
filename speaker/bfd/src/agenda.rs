// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Deadlines of all sessions in order of time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::packet::Discriminator;

/// At most one deadline per session.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Instant, Discriminator)>,
    by_session: BTreeMap<Discriminator, Instant>,
}

impl Agenda {
    /// Sets, moves or (with `None`) removes the deadline of `session`.
    pub(crate) fn set(&mut self, session: Discriminator, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_session.insert(session, at),
            None => self.by_session.remove(&session),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, session));
        }
        if let Some(at) = at {
            self.by_time.insert((at, session));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Whose deadline is due, the earliest first. They stay until they are set anew.
    pub(crate) fn due(&self, now: Instant) -> Vec<Discriminator> {
        self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, session)| *session).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let session = |number| Discriminator::new(number).unwrap();
        let mut agenda = Agenda::default();
        for (number, time) in [(1, at(30)), (2, at(20)), (3, at(10)), (1, at(5)), (3, None), (2, at(20))] {
            agenda.set(session(number), time);
        }
        assert_eq!(agenda.next(), at(5));
        assert_eq!(agenda.due(start), []);
        assert_eq!(agenda.due(start + Duration::from_millis(25)), [session(1), session(2)]);
        agenda.set(session(1), None);
        agenda.set(session(2), None);
        assert_eq!(agenda.next(), None);
    }
}
