// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From answers to a verdict, by `rise` and `fall`: pure.

use ferrolb_config::snapshot::HealthCheck;
use k8s_openapi::jiff::Timestamp;

/// What a check has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was answered yet.
    #[default]
    Unknown,
    /// All is well.
    Passing,
    /// It is not.
    Failing {
        /// Since when.
        since: Timestamp,
        /// What the last bad answer was, in words.
        error: String,
    },
}

/// The verdict and how close it is to another.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    verdict: Verdict,
    /// Answers in a row that contradict it.
    against: u32,
}

impl Course {
    /// Goes on from what is known.
    pub(super) fn begin(verdict: Verdict) -> Self {
        Self { verdict, against: 0 }
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Takes an answer that came at `now`. The first one decides alone: a node that starts must not stay closed for as
    /// many intervals as `rise` says.
    pub(super) fn take(&mut self, answer: Result<(), String>, now: Timestamp, check: &HealthCheck) {
        let failing = |error| Verdict::Failing { since: now, error };
        match (&mut self.verdict, answer) {
            (Verdict::Unknown, Ok(())) => self.turn(Verdict::Passing),
            (Verdict::Unknown, Err(error)) => self.turn(failing(error)),
            (Verdict::Passing, Ok(())) => self.against = 0,
            (Verdict::Passing, Err(error)) => {
                self.against = self.against.saturating_add(1);
                if self.against >= check.fall {
                    self.turn(failing(error));
                }
            }
            (Verdict::Failing { .. }, Ok(())) => {
                self.against = self.against.saturating_add(1);
                if self.against >= check.rise {
                    self.turn(Verdict::Passing);
                }
            }
            (Verdict::Failing { error, .. }, Err(now)) => {
                *error = now;
                self.against = 0;
            }
        }
    }

    fn turn(&mut self, verdict: Verdict) {
        *self = Self::begin(verdict);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferrolb_config::snapshot::Probe;
    use proptest::prelude::*;

    use super::*;

    fn pace(rise: u32, fall: u32) -> HealthCheck {
        let second = Duration::from_secs(1);
        HealthCheck { probe: Probe::Tcp { port: 80 }, interval: second, timeout: second, rise, fall }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The verdicts after each answer: `.` is good, `x` bad.
    fn course(answers: &str, pace: HealthCheck) -> String {
        let mut course = Course::default();
        let mut verdicts = String::new();
        for (second, answer) in answers.chars().enumerate() {
            let answer = if answer == '.' { Ok(()) } else { Err(format!("bad at {second}")) };
            course.take(answer, at(second as i64), &pace);
            verdicts.push(match course.verdict() {
                Verdict::Unknown => '?',
                Verdict::Passing => '.',
                Verdict::Failing { .. } => 'x',
            });
        }
        verdicts
    }

    #[test]
    fn the_first_answer_decides_and_later_ones_only_in_a_row() {
        assert_eq!(course(".xx.xxx.x..", pace(2, 3)), "......xxxx.");
        assert_eq!(course("x..", pace(2, 3)), "xx.");
        assert_eq!(course("x.x.x.", pace(2, 3)), "xxxxxx");
        assert_eq!(course(".x.x", pace(1, 1)), ".x.x");
    }

    #[test]
    fn a_failure_tells_since_when_and_what_the_last_answer_was() {
        let mut course = Course::default();
        course.take(Err("refused".to_owned()), at(7), &pace(2, 3));
        course.take(Err("no answer".to_owned()), at(9), &pace(2, 3));
        assert_eq!(*course.verdict(), Verdict::Failing { since: at(7), error: "no answer".to_owned() });
    }

    proptest! {
        #[test]
        fn a_verdict_turns_only_after_as_many_answers_in_a_row_as_it_takes(
            answers in proptest::collection::vec(any::<bool>(), 1..60),
            rise in 1_u32..5,
            fall in 1_u32..5,
        ) {
            let text: String = answers.iter().map(|good| if *good { '.' } else { 'x' }).collect();
            let verdicts = course(&text, pace(rise, fall));
            let bytes = verdicts.as_bytes();
            for position in 1..bytes.len() {
                if bytes[position] != bytes[position - 1] {
                    let needed = if bytes[position] == b'.' { rise } else { fall } as usize;
                    prop_assert!(position + 1 >= needed);
                    let row = &text.as_bytes()[position + 1 - needed..=position];
                    prop_assert!(row.iter().all(|answer| *answer == bytes[position]), "{} {}", text, verdicts);
                }
            }
        }
    }
}
