// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The cluster's keys and the order in which they are changed.

use ferrolb_layer2::KeyRing;

/// How hellos are authenticated in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// As in a cluster.
    Hmac,
    /// By a checksum that depends on a key: as good against whoever damages hellos at random, and much cheaper.
    Checksum,
}

/// How far a node is in the changes of keys: each change takes three steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyStep(u64);

impl KeyStep {
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// First the new key is accepted, then it signs while the old one is accepted, then it is alone.
    pub(crate) fn ring(self, signing: Signing) -> KeyRing {
        let old = self.0 / 3;
        let (active, accepted) = match self.0 % 3 {
            0 => (old, None),
            1 => (old, Some(old + 1)),
            _ => (old + 1, Some(old)),
        };
        match signing {
            Signing::Checksum => KeyRing::simulated(active, accepted),
            Signing::Hmac => {
                let bytes = |number: u64| format!("the simulated key number {number}").into_bytes();
                let accepted = accepted.map(bytes);
                KeyRing::from_bytes(&bytes(active), accepted.as_deref())
                    .unwrap_or_else(|_| KeyRing::default_for("simulated"))
            }
        }
    }
}
