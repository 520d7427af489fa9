// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which event is written when: pure, with the clock passed in.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Event, PACE};

/// How many different events may wait; of one object at most [`OF_ONE`].
const WAITING: usize = 1000;
/// How many events of one object may wait; the newest are kept.
const OF_ONE: usize = 3;
/// Within this time the same event is a repetition of the first.
const SERIES: Duration = Duration::from_secs(600);
/// How often a series is brought up to date at most.
const UPDATE: Duration = Duration::from_secs(60);
/// How many events are remembered.
const REMEMBERED: usize = 4096;

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    object: ferrolb_config::ObjectRef,
    uid: Option<String>,
    reason: String,
    note: String,
}

impl Key {
    fn of(event: &Event) -> Self {
        Self {
            object: event.object.clone(),
            uid: event.uid.clone(),
            reason: event.reason.clone(),
            note: event.note.clone(),
        }
    }
}

/// An event that was written, and how often it was told since.
#[derive(Debug)]
struct Told {
    /// The name of the object that was written; `None` until it is.
    name: Option<String>,
    count: u32,
    last: Instant,
    updated: Instant,
    is_behind: bool,
}

/// What is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A new event.
    New(Event),
    /// The event of that name was told `count` times in all.
    Repeated { event: Event, name: String, count: u32 },
}

/// What became of an event that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Waiting,
    Repeated,
    /// It waits, and that many older ones were dropped for it.
    InsteadOf(u64),
}

/// The events that wait, and those that were written lately.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Event>,
    told: HashMap<Key, Told>,
    repeated: VecDeque<Event>,
    tokens: u32,
    refilled: Instant,
}

impl Queue {
    pub(super) fn new(now: Instant) -> Self {
        let (tokens, _) = PACE;
        Self {
            waiting: VecDeque::new(),
            told: HashMap::new(),
            repeated: VecDeque::new(),
            tokens,
            refilled: now,
        }
    }

    /// An event is told.
    pub(super) fn offer(&mut self, event: Event, now: Instant) -> Offered {
        let key = Key::of(&event);
        if let Some(told) = self.told.get_mut(&key).filter(|told| now.duration_since(told.last) < SERIES) {
            told.count = told.count.saturating_add(1);
            told.last = now;
            if !told.is_behind && told.name.is_some() {
                told.is_behind = true;
                self.repeated.push_back(event);
            }
            return Offered::Repeated;
        }
        self.remember(key, now);
        self.waiting.push_back(event);
        let mut dropped = 0;
        while let Some(index) = self.superfluous() {
            if let Some(event) = self.waiting.remove(index) {
                // It was never written, so it may be told again.
                self.told.remove(&Key::of(&event));
                dropped += 1;
            }
        }
        if dropped == 0 { Offered::Waiting } else { Offered::InsteadOf(dropped) }
    }

    /// Which event has to go: the oldest of an object that has too many, or the oldest of all.
    fn superfluous(&self) -> Option<usize> {
        let newest = &self.waiting.back()?.object;
        let of_one = || self.waiting.iter().enumerate().filter(|(_, event)| event.object == *newest);
        if of_one().count() > OF_ONE {
            return of_one().next().map(|(index, _)| index);
        }
        (self.waiting.len() > WAITING).then_some(0)
    }

    fn remember(&mut self, key: Key, now: Instant) {
        if self.told.len() >= REMEMBERED {
            self.told.retain(|_, told| now.duration_since(told.last) < SERIES);
        }
        if self.told.len() >= REMEMBERED {
            // Told so much that a repetition is the smaller evil.
            self.told.clear();
            self.repeated.clear();
        }
        self.told.insert(key, Told { name: None, count: 1, last: now, updated: now, is_behind: false });
    }

    /// What may be written at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next> {
        self.refill(now);
        if self.tokens == 0 {
            return None;
        }
        let next = match self.waiting.pop_front() {
            Some(event) => Some(Next::New(event)),
            None => self.next_repeated(now),
        };
        self.tokens -= u32::from(next.is_some());
        next
    }

    fn next_repeated(&mut self, now: Instant) -> Option<Next> {
        let due = self.repeated.front().and_then(|event| self.told.get(&Key::of(event)));
        if due.is_some_and(|told| now.duration_since(told.updated) < UPDATE) {
            return None;
        }
        let event = self.repeated.pop_front()?;
        let told = self.told.get_mut(&Key::of(&event))?;
        (told.updated, told.is_behind) = (now, false);
        let name = told.name.clone()?;
        Some(Next::Repeated { event, name, count: told.count })
    }

    /// The event was written under that name.
    pub(super) fn written(&mut self, event: &Event, name: String) {
        if let Some(told) = self.told.get_mut(&Key::of(event)) {
            told.name = Some(name);
        }
    }

    /// The event could not be written; told again it is new.
    pub(super) fn failed(&mut self, event: &Event) {
        self.told.remove(&Key::of(event));
    }

    /// When to ask again, if anything waits.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let (_, interval) = PACE;
        let token = if self.tokens > 0 { now } else { self.refilled + interval };
        if !self.waiting.is_empty() {
            return Some(token);
        }
        let told = self.told.get(&Key::of(self.repeated.front()?));
        Some(told.map_or(token, |told| token.max(told.updated + UPDATE)))
    }

    fn refill(&mut self, now: Instant) {
        let (burst, interval) = PACE;
        while self.tokens < burst && self.refilled + interval <= now {
            self.tokens += 1;
            self.refilled += interval;
        }
        if self.tokens == burst {
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_config::ObjectRef;

    use super::*;
    use crate::events::Tone;

    fn event(name: &str, note: &str) -> Event {
        Event {
            object: ObjectRef::cluster("AddressPool", name),
            api_version: "v1".to_owned(),
            uid: None,
            tone: Tone::Normal,
            reason: "Assigned".to_owned(),
            action: "Allocate",
            note: note.to_owned(),
        }
    }

    fn drain(queue: &mut Queue, now: Instant) -> Vec<Next> {
        std::iter::from_fn(|| queue.next(now)).collect()
    }

    #[test]
    fn the_same_thing_told_again_is_written_once_and_counted_once_a_minute() {
        let start = Instant::now();
        let mut queue = Queue::new(start);
        assert_eq!(queue.offer(event("a", "x"), start), Offered::Waiting);
        for _ in 0..100 {
            assert_eq!(queue.offer(event("a", "x"), start), Offered::Repeated);
        }
        assert_eq!(drain(&mut queue, start), [Next::New(event("a", "x"))]);
        queue.written(&event("a", "x"), "a.1".to_owned());
        assert_eq!(queue.next_deadline(start), None, "nothing new");
        queue.offer(event("a", "x"), start);
        assert_eq!(queue.next_deadline(start), Some(start + UPDATE));
        assert_eq!(drain(&mut queue, start), []);
        let repeated = Next::Repeated { event: event("a", "x"), name: "a.1".to_owned(), count: 102 };
        assert_eq!(drain(&mut queue, start + UPDATE), [repeated]);
        assert_eq!(queue.offer(event("a", "x"), start + SERIES * 2), Offered::Waiting, "a new series");
    }

    #[test]
    fn a_burst_is_written_at_once_and_more_at_ten_a_second() {
        let start = Instant::now();
        let mut queue = Queue::new(start);
        for index in 0..100 {
            queue.offer(event(&index.to_string(), "x"), start);
        }
        assert_eq!(drain(&mut queue, start).len(), 25);
        assert_eq!(queue.next_deadline(start), Some(start + PACE.1));
        assert_eq!(drain(&mut queue, start + Duration::from_secs(1)).len(), 10);
        assert_eq!(
            drain(&mut queue, start + Duration::from_secs(100)).len(),
            25,
            "no more than a burst is saved up"
        );
    }

    #[test]
    fn of_one_object_the_newest_are_kept_and_of_all_too() {
        let start = Instant::now();
        let mut queue = Queue::new(start);
        for index in 0..OF_ONE {
            assert_eq!(queue.offer(event("a", &index.to_string()), start), Offered::Waiting);
        }
        assert_eq!(queue.offer(event("a", "newest"), start), Offered::InsteadOf(1));
        assert_eq!(queue.waiting.back(), Some(&event("a", "newest")));
        assert_eq!(queue.waiting.front(), Some(&event("a", "1")));
        for index in 0..WAITING * 2 {
            queue.offer(event(&index.to_string(), "x"), start);
        }
        assert_eq!(queue.waiting.len(), WAITING);
        assert_eq!(
            queue.offer(event("a", "1"), start),
            Offered::InsteadOf(1),
            "what was dropped may be told again"
        );
    }

    #[test]
    fn what_could_not_be_written_is_new_when_it_is_told_again() {
        let start = Instant::now();
        let mut queue = Queue::new(start);
        queue.offer(event("a", "x"), start);
        assert_eq!(drain(&mut queue, start).len(), 1);
        queue.failed(&event("a", "x"));
        assert_eq!(queue.offer(event("a", "x"), start), Offered::Waiting);
    }

    #[test]
    fn memory_is_bounded_whatever_is_told() {
        let start = Instant::now();
        let mut queue = Queue::new(start);
        for index in 0..20_000_u32 {
            queue.offer(event(&index.to_string(), "x"), start + Duration::from_millis(index.into()));
        }
        assert!(queue.told.len() <= REMEMBERED && queue.waiting.len() <= WAITING);
    }
}
