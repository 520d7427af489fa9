// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use proptest::prelude::*;

use super::*;

fn router(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hears(search: &mut Discovery, now: Instant, number: u16, lifetime: u16) {
    search.heard(now, RouterAdvertisement { router: router(number), lifetime });
}

/// How often this is said until `end`.
fn says_until(search: &mut Discovery, end: Instant, what: Say) -> usize {
    let mut count = 0;
    while let Some(at) = search.next_deadline().filter(|at| *at <= end) {
        count += usize::from(search.tick(at) == Some(what));
    }
    count
}

fn asks_until(search: &mut Discovery, end: Instant) -> usize {
    says_until(search, end, Say::Solicitation)
}

#[test]
fn a_node_asks_at_once_and_then_ever_more_seldom_until_a_router_answers() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    assert_eq!(asks_until(&mut search, begin + FIRST), 1);
    let minute = asks_until(&mut search, begin + secs(60));
    assert!((3..=4).contains(&minute), "after 4, 8, 16 and 32 seconds: {minute}");
    assert!(asks_until(&mut search, begin + secs(3660)) <= 20);
    hears(&mut search, begin + secs(3660), 1, 1800);
    assert_eq!(search.router(), Some(router(1)));
    assert_eq!(asks_until(&mut search, begin + secs(3660 + 1799)), 0);
}

#[test]
fn a_router_that_falls_silent_is_forgotten_after_its_lifetime_and_asked_for_again() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    hears(&mut search, begin, 1, 30);
    hears(&mut search, begin + secs(20), 1, 30);
    assert_eq!(asks_until(&mut search, begin + secs(49)), 0);
    assert_eq!(search.router(), Some(router(1)));
    assert_eq!(asks_until(&mut search, begin + secs(50)), 1);
    assert_eq!(search.router(), None);
}

#[test]
fn a_router_that_ends_is_left_at_once_and_its_repeated_farewell_is_no_beginning() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    hears(&mut search, begin, 1, 1800);
    for later in [10, 26, 42] {
        hears(&mut search, begin + secs(later), 1, 0);
        assert_eq!(search.router(), None, "after {later} s");
    }
    hears(&mut search, begin + secs(50), 1, 1800);
    assert_eq!(search.router(), Some(router(1)), "it is back");
}

#[test]
fn a_router_that_is_no_default_router_will_do() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    for later in [0, 10, 20] {
        hears(&mut search, begin + secs(later), 1, 0);
        assert_eq!(search.router(), Some(router(1)), "after {later} s");
    }
    assert_eq!(asks_until(&mut search, begin + secs(20) + UNSAID), 1);
    assert_eq!(search.router(), None);
}

#[test]
fn a_second_router_is_named_and_takes_over_only_when_the_first_is_gone() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    hears(&mut search, begin, 5, 60);
    hears(&mut search, begin + secs(1), 3, 1800);
    assert_eq!(search.router(), Some(router(5)));
    assert_eq!(search.others().collect::<Vec<_>>(), [router(3)]);
    hears(&mut search, begin + secs(2), 5, 0);
    assert_eq!(search.router(), Some(router(3)));
    assert_eq!(search.others().count(), 0);
    hears(&mut search, begin + secs(3), 5, 60);
    assert_eq!(search.router(), Some(router(3)), "who comes back waits");
}

#[test]
fn whoever_found_a_router_is_found_by_it() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    assert_eq!(says_until(&mut search, begin + secs(60), Say::Advertisement), 0, "nobody is there");
    let met = begin + secs(60);
    hears(&mut search, met, 1, 30);
    assert_eq!(search.tick(met), Some(Say::Advertisement), "at once");
    let half_a_minute = says_until(&mut search, met + secs(29), Say::Advertisement);
    assert!((2..=3).contains(&half_a_minute), "{half_a_minute}");
    assert_eq!(says_until(&mut search, met + secs(300), Say::Advertisement), 0, "it is gone");
}

#[test]
fn other_nodes_of_a_link_are_not_its_router() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    hears(&mut search, begin, 7, 0);
    assert_eq!(search.router(), Some(router(7)), "there may be no other");
    hears(&mut search, begin + secs(1), 9, 30);
    assert_eq!(search.router(), Some(router(9)));
    hears(&mut search, begin + secs(2), 7, 0);
    assert_eq!((search.router(), search.others().count()), (Some(router(9)), 0));
}

#[test]
fn advertisements_in_many_names_fill_no_memory_and_move_nothing() {
    let begin = Instant::now();
    let mut search = Discovery::new(begin, 1);
    hears(&mut search, begin, 9999, 1800);
    for number in 0..1000 {
        hears(&mut search, begin, number, 1800);
    }
    assert_eq!(search.router(), Some(router(9999)));
    assert_eq!(search.others().count(), MOST - 1);
}

proptest! {
    /// Whatever is heard, and whenever: what is chosen is there, and every deadline that is met moves on.
    #[test]
    fn the_search_never_stands_still(steps in prop::collection::vec((0u16..12, 0u16..4, 0u64..200), 1..60)) {
        let mut now = Instant::now();
        let mut search = Discovery::new(now, 7);
        for (number, lifetime, pause) in steps {
            now += secs(pause);
            let mut rounds = 0;
            while search.next_deadline().is_some_and(|at| at <= now) {
                let at = search.next_deadline().unwrap();
                while search.tick(at).is_some() {
                    rounds += 1;
                    prop_assert!(rounds < 100);
                }
                prop_assert!(search.next_deadline().is_none_or(|next| next > at));
            }
            hears(&mut search, now, number, lifetime * 30);
            prop_assert!(search.router().is_none_or(|router| search.there().any(|(other, _)| other == router)));
            prop_assert!(search.router().is_some() || search.asking.is_some());
        }
    }
}
