// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A list of steps on its way: hands out those whose predecessors are done.

use std::collections::BTreeSet;

use ferrolb_config::ObjectRef;

use super::{Step, Write};

/// Steps being carried out, one by one or many at once.
///
/// ```text
/// while let Some((position, write)) = course.take() { course.done(position, carry_out(write)); }
/// ```
#[derive(Debug, Default)]
pub struct Course {
    writes: Vec<Option<Write>>,
    /// How many predecessors of each step are not done yet.
    missing: Vec<usize>,
    /// Who comes after each step.
    followers: Vec<Vec<usize>>,
    /// Possible now. The lowest position goes first, so that what was begun is finished before more is begun.
    ready: BTreeSet<usize>,
    left: usize,
}

impl Course {
    /// A course of all `steps`.
    pub fn new(steps: Vec<Step>) -> Self {
        Self::without(steps, |_| false)
    }

    /// A course of `steps`, without those for which `is_held` says so, and without all that comes after them.
    pub fn without(steps: Vec<Step>, mut is_held: impl FnMut(&Step) -> bool) -> Self {
        let mut course = Self {
            writes: Vec::with_capacity(steps.len()),
            missing: Vec::with_capacity(steps.len()),
            followers: vec![Vec::new(); steps.len()],
            ready: BTreeSet::new(),
            left: 0,
        };
        for (position, step) in steps.into_iter().enumerate() {
            let held = is_held(&step);
            for earlier in &step.after {
                if let Some(followers) = course.followers.get_mut(*earlier) {
                    followers.push(position);
                }
            }
            match (held, step.after.is_empty()) {
                // What is not ready and waits for one predecessor more than there are never comes to its turn.
                (true, _) => course.missing.push(step.after.len() + 1),
                (false, is_free) => {
                    course.missing.push(step.after.len());
                    if is_free {
                        course.ready.insert(position);
                    }
                }
            }
            course.writes.push(Some(step.write));
            course.left += 1;
        }
        course
    }

    /// The next step that may be carried out now, with its position. `None`: there is none, or those under way have to
    /// be [`done`](Self::done) first.
    pub fn take(&mut self) -> Option<(usize, Write)> {
        loop {
            let position = self.ready.pop_first()?;
            if let Some(write) = self.writes.get_mut(position).and_then(Option::take) {
                self.left -= 1;
                return Some((position, write));
            }
        }
    }

    /// Takes back what became of the step at `position`. If it failed, what comes after it is never handed out.
    pub fn done(&mut self, position: usize, is_written: bool) {
        if !is_written {
            return;
        }
        let followers = self.followers.get_mut(position).map(std::mem::take).unwrap_or_default();
        for later in followers {
            let Some(missing) = self.missing.get_mut(later) else { continue };
            *missing -= 1;
            if *missing == 0 {
                self.ready.insert(later);
            }
        }
    }

    /// Whether a step may be handed out now.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many steps were not handed out.
    pub fn left(&self) -> usize {
        self.left
    }
}

/// What became of a list of steps.
#[derive(Debug)]
pub struct Outcome<E> {
    /// What was written.
    pub done: Vec<Write>,
    /// What could not be written, with the error.
    pub failed: Vec<(ObjectRef, E)>,
    /// How many steps were put off because they come after a failed one.
    pub put_off: usize,
}

/// Carries out `steps` one by one. A step that fails holds up only those that must come after it.
pub fn carry_out<E>(steps: Vec<Step>, mut write: impl FnMut(&Write) -> Result<(), E>) -> Outcome<E> {
    let mut outcome = Outcome { done: Vec::new(), failed: Vec::new(), put_off: 0 };
    let mut course = Course::new(steps);
    while let Some((position, step)) = course.take() {
        let result = write(&step);
        course.done(position, result.is_ok());
        match result {
            Ok(()) => outcome.done.push(step),
            Err(error) => outcome.failed.push((step.object(), error)),
        }
    }
    outcome.put_off = course.left();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::Haste;

    fn course(after: &[&[usize]], held: &[usize]) -> Course {
        let step = |after: &&[usize]| Step {
            write: Write::DeletePoolStatus(String::new()),
            after: after.to_vec(),
            haste: Haste::AtOnce,
        };
        let mut position = 0;
        Course::without(after.iter().map(step).collect(), |_| {
            position += 1;
            held.contains(&(position - 1))
        })
    }

    fn all_that_may_run(course: &mut Course) -> Vec<usize> {
        std::iter::from_fn(|| course.take().map(|(position, _)| position)).collect()
    }

    #[test]
    fn a_step_is_handed_out_once_all_its_predecessors_are_done() {
        let mut course = course(&[&[], &[0], &[], &[0, 2]], &[]);
        assert_eq!(all_that_may_run(&mut course), [0, 2]);
        course.done(0, true);
        assert_eq!(all_that_may_run(&mut course), [1]);
        course.done(2, true);
        assert_eq!(all_that_may_run(&mut course), [3]);
        assert_eq!(course.left(), 0);
    }

    #[test]
    fn a_step_that_fails_holds_up_those_after_it_and_nobody_else() {
        let mut course = course(&[&[], &[0], &[1], &[]], &[]);
        assert_eq!(all_that_may_run(&mut course), [0, 3]);
        course.done(0, false);
        course.done(3, true);
        assert_eq!(all_that_may_run(&mut course), Vec::<usize>::new());
        assert_eq!(course.left(), 2);
    }

    #[test]
    fn a_step_that_is_held_is_not_handed_out_even_when_its_predecessors_are_done() {
        let mut course = course(&[&[], &[0], &[1], &[]], &[1]);
        assert_eq!(all_that_may_run(&mut course), [0, 3]);
        course.done(0, true);
        assert_eq!(all_that_may_run(&mut course), Vec::<usize>::new());
        assert_eq!(course.left(), 2);
    }

    #[test]
    fn what_was_begun_is_finished_before_more_is_begun() {
        let mut course = course(&[&[], &[0], &[], &[2]], &[]);
        let Some((0, _)) = course.take() else { panic!("the first comes first") };
        course.done(0, true);
        assert_eq!(course.take().map(|(position, _)| position), Some(1));
    }
}
