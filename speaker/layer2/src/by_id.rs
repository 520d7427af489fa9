// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Maps from the ids of nodes and groups, looked up ten times a hello.
//!
//! The keys are digests, or chosen by who holds the hello key, so a hash that strangers cannot foresee would buy nothing. It is
//! the same in every process, and so is the order of the entries: what a simulator plays, it plays again.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::identity::NodeId;

/// Something for each id.
pub(crate) type ById<K, T> = HashMap<K, T, BuildHasherDefault<IdHasher>>;

/// Something for each node, in the same order wherever it was filled alike.
pub type ByNode<T> = ById<NodeId, T>;

/// Mixes the words of an id.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl IdHasher {
    fn mix(&mut self, word: u64) {
        // By the golden ratio in 64 bits, which has no pattern. The lower half of a product mixes upwards, the upper half back.
        let product = u128::from(self.0.rotate_left(23) ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, mut bytes: &[u8]) {
        while let Some((word, rest)) = bytes.split_first_chunk() {
            self.mix(u64::from_ne_bytes(*word));
            bytes = rest;
        }
        bytes.iter().for_each(|byte| self.mix((*byte).into()));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, hash::BuildHasher};

    use super::*;
    use crate::identity::GroupId;

    #[test]
    fn ids_are_spread_over_the_lowest_bits_also_where_they_differ_in_few() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        let spread = |hashes: &mut dyn Iterator<Item = u64>| {
            hashes.map(|hash| hash % 4096).collect::<BTreeSet<u64>>().len()
        };
        // Thrown at random, 1,000 balls leave about 887 of 4,096 bins filled.
        let nodes = |n: u16| NodeId::of("test", &n.to_string());
        assert!(spread(&mut (0..1000).map(|n| hasher.hash_one(nodes(n)))) > 800);
        assert!(spread(&mut (0..1000).map(|n| hasher.hash_one(GroupId(n)))) > 800);
        assert!(spread(&mut (0..1000).map(|n| hasher.hash_one(GroupId(n << 48)))) > 800);
    }

    #[test]
    fn two_maps_filled_alike_are_walked_alike() {
        let filled =
            || -> ByNode<u32> { (0..1000).map(|n| (NodeId::of("test", &n.to_string()), n)).collect() };
        assert!(filled().into_iter().eq(filled()));
    }
}
