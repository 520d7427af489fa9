// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keys that authenticate hellos: one to sign with, and while a key is being changed a second one that is accepted too.

use std::fmt;

use ring::hmac;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Length of the authentication tag in bytes: HMAC-SHA-256 truncated to its left half (RFC 2104, section 5).
pub const TAG_LEN: usize = 16;

/// The fewest bytes of a key worth the name.
pub const MIN_KEY_LEN: usize = 16;

/// A key of fewer than [`MIN_KEY_LEN`] bytes was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a hello key has {0} bytes, at least {MIN_KEY_LEN} are needed")]
pub struct KeyTooShort(pub usize);

/// Two slots: the active key signs, both are accepted. To change the key without a gap, first give every node the new
/// one as accepted, then as active with the old one accepted, then take the old one away.
#[derive(Clone, Debug)]
pub struct KeyRing {
    active: Key,
    accepted: Option<Key>,
    default: bool,
}

impl KeyRing {
    /// A ring of the given key bytes.
    ///
    /// # Errors
    /// [`KeyTooShort`] if a key has fewer than [`MIN_KEY_LEN`] bytes.
    pub fn from_bytes(active: &[u8], accepted: Option<&[u8]>) -> Result<Self, KeyTooShort> {
        let accepted = accepted.map(Key::from_bytes).transpose()?;
        Ok(Self { active: Key::from_bytes(active)?, accepted, default: false })
    }

    /// The ring used when no key was given: derived from the cluster's name, so it keeps clusters and mistakes apart but
    /// no attacker out. Whoever uses it should say so ([`KeyRing::is_default`]).
    pub fn default_for(cluster: &str) -> Self {
        Self { active: Key::derive(b"default hello key", cluster.as_bytes()), accepted: None, default: true }
    }

    /// A ring for simulators, which sign and check millions of hellos: whoever damages one is noticed, whoever wishes to
    /// forge one is not kept out.
    #[cfg(feature = "simulation")]
    pub fn simulated(active: u64, accepted: Option<u64>) -> Self {
        let key = |secret: u64| Key {
            id: u16::try_from(secret & 0xffff).unwrap_or_default(),
            signer: Signer::Simulated(secret),
        };
        Self { active: key(active), accepted: accepted.map(key), default: false }
    }

    /// Whether the key is the one derived from the cluster's name.
    pub fn is_default(&self) -> bool {
        self.default
    }

    /// What the keys are called where people compare them: four hexadecimal digits each, the active one first. They are
    /// on the wire in clear, and tell nothing of the keys.
    pub fn names(&self) -> Vec<String> {
        let keys = std::iter::once(&self.active).chain(&self.accepted);
        keys.map(|key| format!("{:04x}", key.id)).collect()
    }

    /// The hint on the wire that tells which key signed.
    pub(crate) fn active_id(&self) -> u16 {
        self.active.id
    }

    /// The tag of `message` under the active key.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; TAG_LEN] {
        self.active.signer.sign(message)
    }

    /// Whether a key of ours with this id made `tag` over `message`; compared in constant time.
    pub(crate) fn verifies(&self, id: u16, message: &[u8], tag: &[u8; TAG_LEN]) -> bool {
        [Some(&self.active), self.accepted.as_ref()]
            .into_iter()
            .flatten()
            .filter(|key| key.id == id)
            .any(|key| key.signer.verifies(message, tag))
    }
}

/// One key, ready for use.
#[derive(Clone)]
struct Key {
    id: u16,
    signer: Signer,
}

#[derive(Clone)]
enum Signer {
    /// The state after absorbing the key. Of ring, whose SHA-256 takes half the time of portable code on processors that
    /// have no instructions for it: among a thousand nodes it is most of what a hello costs.
    Hmac(hmac::Key),
    #[cfg(feature = "simulation")]
    Simulated(u64),
}

impl Signer {
    fn sign(&self, message: &[u8]) -> [u8; TAG_LEN] {
        match self {
            Self::Hmac(key) => left_half(hmac::sign(key, message).as_ref()),
            #[cfg(feature = "simulation")]
            Self::Simulated(secret) => checksum(*secret, message),
        }
    }

    fn verifies(&self, message: &[u8], tag: &[u8; TAG_LEN]) -> bool {
        match self {
            // As one number each: no byte is compared before another.
            Self::Hmac(_) => u128::from_be_bytes(self.sign(message)) == u128::from_be_bytes(*tag),
            #[cfg(feature = "simulation")]
            Self::Simulated(secret) => checksum(*secret, message) == *tag,
        }
    }
}

/// The part of a tag that is sent.
fn left_half(tag: &[u8]) -> [u8; TAG_LEN] {
    let mut half = [0; TAG_LEN];
    half.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
    half
}

/// Depends on every bit of key and message, and costs next to nothing.
#[cfg(feature = "simulation")]
fn checksum(secret: u64, message: &[u8]) -> [u8; TAG_LEN] {
    let absorb = |state: u64, word: u64| {
        let product = (state.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // A product hands its highest bit on alone, which one more bit in the next word would undo.
        product ^ (product >> 32)
    };
    let mut words = message.chunks_exact(8);
    let head = words.by_ref().filter_map(|word| word.try_into().ok()).map(u64::from_le_bytes);
    let state = head.fold(absorb(!secret, secret), absorb);
    let state = words.remainder().iter().fold(state, |state, byte| absorb(state, (*byte).into()));
    let end = absorb(state, u64::try_from(message.len()).unwrap_or_default());
    (u128::from(absorb(end, secret)) << 64 | u128::from(end)).to_be_bytes()
}

impl Key {
    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyTooShort> {
        if bytes.len() < MIN_KEY_LEN {
            return Err(KeyTooShort(bytes.len()));
        }
        Ok(Self::derive(b"hello key", bytes))
    }

    /// The secret may serve elsewhere too, hence what signs is a hash of it with a purpose; so is the public id.
    fn derive(purpose: &[u8], secret: &[u8]) -> Self {
        let purposed = |part: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(purpose).chain_update(part).chain_update(secret).finalize().into()
        };
        let signing = hmac::Key::new(hmac::HMAC_SHA256, &purposed(b"\0sign\0"));
        let [high, low, ..] = purposed(b"\0id\0");
        Self { id: u16::from_be_bytes([high, low]), signer: Signer::Hmac(signing) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:04x}, secret)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"the old key, long enough";
    const NEW: &[u8] = b"the new key, long enough";

    fn ring(active: &[u8], accepted: Option<&[u8]>) -> KeyRing {
        KeyRing::from_bytes(active, accepted).unwrap()
    }

    fn understands(receiver: &KeyRing, sender: &KeyRing) -> bool {
        receiver.verifies(sender.active_id(), b"message", &sender.sign(b"message"))
    }

    #[test]
    fn a_key_is_changed_without_a_moment_of_deafness() {
        let steps = [ring(OLD, None), ring(OLD, Some(NEW)), ring(NEW, Some(OLD)), ring(NEW, None)];
        for pair in steps.windows(2) {
            assert!(understands(&pair[0], &pair[1]) && understands(&pair[1], &pair[0]));
        }
        assert!(!understands(&steps[0], &steps[3]));
        let names = steps.each_ref().map(KeyRing::names);
        assert_eq!(names[1], [names[0].concat(), names[3].concat()]);
        assert_eq!(names[2], [names[3].concat(), names[0].concat()]);
    }

    #[test]
    fn the_tag_is_the_left_half_of_an_hmac_sha_256() {
        // RFC 4231, test case 1.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[0x0b; 20]);
        let tag =
            [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b];
        assert_eq!(Signer::Hmac(key).sign(b"Hi There"), tag);
    }

    #[test]
    fn a_tag_holds_for_one_message_and_one_key_id() {
        let keys = ring(OLD, None);
        let tag = keys.sign(b"message");
        assert!(keys.verifies(keys.active_id(), b"message", &tag));
        assert!(!keys.verifies(keys.active_id(), b"massage", &tag));
        assert!(!keys.verifies(keys.active_id() ^ 1, b"message", &tag));
    }

    #[test]
    fn short_keys_are_refused() {
        assert_eq!(KeyRing::from_bytes(b"short", None).unwrap_err(), KeyTooShort(5));
        assert_eq!(KeyRing::from_bytes(OLD, Some(b"")).unwrap_err(), KeyTooShort(0));
    }

    #[test]
    fn the_default_key_differs_by_cluster_and_from_the_same_bytes_given_as_a_key() {
        let name = "a cluster with a long name";
        let default = KeyRing::default_for(name);
        assert!(default.is_default());
        assert!(understands(&default, &KeyRing::default_for(name)));
        assert!(!understands(&default, &KeyRing::default_for("another")));
        assert!(!understands(&default, &ring(name.as_bytes(), None)));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert!(!format!("{:?}", ring(OLD, None)).contains("old"));
    }
}
