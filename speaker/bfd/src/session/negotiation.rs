// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which times we ask for, say and keep: changes of them are told by a poll sequence, one at a time (RFC 5880 sections 6.5 and 6.8.3).

use crate::timing::Interval;

/// How often we want to send, and how often the neighbour may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) tx: Interval,
    pub(super) rx: Interval,
}

/// Whom a change is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Nobody was heard: there is nobody to answer.
    Nobody,
    /// The session is not up: every change counts at once.
    Neighbour,
    /// The session is up: the neighbour has to know first what would make one side late in the eyes of the other.
    Partner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    /// Our packets ask for an answer.
    Asking,
    /// It came. Until a packet comes that is no answer, a further answer could belong to the old question.
    Answered,
}

#[derive(Debug)]
pub(super) struct Negotiation {
    wanted: Pair,
    said: Pair,
    kept: Pair,
    poll: Poll,
}

impl Negotiation {
    pub(super) fn new(pair: Pair) -> Self {
        Self { wanted: pair, said: pair, kept: pair, poll: Poll::Idle }
    }

    /// What our packets say: `bfd.DesiredMinTxInterval` and `bfd.RequiredMinRxInterval`.
    pub(super) fn said(&self) -> Pair {
        self.said
    }

    /// What we go by until the neighbour has answered.
    pub(super) fn kept(&self) -> Pair {
        self.kept
    }

    /// Our packets are to carry the poll bit.
    pub(super) fn asks(&self) -> bool {
        self.poll == Poll::Asking
    }

    /// From now on we want these times.
    pub(super) fn want(&mut self, pair: Pair, audience: Audience) {
        self.wanted = pair;
        match audience {
            Audience::Nobody => *self = Self::new(pair),
            // Nothing waits for the answer here, so an answer to an earlier question does no harm.
            Audience::Neighbour => {
                if self.said != pair {
                    self.poll = Poll::Asking;
                }
                (self.said, self.kept) = (pair, pair);
            }
            Audience::Partner if self.poll == Poll::Idle => self.ask(),
            Audience::Partner => {}
        }
    }

    /// A packet of the neighbour came, which is an answer (final bit) or not.
    pub(super) fn heard(&mut self, answer: bool) {
        match (self.poll, answer) {
            (Poll::Asking, true) => {
                self.kept = self.said;
                self.poll = Poll::Answered;
            }
            (Poll::Answered, false) => {
                self.poll = Poll::Idle;
                self.ask();
            }
            _ => {}
        }
    }

    fn ask(&mut self) {
        if self.wanted == self.said {
            return;
        }
        self.said = self.wanted;
        // To send less often, or to listen less long, waits until the neighbour knows.
        self.kept.tx = self.kept.tx.min(self.said.tx);
        self.kept.rx = self.kept.rx.max(self.said.rx);
        self.poll = Poll::Asking;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(tx: u32, rx: u32) -> Pair {
        Pair { tx: Interval::from_millis(tx), rx: Interval::from_millis(rx) }
    }

    #[test]
    fn sending_less_often_waits_for_the_answer_and_sending_more_often_does_not() {
        let mut times = Negotiation::new(pair(300, 300));
        times.want(pair(1000, 300), Audience::Partner);
        assert_eq!((times.said(), times.kept(), times.asks()), (pair(1000, 300), pair(300, 300), true));
        times.heard(false);
        assert_eq!((times.kept(), times.asks()), (pair(300, 300), true), "no answer yet");
        times.heard(true);
        assert_eq!((times.kept(), times.asks()), (pair(1000, 300), false));
        times.heard(false);
        times.want(pair(50, 300), Audience::Partner);
        assert_eq!((times.kept(), times.asks()), (pair(50, 300), true));
    }

    #[test]
    fn listening_less_long_waits_for_the_answer_and_listening_longer_does_not() {
        let mut times = Negotiation::new(pair(300, 300));
        times.want(pair(300, 50), Audience::Partner);
        assert_eq!((times.said(), times.kept()), (pair(300, 50), pair(300, 300)));
        times.heard(true);
        assert_eq!(times.kept(), pair(300, 50));
        times.heard(false);
        times.want(pair(300, 900), Audience::Partner);
        assert_eq!(times.kept(), pair(300, 900));
    }

    #[test]
    fn a_second_change_waits_until_an_answer_can_only_be_its_own() {
        let mut times = Negotiation::new(pair(300, 300));
        times.want(pair(1000, 300), Audience::Partner);
        times.want(pair(2000, 300), Audience::Partner);
        assert_eq!(times.said(), pair(1000, 300), "the question stays as it was asked");
        times.heard(true);
        times.heard(true);
        assert_eq!((times.said(), times.asks()), (pair(1000, 300), false), "a copy of the first answer");
        times.heard(false);
        assert_eq!((times.said(), times.kept()), (pair(2000, 300), pair(1000, 300)));
        assert!(times.asks());
        times.want(pair(300, 300), Audience::Partner);
        times.want(pair(2000, 300), Audience::Partner);
        times.heard(true);
        times.heard(false);
        assert!(!times.asks(), "what was taken back is not asked");
    }

    #[test]
    fn while_the_session_is_not_up_changes_count_at_once() {
        let mut times = Negotiation::new(pair(50, 50));
        times.want(pair(1000, 50), Audience::Neighbour);
        assert_eq!((times.said(), times.kept(), times.asks()), (pair(1000, 50), pair(1000, 50), true));
        times.want(pair(1000, 50), Audience::Neighbour);
        times.heard(true);
        assert!(!times.asks());
        times.want(pair(50, 50), Audience::Nobody);
        assert_eq!((times.said(), times.kept(), times.asks()), (pair(50, 50), pair(50, 50), false));
    }
}
