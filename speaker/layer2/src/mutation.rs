// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Damages packets for tests that let decoders read anything.

use fastrand::Rng;

/// One of the packets, mostly damaged in a few places, sometimes replaced by noise.
pub(crate) fn mutated(random: &mut Rng, packets: &[&[u8]]) -> Vec<u8> {
    let mut packet = packets[random.usize(..packets.len())].to_vec();
    if random.u8(..) < 8 {
        packet = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
    }
    for _ in 0..random.usize(0..4) {
        damage(random, &mut packet);
    }
    packet
}

fn damage(random: &mut Rng, packet: &mut Vec<u8>) {
    if packet.is_empty() {
        return;
    }
    let at = random.usize(..packet.len());
    let end = (at + random.usize(1..24)).min(packet.len());
    match random.u8(..7) {
        0 => packet[at] ^= 1 << random.u8(..8),
        1 => packet[at] = random.u8(..),
        // Lengths, counts and kinds break at their edges.
        2 => packet[at] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff][random.usize(..7)],
        3 => packet.truncate(at),
        4 => packet.extend_from_within(at..end),
        5 => drop(packet.drain(at..end)),
        _ => packet[at..end].fill(random.u8(..)),
    }
}
