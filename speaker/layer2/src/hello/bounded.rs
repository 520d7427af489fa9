// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A list that cannot outgrow its place on the wire.

use std::ops::Deref;

/// At most `N` entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpTo<const N: u8, T>(Vec<T>);

impl<const N: u8, T> UpTo<N, T> {
    /// No entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No entries, and room for so many, at most `N`.
    pub(super) fn with_room(count: u8) -> Self {
        Self(Vec::with_capacity(count.min(N).into()))
    }

    /// The first `N` entries of `entries`; the rest is left in the iterator if it was passed `by_ref()`.
    pub fn first_of(entries: impl IntoIterator<Item = T>) -> Self {
        Self(entries.into_iter().take(usize::from(N)).collect())
    }

    /// Adds an entry at the end.
    ///
    /// # Errors
    /// Gives the entry back if the list is full.
    pub fn push(&mut self, entry: T) -> Result<(), T> {
        if self.0.len() < usize::from(N) {
            self.0.push(entry);
            Ok(())
        } else {
            Err(entry)
        }
    }

    /// How many entries there are, as it stands on the wire.
    pub(super) fn count(&self) -> u8 {
        // Never above N, so the fallback is never taken.
        u8::try_from(self.0.len()).unwrap_or(N)
    }
}

impl<const N: u8, T> Default for UpTo<N, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: u8, T> Deref for UpTo<N, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, const N: u8, T> IntoIterator for &'a UpTo<N, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_bound_stay_with_the_caller() {
        let mut source = 1..=5;
        let mut list: UpTo<3, i32> = UpTo::first_of(source.by_ref());
        assert_eq!(*list, [1, 2, 3]);
        assert_eq!(source.collect::<Vec<_>>(), [4, 5]);
        assert_eq!(list.push(9), Err(9));
        assert_eq!(list.count(), 3);
    }
}
