// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Random worlds with random faults. A seed that fails prints what happened, and belongs into `regressions/`.
//!
//! `FERROLB_SEED=n cargo test -p ferrolb-simulator --test seeds` repeats one seed with every event on standard error;
//! `FERROLB_SEEDS=n` plays as many seeds instead of the usual number, `FERROLB_FROM=n` others than the first; `make soak`
//! plays fresh ones in a release build.

#![cfg(test)]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use ferrolb_simulator::{Failure, Played, bound, catch_up, clash, crowd, play, rebalance};

/// A seed takes about a tenth of a second of a slow core. Thousands are for a machine that has the time: `.ci/run` plays
/// them while the tests on real frames wait.
const SEEDS: u64 = 500;
/// How often it is told how far the seeds are.
const TELL_EVERY: u64 = 1_000;

#[test]
fn every_rule_holds_in_random_worlds() {
    let number = |name: &str| std::env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    if let Some(seed) = number("FERROLB_SEED") {
        let played = play(seed, true).unwrap_or_else(|failure| panic!("{failure}"));
        return println!("{played:?}");
    }
    let seeds = number("FERROLB_SEEDS").unwrap_or(SEEDS);
    let from = number("FERROLB_FROM").unwrap_or(0);
    let next = AtomicU64::new(from);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<(Vec<Played>, Vec<Failure>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| work(&next, from + seeds))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let (played, failed): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let played: Vec<Played> = played.concat();
    let time: Duration = played.iter().map(|played| played.time).sum();
    let claims: usize = played.iter().map(|played| played.claims).sum();
    println!("{} seeds, {:.0} virtual hours, {claims} claims", played.len(), time.as_secs_f64() / 3_600.0);
    let mut failed = failed.concat();
    failed.sort_by_key(|failure| failure.seed);
    if let Some(first) = failed.first() {
        let seeds: Vec<String> =
            failed.iter().map(|failure| format!("{}: {}", failure.seed, failure.violation)).collect();
        panic!("{first}\n{} seeds failed:\n{}", failed.len(), seeds.join("\n"));
    }
}

#[test]
fn a_cloned_node_never_acts_beside_its_original() {
    for seed in 0..40 {
        clash(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn s20_bound_addresses_outlive_their_speakers_for_three_seconds_and_a_half_at_most() {
    for seed in 0..10 {
        bound(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_crowd_comes_and_goes_and_nobody_takes_another_for_dead() {
    for seed in 0..4 {
        crowd(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn what_has_to_move_is_shared_out_at_a_pace_and_answered_for_at_every_moment() {
    for seed in 0..4 {
        rebalance(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn what_became_free_while_a_node_stood_still_is_left_to_who_took_it_meanwhile() {
    for seed in 0..40 {
        catch_up(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// Plays seeds until there are no more, or too many failed.
fn work(next: &AtomicU64, end: u64) -> (Vec<Played>, Vec<Failure>) {
    let (mut played, mut failed) = (Vec::new(), Vec::new());
    while failed.len() < 20 {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        if seed.is_multiple_of(TELL_EVERY) {
            println!("from {seed} on");
        }
        match play(seed, false) {
            Ok(one) => played.push(one),
            Err(failure) => {
                // Ten thousand take long.
                println!("{}: {}", failure.seed, failure.violation);
                failed.push(*failure);
            }
        }
    }
    (played, failed)
}
