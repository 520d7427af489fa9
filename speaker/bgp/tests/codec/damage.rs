// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Damages messages as bad memory, bad programs and bad people do.

use fastrand::Rng;

const HEADER_LEN: usize = 19;

/// One of the messages with a few damages behind its header, which tells the truth of what became of it.
pub(crate) fn damaged(random: &mut Rng, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut message = messages[random.usize(..messages.len())].clone();
    let mut body = message.split_off(HEADER_LEN);
    for _ in 0..random.usize(0..4) {
        damage(random, &mut body);
    }
    message.extend(body);
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    message[16..18].copy_from_slice(&length.to_be_bytes());
    message
}

/// Changes a few octets, wherever they are.
pub(crate) fn damage(random: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.usize(..bytes.len());
    let end = (at + random.usize(1..24)).min(bytes.len());
    match random.u8(..9) {
        0 => bytes[at] ^= 1 << random.u8(..8),
        1 => bytes[at] = random.u8(..),
        // Lengths, counts and types break at their edges, and by one.
        2 => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff][random.usize(..7)],
        3 => bytes[at] = bytes[at].wrapping_add(1),
        4 => bytes[at] = bytes[at].wrapping_sub(1),
        5 => bytes.truncate(at),
        6 => bytes.extend_from_within(at..end),
        7 => drop(bytes.drain(at..end)),
        _ => bytes[at..end].fill(random.u8(..)),
    }
}
