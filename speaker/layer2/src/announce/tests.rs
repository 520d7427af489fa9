// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The schedule under a virtual clock.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
};

use super::*;
use crate::frame;

const MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from(0xc000_0200 + n).into()
}

fn v6(n: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into()
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The client with this number.
fn client(n: u8) -> Asker {
    Asker { mac: MacAddr([0x02, 0, 0, 0, 1, n]), address: v4(200 + u32::from(n)) }
}

/// An announcer driven exactly by its deadlines.
struct Driven {
    announcer: Announcer,
    start: Instant,
    now: Instant,
    /// When which address was asked for by us.
    probes: Vec<(Duration, IpAddr)>,
}

impl Driven {
    fn new(rate: u32, burst: u32) -> Self {
        let start = Instant::now();
        let budget = Budget { rate: NonZeroU32::new(rate).unwrap(), burst: NonZeroU32::new(burst).unwrap() };
        Self { announcer: Announcer::new(budget, 7, start), start, now: start, probes: Vec::new() }
    }

    fn start(&mut self, address: IpAddr) {
        self.announcer.start(address, self.now);
    }

    /// Runs until `end` after the start: when which address was announced by which frame.
    fn run(&mut self, end: Duration) -> Vec<(Duration, IpAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(deadline) = self.announcer.next_deadline().filter(|at| *at <= self.start + end) {
            self.now = self.now.max(deadline);
            let before = sent.len() + self.probes.len();
            while let Some(utterance) = self.announcer.poll(self.now, MAC) {
                let at = self.now - self.start;
                match utterance {
                    Utterance::Announcement(frame) => {
                        let (address, mac) = frame::parse(&frame).unwrap().unwrap().asserted().unwrap();
                        assert_eq!(mac, MAC);
                        sent.push((at, address, frame));
                    }
                    Utterance::Probe(frame) => {
                        let heard = frame::parse(&frame).unwrap().unwrap();
                        assert_eq!((heard.asserted(), heard.asker()), (None, None), "it disturbs nobody");
                        self.probes.push((at, heard.asked().unwrap()));
                    }
                }
            }
            assert!(
                sent.len() + self.probes.len() > before,
                "woken at {:?} for nothing",
                self.now - self.start
            );
        }
        self.now = self.start + end;
        sent
    }

    fn times(&mut self, end: Duration) -> Vec<u128> {
        self.run(end).into_iter().map(|(at, ..)| at.as_millis()).collect()
    }
}

#[test]
fn without_addresses_there_is_nothing_to_do() {
    let mut driven = Driven::new(1_000, 1_000);
    assert_eq!(driven.announcer.next_deadline(), None);
    assert_eq!(driven.announcer.poll(driven.now, MAC), None);
}

#[test]
fn an_ipv4_address_is_announced_seven_times_in_ten_seconds_in_both_forms() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v4(1));
    let sent = driven.run(millis(40_000));
    let times: Vec<_> = sent.iter().step_by(2).map(|(at, ..)| at.as_millis()).collect();
    assert_eq!(times, [0, 100, 300, 1_000, 2_000, 5_000, 10_000]);
    for pair in sent.chunks(2) {
        assert_eq!(pair[0].0, pair[1].0);
        assert_eq!(
            [&pair[0].2, &pair[1].2],
            [&frame::announcement(MAC, v4(1))[0], &frame::announcement(MAC, v4(1))[1]]
        );
    }
}

#[test]
fn an_ipv6_address_is_announced_three_times_one_second_apart() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v6(1));
    assert_eq!(driven.times(millis(40_000)), [0, 1_000, 2_000]);
}

#[test]
fn beginning_again_never_brings_ipv6_announcements_closer_than_a_second() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v6(1));
    let mut times = driven.times(millis(300));
    for end in [400, 900, 1_500, 40_000] {
        driven.start(v6(1));
        times.extend(driven.times(millis(end)));
    }
    assert_eq!(times, [0, 1_000, 2_000, 3_000, 4_000]);
}

#[test]
fn beginning_again_repeats_an_ipv4_address_from_the_start() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v4(1));
    driven.run(millis(20_000));
    driven.start(v4(1));
    let times: Vec<_> = driven.times(millis(21_500)).into_iter().step_by(2).collect();
    assert_eq!(times, [20_000, 20_100, 20_300, 21_000]);
}

#[test]
fn refreshes_come_every_minute_give_or_take_a_fifth() {
    let mut driven = Driven::new(1_000, 1_000);
    (1..=20).for_each(|n| driven.start(v6(n)));
    let sent = driven.run(millis(3_600_000));
    let mut pauses = BTreeSet::new();
    for n in 1..=20 {
        let times: Vec<_> =
            sent.iter().filter(|(_, address, _)| *address == v6(n)).map(|(at, ..)| *at).collect();
        assert!((50..=75).contains(&times.len()), "{} in an hour", times.len());
        for pair in times.windows(2).skip(2) {
            let pause = pair[1] - pair[0];
            assert!((millis(48_000)..=millis(72_000)).contains(&pause), "{pause:?}");
            pauses.insert(pause);
        }
    }
    assert!(pauses.len() > 500, "refreshes must not march in step");
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    let runs = [(); 2].map(|()| {
        let mut driven = Driven::new(1_000, 1_000);
        driven.start(v4(1));
        driven.times(millis(600_000))
    });
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn stop_stops_between_the_two_forms_too() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v4(1));
    assert!(driven.announcer.poll(driven.now, MAC).is_some());
    driven.announcer.stop(v4(1));
    assert_eq!(driven.announcer.poll(driven.now, MAC), None);
    assert_eq!(driven.announcer.next_deadline(), None);

    driven.start(v4(2));
    driven.start(v6(2));
    driven.run(millis(500));
    driven.announcer.stop(v4(2));
    driven.announcer.stop(v6(2));
    driven.announcer.stop(v6(3));
    assert_eq!(driven.announcer.next_deadline(), None);
}

#[test]
fn stop_takes_back_what_waits_for_the_budget() {
    let mut driven = Driven::new(10, 1);
    (1..=3).for_each(|n| driven.start(v6(n)));
    assert!(driven.announcer.poll(driven.now, MAC).is_some());
    assert_eq!(driven.announcer.poll(driven.now, MAC), None);
    driven.announcer.stop(v6(2));
    let sent = driven.run(millis(900));
    assert_eq!(
        sent.iter().map(|(at, address, _)| (at.as_millis(), *address)).collect::<Vec<_>>(),
        [(100, v6(3))]
    );
}

#[test]
fn the_budget_is_kept_over_every_span_of_time() {
    let mut driven = Driven::new(1_000, 200);
    (0..2_000).for_each(|n| driven.start(v4(n)));
    let times: Vec<_> = driven.run(millis(30_000)).into_iter().map(|(at, ..)| at).collect();
    assert_eq!(times.iter().filter(|at| at.is_zero()).count(), 200);
    for window in times.windows(1_201) {
        assert!(window[1_200] - window[0] >= millis(1_000), "more than rate and burst in one second");
    }
    assert!(times[3_999] <= millis(3_801), "4,000 frames took {:?}", times[3_999]);
}

#[test]
fn everyone_is_announced_once_before_anyone_is_repeated() {
    let mut driven = Driven::new(1_000, 1);
    (0..1_000).for_each(|n| driven.start(v4(n)));
    let sent = driven.run(millis(1_998));
    let addresses: BTreeSet<_> = sent.iter().map(|(_, address, _)| *address).collect();
    assert_eq!((sent.len(), addresses.len()), (1_999, 1_000));
}

#[test]
fn n_addresses_of_either_family_are_announced_within_n_frames() {
    let mut driven = Driven::new(1_000, 1);
    (0..500).for_each(|n| driven.start(v4(n)));
    (0..500).for_each(|n| driven.start(v6(n)));
    let sent = driven.run(millis(999));
    let addresses: BTreeSet<_> = sent.iter().map(|(_, address, _)| *address).collect();
    assert_eq!((sent.len(), addresses.len()), (1_000, 1_000));
    let second = driven.run(millis(1_499));
    assert!(second.iter().all(|(_, address, _)| address.is_ipv4()), "then the other form of the IPv4 ones");
}

#[test]
fn addresses_that_clients_asked_for_go_first() {
    let mut driven = Driven::new(100, 1);
    driven.announcer.asked(v6(70), client(1), driven.now);
    (1..=99).for_each(|n| driven.start(v6(n)));
    let order: Vec<_> = driven.run(millis(5)).into_iter().map(|(_, address, _)| address).collect();
    assert_eq!(order, [v6(70)]);
    driven.announcer.asked(v6(50), client(1), driven.now);
    let order: Vec<_> = driven.run(millis(20)).into_iter().map(|(_, address, _)| address).collect();
    assert_eq!(order, [v6(50), v6(1)]);
}

#[test]
fn a_question_is_forgotten_after_a_minute_at_the_latest() {
    let mut driven = Driven::new(100, 1);
    driven.announcer.asked(v6(9), client(1), driven.now);
    driven.now += millis(60_000);
    (1..=9).for_each(|n| driven.start(v6(n)));
    let first = driven.run(millis(60_005));
    assert_eq!(first.iter().map(|(_, address, _)| *address).collect::<Vec<_>>(), [v6(1)]);
}

#[test]
fn a_late_poll_shifts_the_repeats_instead_of_crowding_them() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.start(v4(1));
    driven.start(v6(1));
    driven.run(millis(0));
    driven.now = driven.start + millis(30_000);
    let sent = driven.run(millis(31_500));
    let times = |wanted: IpAddr| -> Vec<_> {
        sent.iter().filter(|(_, address, _)| *address == wanted).map(|(at, ..)| at.as_millis()).collect()
    };
    assert_eq!(times(v6(1)), [30_000, 31_000]);
    assert_eq!(times(v4(1)), [30_000, 30_000, 30_200, 30_200, 30_900, 30_900]);
}

#[test]
fn who_asked_lately_is_told_in_person_after_all_and_again_a_second_later() {
    let mut driven = Driven::new(1_000, 1_000);
    for n in (1..=17).chain([3]) {
        driven.announcer.asked(v4(1), client(n), driven.now);
    }
    driven.start(v4(1));
    let in_person: Vec<_> = driven
        .run(millis(5_000))
        .into_iter()
        .filter(|(_, _, frame)| !frame.starts_with(&MacAddr::BROADCAST.0))
        .map(|(at, _, frame)| (at.as_millis(), frame))
        .collect();
    let IpAddr::V4(address) = v4(1) else { unreachable!() };
    let to = |n: u8| {
        let IpAddr::V4(to) = client(n).address else { unreachable!() };
        crate::frame::arp::reply(MAC, address, client(n).mac, to)
    };
    let told: Vec<u8> = [3].into_iter().chain((4..=17).rev()).chain([2]).collect();
    let expected: Vec<_> =
        [0, 1_000].into_iter().flat_map(|at| told.iter().map(move |n| (at, to(*n)))).collect();
    assert_eq!(in_person, expected, "the last sixteen, whoever asked last first");

    // Across the turn of the periods nobody is told twice, and after a minute nobody at all.
    driven.announcer.stop(v4(1));
    driven.now = driven.start + millis(31_000);
    driven.announcer.asked(v4(1), client(5), driven.now);
    driven.start(v4(1));
    assert_eq!(driven.run(millis(31_050)).len(), 2 + 16);
    driven.announcer.stop(v4(1));
    driven.now = driven.start + millis(200_000);
    driven.start(v4(1));
    assert_eq!(driven.run(millis(200_050)).len(), 2);
}

#[test]
fn a_client_of_the_other_family_is_not_told() {
    let mut driven = Driven::new(1_000, 1_000);
    driven.announcer.asked(v6(1), client(1), driven.now);
    driven.start(v6(1));
    assert_eq!(driven.times(millis(3_000)), [0, 1_000, 2_000]);
}

#[test]
fn all_are_told_before_anybody_is_told_in_person() {
    let mut driven = Driven::new(1_000, 1);
    for n in 0..100 {
        driven.announcer.asked(v4(n), client(1), driven.now);
        driven.start(v4(n));
    }
    let sent = driven.run(millis(199));
    assert!(sent.len() == 200 && sent.iter().all(|(_, _, frame)| frame.starts_with(&MacAddr::BROADCAST.0)));
}

#[test]
fn a_second_after_the_start_and_at_each_refresh_the_segment_is_asked_who_else_has_the_address() {
    for address in [v4(1), v6(1)] {
        let mut driven = Driven::new(1_000, 1_000);
        driven.start(address);
        driven.run(millis(300_000));
        let times: Vec<_> = driven.probes.iter().map(|(at, _)| *at).collect();
        assert!(driven.probes.iter().all(|(_, asked)| *asked == address));
        assert_eq!(times[0], millis(1_000));
        assert!((4..=6).contains(&(times.len() - 1)), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= millis(48_000)));
    }
}
