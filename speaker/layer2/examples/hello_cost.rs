// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Measures what sending and receiving one hello costs, for an idle, an ordinary and the longest one.
//!
//! `cargo run --release -p ferrolb-layer2 --example hello_cost`

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use ferrolb_layer2::{
    Claim, ClusterId, Delta, Digest, Echo, Flags, GroupId, Hello, Incarnation, KeyRing, NodeId, Slice, Term,
    UpTo,
};

const ROUNDS: u32 = 100_000;

fn main() {
    let keys = KeyRing::default_for("measured");
    println!("{:>8} {:>6} {:>12} {:>12}", "hello", "bytes", "encode", "decode");
    for (name, claims, deltas, echoes) in [("idle", 0, 0, 2), ("ordinary", 4, 1, 4), ("longest", 48, 8, 8)] {
        let hello = hello(claims, deltas, echoes);
        let packet = hello.encode(&keys);
        let encode = cost(|| hello.encode(&keys));
        let decode = cost(|| Hello::decode(&packet, &keys));
        println!("{name:>8} {:>6} {encode:>12?} {decode:>12?}", packet.len());
    }
}

/// Mean time of one call.
fn cost<T>(mut call: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(call());
    }
    start.elapsed() / ROUNDS
}

fn hello(claims: usize, deltas: usize, echoes: usize) -> Hello {
    let held = (0..).map(|group| Claim { group: GroupId(group), term: Term(1) });
    let handed_over = held.clone().map(|claim| Delta::HandOver { claim, to: NodeId([7; 16]) });
    let echo = |seq| Echo { incarnation: Incarnation::from_random(seq), seq, age: Duration::from_millis(3) };
    Hello {
        cluster: ClusterId::of("measured"),
        node: NodeId::of("measured", "node-1"),
        incarnation: Incarnation::from_random(1),
        seq: 1,
        interval: Duration::from_millis(75),
        dead: Duration::from_millis(275),
        flags: Flags::default(),
        owned: 100,
        digest: Digest::EMPTY,
        slice: Slice::WHOLE,
        claims: UpTo::first_of(held.take(claims)),
        deltas: UpTo::first_of(handed_over.take(deltas)),
        echoes: UpTo::first_of((1..).map(echo).take(echoes)),
    }
}
