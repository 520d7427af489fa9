// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Measures what it takes to tell a peer 10,000 and 100,000 routes, to change them, and to notice that nothing changed. If a step
//! took more than its share of routes, the time for each route would grow with their number.
//!
//! `cargo run --release -p ferrolb-bgp --example full_table`

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use ferrolb_bgp::{
    Asn, Attributes, Capabilities, Community, Families, HoldTime, Negotiated, NextHop, Open, RibOut,
    RouterId, Routes,
};
use ipnet::{IpNet, Ipv4Net};

const ROUNDS: u32 = 7;
const MED: u32 = 1;

fn main() {
    let Some(session) = session() else { return };
    for routes in [10_000, 100_000] {
        for sets in [1, 100] {
            let mut steps: [Vec<Step>; 5] = Default::default();
            for _ in 0..ROUNDS {
                for (times, step) in steps.iter_mut().zip(round(&session, routes, sets)) {
                    times.push(step);
                }
            }
            println!("{routes} routes, {sets} sets of attributes, medians of {ROUNDS}:");
            for (name, mut times) in NAMES.into_iter().zip(steps) {
                times.sort_by_key(|step| step.took);
                if let Some(step) = times.get(times.len() / 2) {
                    let each = step.took.as_nanos() / u128::from(routes);
                    println!(
                        "  {name:<24} {:>8.2} ms  {each:>5} ns a route  {:>6} messages  {:>8} octets",
                        step.took.as_secs_f64() * 1e3,
                        step.messages,
                        step.octets
                    );
                }
            }
        }
    }
}

const NAMES: [&str; 5] =
    ["the first time", "nothing changed", "one route changed", "all attributes changed", "all withdrawn"];

/// What a change took, from the wish to the last message.
struct Step {
    took: Duration,
    messages: usize,
    octets: usize,
}

fn round(session: &Negotiated, routes: u32, sets: u32) -> [Step; 5] {
    let mut rib = RibOut::new(session.clone());
    let first = table(routes, sets, 0);
    let mut one_changed = Routes::clone(&first);
    if let Some(mut last) = one_changed.last_entry() {
        last.insert(attributes(sets + 1));
    }
    let wishes = [
        Arc::clone(&first),
        // As a source does that makes everything anew: equal, and nothing in it the same.
        table(routes, sets, 0),
        Arc::new(one_changed),
        table(routes, sets, MED),
        Arc::default(),
    ];
    wishes.map(|wish| {
        let begin = Instant::now();
        rib.set_desired(wish);
        let (mut messages, mut octets, mut message) = (0, 0, Vec::new());
        while rib.next_message(&mut message) {
            messages += 1;
            octets += message.len();
            message.clear();
        }
        Step { took: begin.elapsed(), messages, octets }
    })
}

fn attributes(set: u32) -> Arc<Attributes> {
    let next_hop = NextHop::V4(Ipv4Addr::new(10, 77, 0, 1));
    Arc::new(Attributes { communities: [Community(set)].into(), ..Attributes::new(next_hop) })
}

/// Host routes in turn with one set of attributes and the next.
fn table(routes: u32, sets: u32, med: u32) -> Arc<Routes> {
    let palette: Vec<Arc<Attributes>> = (0..sets).map(|set| attributes(set + med * 1_000)).collect();
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    let all = palette.iter().cycle().zip(first..first + routes);
    let host = |address: u32| IpNet::V4(Ipv4Net::from(Ipv4Addr::from(address)));
    Arc::new(all.map(|(attributes, address)| (host(address), Arc::clone(attributes))).collect())
}

fn session() -> Option<Negotiated> {
    let open = |asn| {
        Some(Open {
            asn: Asn::new(asn)?,
            hold_time: HoldTime::from_secs(90)?,
            router_id: RouterId::new(Ipv4Addr::new(10, 77, 0, 1))?,
            capabilities: Capabilities {
                multiprotocol: Some(Families::BOTH),
                four_octet_as: true,
                ..Capabilities::default()
            },
        })
    };
    Some(Negotiated::new(&open(65_001)?, &open(65_002)?))
}
