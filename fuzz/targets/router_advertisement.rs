// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Router advertisements and the search that hears them: any octets from anybody at any time. It never panics, keeps few routers in
//! mind, and comes to rest after each.

#![no_main]

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use ferrolb_bgp::discovery::{Discovery, RouterAdvertisement};
use libfuzzer_sys::fuzz_target;

/// Most octets of one advertisement.
const LONGEST: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let mut search = Discovery::new(now, 1);
    let mut rest = data;
    while let Some((&[sender, hops, length, pause], more)) = rest.split_first_chunk() {
        let (message, next) = more.split_at(usize::from(length).min(LONGEST).min(more.len()));
        rest = next;
        let link_local = if sender % 8 == 0 { 0x2001 } else { 0xfe80 };
        let source = Ipv6Addr::new(link_local, 0, 0, 0, 0, 0, 0, sender.into());
        if let Ok(said) = RouterAdvertisement::decode(message, source, 255 - hops % 2) {
            assert!(hops % 2 == 0 && source.is_unicast_link_local() && message.len() >= 16);
            search.heard(now, said);
        }
        now += Duration::from_secs(u64::from(pause) * 8);
        let mut said = 0;
        while search.tick(now).is_some() {
            said += 1;
            assert!(said < 3, "it says the same again and again");
        }
        assert!(search.next_deadline().is_none_or(|at| at > now), "a deadline that is met stays due");
        assert!(search.others().count() < 8 && search.others().all(|other| Some(other) != search.router()));
    }
});
