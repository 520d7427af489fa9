// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What differs between two views: a walk along both that compares pointers, and names only where these differ.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::sync::Arc;

/// An object that is not the same one in both views. An object is never changed, so the same pointer is the same
/// object, and under the same name.
#[derive(Debug)]
pub(crate) struct Difference<'a, K, V> {
    pub(crate) name: &'a K,
    pub(crate) before: Option<&'a Arc<V>>,
    pub(crate) now: Option<&'a Arc<V>>,
}

impl<K, V> Difference<'_, K, V> {
    /// Whether it only was read anew, and `alike` says that nothing follows from what differs.
    pub(crate) fn is_void(&self, alike: impl FnOnce(&V, &V) -> bool) -> bool {
        match (self.before, self.now) {
            (Some(before), Some(now)) => alike(before, now),
            _ => false,
        }
    }
}

/// What differs, in the order of the names.
pub(crate) fn differences<'a, K: Ord, V>(
    before: &'a BTreeMap<K, Arc<V>>,
    now: &'a BTreeMap<K, Arc<V>>,
) -> impl Iterator<Item = Difference<'a, K, V>> {
    Differences { before: before.iter().peekable(), now: now.iter().peekable() }
}

/// Whether nothing differs.
pub(crate) fn is_alike<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, Arc<V>>,
    now: &BTreeMap<K, Arc<V>>,
) -> bool {
    differences(before, now).all(|difference| difference.is_void(PartialEq::eq))
}

struct Differences<'a, K, V> {
    before: Peekable<btree_map::Iter<'a, K, Arc<V>>>,
    now: Peekable<btree_map::Iter<'a, K, Arc<V>>>,
}

impl<'a, K: Ord, V> Iterator for Differences<'a, K, V> {
    type Item = Difference<'a, K, V>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.before.peek(), self.now.peek()) {
                (Some((_, before)), Some((_, now))) if Arc::ptr_eq(before, now) => None,
                (Some((before, _)), Some((now, _))) => Some(before.cmp(now)),
                (Some(_), None) => Some(Ordering::Less),
                (None, Some(_)) => Some(Ordering::Greater),
                (None, None) => return None,
            };
            let before = self.before.next_if(|_| order != Some(Ordering::Greater));
            let now = self.now.next_if(|_| order != Some(Ordering::Less));
            if order.is_some() {
                let (name, _) = before.or(now)?;
                return Some(Difference {
                    name,
                    before: before.map(|(_, object)| object),
                    now: now.map(|(_, object)| object),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_went_or_changed_differs_and_what_stayed_does_not() {
        let stays = Arc::new("stays");
        let before = [(1, Arc::new("went")), (2, Arc::clone(&stays)), (4, Arc::new("old"))].into();
        let now = [(2, stays), (3, Arc::new("came")), (4, Arc::new("new")), (5, Arc::new("last"))].into();
        let found: Vec<_> = differences(&before, &now)
            .map(|it| (*it.name, it.before.map(|it| **it), it.now.map(|it| **it)))
            .collect();
        assert_eq!(
            found,
            [
                (1, Some("went"), None),
                (3, None, Some("came")),
                (4, Some("old"), Some("new")),
                (5, None, Some("last"))
            ]
        );
        assert_eq!(differences(&before, &before).count(), 0);
        assert!(is_alike(
            &before,
            &[(1, Arc::new("went")), (2, Arc::new("stays")), (4, Arc::new("old"))].into()
        ));
    }
}
