// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many layer-2 engines on virtual segments, in virtual time.
//!
//! A [`World`] holds nodes (an engine, the kernel below it, and a driver that behaves like the real one), stations that
//! resolve addresses as clients and routers do, and a network that delays, loses, doubles, reorders and blocks packets. All
//! randomness comes from one seed, so that every run repeats exactly. After every event the [`Book`] checks what must hold
//! at all times; a violation ends the run with the last lines of its trace. [`play()`] makes a whole play of one seed: machines
//! on one or two segments, random faults for most of a minute, then peace.
//!
//! What the [`Book`] checks, by the numbers of the design's invariants:
//!
//! | | |
//! |---|---|
//! | S1, S10 | at rest each group has one owner, whom all see; a claim's term is higher than the process' earlier ones |
//! | S2 | how long two nodes that hear each other answer for one group |
//! | S3 | nobody answers or announces what it does not own, nor claims or announces once it can know that it is cut off |
//! | S4 | no old request is answered, nothing within two intervals after a stall that peers may have noticed |
//! | S5, S21 | nobody is called silent who can be heard, nor loses a group while it is well; a death is mended in time |
//! | S6, S9 | the cause that a claim names is true; who yields, yields to no lower claim |
//! | S7, S11 | one change of a world at rest moves no group twice over, a well owner's not at all |
//! | S8 | who moves a group lets go after the successor has it |
//! | S14 | who holds its share and a quarter more leaves new claims to those with room |
//! | rule 9 | of two that do not hear each other one yields if a third hears both |
//! | rule 11 | who lost its link again and again leaves new claims to others |
//! | S17 | damaged hellos change nothing, recordings revive nobody |
//! | C.0-5 | a take-over from a node whose kernel lives is quiet |
//! | S18 | of two processes of one node, one steps aside |
//! | S19 | what a stranger has is not taken for the first time; nothing is defended more than once in ten seconds |
//! | C.0-7 | who starts alone leaves its share to nodes that are expected |
//!
//! By construction: S12 (an engine sees no wall clock), S13 (nothing of Kubernetes changes in a play but readiness).
//! Tested elsewhere: S16 (the announcer's own tests). In plays of their own: S18 ([`clash()`]), the pace among many nodes
//! ([`crowd()`]), S20, where kernels outlive their speakers ([`bound()`]), paced moves to where the load bound wants them
//! ([`rebalance()`]), and what a node reads that stood still for a moment ([`catch_up()`]). Not the engine's: S15 (gates come in as
//! readiness), S22 (surge).
//!
//! Hellos of most plays are signed by a checksum instead of HMAC-SHA-256, which would take half of the time: as good against
//! damage by chance, and forgery proper is what the key ring's own tests are for. One play in 64 uses the real thing.
//!
//! Known and not resisted: an attacker who forwards fresh hellos both ways between two segments of a cluster makes one
//! segment of them, on which each node then speaks with two processes.

mod book;
mod bound;
mod catch_up;
mod clash;
mod crowd;
mod faults;
mod kernel;
mod key_change;
mod listing;
mod network;
mod node;
mod play;
mod random;
mod rebalance;
mod schedule;
mod station;
mod wakes;
mod world;

pub use book::{Book, Happening, Violation};
pub use bound::bound;
pub use catch_up::catch_up;
pub use clash::clash;
pub use crowd::crowd;
pub use faults::Fault;
pub use key_change::Signing;
pub use network::{Network, Port};
pub use node::{GroupPlan, Health};
pub use play::{Failure, Played, play};
pub use rebalance::rebalance;
pub use world::{Setup, World};
