// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Each rule is broken in turn, and the simulator must notice. `cargo test -p ferrolb-simulator --test mutants -- --nocapture`
//! prints how soon it does.

#![cfg(test)]

use std::sync::Mutex;

use ferrolb_layer2::rule::{self, Rule};
use ferrolb_simulator::{bound, catch_up, clash, crowd, play, rebalance};

/// A mutant that survives so many seeds is a gap in the invariants or in what befalls the worlds.
const PATIENCE: u64 = 300;

#[test]
fn every_broken_rule_is_noticed() {
    let results = Mutex::new(Vec::new());
    let next = Mutex::new(Rule::ALL.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(rule) = { next.lock().unwrap().next() } {
                    let caught = notice(rule);
                    results.lock().unwrap().push((rule, caught));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort();
    println!("{:<18} {:>5}  noticed as", "broken rule", "seeds");
    for (rule, caught) in &results {
        match caught {
            Some((seeds, violation)) => println!("{:<18} {seeds:>5}  {violation}", format!("{rule:?}")),
            None => println!("{:<18} {PATIENCE:>5}  NOT NOTICED", format!("{rule:?}")),
        }
    }
    let survivors: Vec<Rule> =
        results.iter().filter(|(_, caught)| caught.is_none()).map(|(r, _)| *r).collect();
    assert_eq!(survivors, []);
}

/// How many seeds it took, and what they showed.
fn notice(rule: Rule) -> Option<(u64, String)> {
    rule::break_only(Some(rule));
    // No node of an ordinary play has a clone, no address is bound, none of its segments is
    // crowded, nobody shares out, and hardly ever does one stand still in the very moment that another comes back.
    let act = |seed| match rule {
        Rule::Identity => clash(seed),
        Rule::BoundAloud => bound(seed),
        Rule::Pace => crowd(seed),
        Rule::CatchingUp => catch_up(seed),
        Rule::Balance => rebalance(seed),
        _ => play(seed, false),
    };
    let caught = (0..PATIENCE).find_map(|seed| Some((seed + 1, act(seed).err()?.violation.to_string())));
    rule::break_only(None);
    caught
}
