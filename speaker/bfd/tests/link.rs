// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two engines on a virtual link that loses and delays packets: they come up, they notice a dead link in time, and never does one
//! side stay up alone.

#![cfg(test)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use ferrolb_bfd::{
    Arrival, Discriminator, Down, DownCause, Engine, Event, Hops, Input, Interval, Late, Output, Path, Role,
    SessionConfig, SessionView, State, Timing,
};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// One direction of the link.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Packets lost of a hundred.
    loss: u32,
    delay: Duration,
    /// Up to so much more.
    spread: Duration,
}

impl Way {
    const GOOD: Self = Self { loss: 0, delay: MS, spread: Duration::ZERO };
    const CUT: Self = Self { loss: 100, ..Self::GOOD };
}

struct Side {
    engine: Engine,
    session: Discriminator,
    /// Its process does nothing until then; the kernel still takes packets.
    stands_still: Instant,
    /// What the kernel took meanwhile.
    buffer: Vec<(Instant, Vec<u8>)>,
    events: Vec<(Instant, Event)>,
}

struct World {
    now: Instant,
    sides: [Side; 2],
    /// From each side to the other.
    ways: [Way; 2],
    /// When which side gets what.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    random: fastrand::Rng,
}

fn address(side: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, if side == 0 { 1 } else { 2 }).into()
}

fn timing((tx, rx, multiplier): (u32, u32, u8)) -> Timing {
    Timing::new(Interval::from_millis(tx), Interval::from_millis(rx), multiplier).unwrap()
}

impl World {
    fn new(seed: u64, timings: [Timing; 2], roles: [Role; 2], ways: [Way; 2]) -> Self {
        let now = Instant::now();
        let side = |number: usize| {
            let mut engine = Engine::new(seed ^ number as u64);
            let path = Path::SingleHop { peer: address(1 - number), interface: None };
            let config = SessionConfig { path, role: roles[number], timing: timings[number] };
            let session = engine.add(now, config).unwrap();
            Side { engine, session, stands_still: now, buffer: Vec::new(), events: Vec::new() }
        };
        let mut world = Self {
            now,
            sides: [side(0), side(1)],
            ways,
            flying: BTreeMap::new(),
            sent: 0,
            random: fastrand::Rng::with_seed(seed),
        };
        world.collect(0);
        world.collect(1);
        world
    }

    fn view(&self, side: usize) -> SessionView {
        self.sides[side].engine.view(self.sides[side].session).unwrap()
    }

    fn retime(&mut self, side: usize, timing: Timing) {
        let SessionView { discriminator, path, role, .. } = self.view(side);
        let config = SessionConfig { path, role, timing };
        self.sides[side].engine.change(self.now, discriminator, config).unwrap();
        self.collect(side);
    }

    fn states(&self) -> [State; 2] {
        [self.view(0).state, self.view(1).state]
    }

    /// Puts what a side says on the link.
    fn collect(&mut self, side: usize) {
        while let Some(output) = self.sides[side].engine.poll_output() {
            match output {
                Output::Send { payload, .. } => {
                    let way = self.ways[side];
                    self.sent += 1;
                    if self.random.u32(0..100) >= way.loss {
                        let spread = self.random.u64(0..=way.spread.as_micros() as u64);
                        let at = self.now + way.delay + Duration::from_micros(spread);
                        self.flying.insert((at, self.sent), (1 - side, payload.to_vec()));
                    }
                }
                Output::Event { event, .. } => self.sides[side].events.push((self.now, event)),
            }
        }
    }

    fn wakes(&self, side: usize) -> Option<Instant> {
        let side = &self.sides[side];
        let due = if side.buffer.is_empty() { side.engine.next_deadline()? } else { self.now };
        Some(due.max(side.stands_still))
    }

    /// What a driver does when it wakes up.
    fn wake(&mut self, number: usize) {
        let (now, side) = (self.now, &mut self.sides[number]);
        for (received, payload) in std::mem::take(&mut side.buffer) {
            let arrival = Arrival {
                source: address(1 - number),
                destination: address(number),
                interface: None,
                hops: Hops::Single,
                ttl: 255,
                received,
            };
            side.engine.handle(now, Input::Packet { payload: &payload, arrival });
        }
        side.engine.handle(now, Input::Timeout { heard_until: now });
        assert!(side.engine.next_deadline().is_none_or(|at| at > now), "a deadline that is met stays due");
        self.collect(number);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrives = self.flying.first_key_value().map(|((at, _), _)| *at);
            let wakes = [self.wakes(0), self.wakes(1)];
            let Some(next) = wakes.into_iter().chain([arrives]).flatten().min().filter(|at| *at <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if arrives == Some(next) {
                if let Some((_, (side, payload))) = self.flying.pop_first() {
                    self.sides[side].buffer.push((self.now, payload));
                }
            } else if wakes[0] == Some(next) {
                self.wake(0);
            } else {
                self.wake(1);
            }
        }
    }

    /// Both are up and have agreed on their times.
    fn settled(&self) -> bool {
        self.states() == [State::Up; 2] && !self.view(0).polling && !self.view(1).polling
    }

    fn until_settled(&mut self, within: Duration) {
        let end = self.now + within;
        while !self.settled() {
            assert!(self.now < end, "not up after {within:?}: {:?}, {:?}", self.view(0), self.view(1));
            self.pass(MS * 10);
        }
    }
}

fn timings() -> impl Strategy<Value = (u32, u32, u8)> {
    (10u32..1500, 10u32..1500, 1u8..6)
}

fn roles() -> impl Strategy<Value = [Role; 2]> {
    use Role::{Active, Passive};
    prop_oneof![Just([Active, Active]), Just([Active, Passive]), Just([Passive, Active])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn two_sides_come_up_agree_and_notice_a_cut_within_the_detection_time(
        seed: u64,
        left in timings(),
        right in timings(),
        roles in roles(),
        delay in 0u64..40,
        both_ways: bool,
    ) {
        let timings = [timing(left), timing(right)];
        let way = Way { delay: MS * delay as u32, ..Way::GOOD };
        let mut world = World::new(seed, timings, roles, [way; 2]);
        world.until_settled(MS * 30_000);
        // Nobody goes down of himself, and both go by the slower wish of each direction.
        world.pass(MS * 60_000);
        prop_assert!(world.settled());
        for side in [0, 1] {
            prop_assert_eq!(world.sides[side].events.len(), 1);
            let (own, other) = (timings[side], timings[1 - side]);
            let interval = own.desired_tx().max(other.required_rx());
            prop_assert_eq!(world.view(side).transmit_interval, Some(interval));
            let time = interval.as_duration() * u32::from(own.multiplier().get());
            prop_assert_eq!(world.view(1 - side).detection_time, Some(time));
        }

        world.ways = if both_ways { [Way::CUT; 2] } else { [Way::CUT, way] };
        let cut = world.now;
        let times = [0, 1].map(|side| world.view(side).detection_time.unwrap());
        world.pass(times[0].max(times[1]) + way.delay * 2 + MS);
        let noticed = |side: usize| match world.sides[side].events[..] {
            [(_, Event::Up), (at, Event::Down(down))] => Some((at - cut, down)),
            _ => None,
        };
        // The side that no longer hears.
        let (after, down) = noticed(1).expect("the cut was noticed");
        prop_assert!(after <= times[1] + way.delay, "{after:?} for {:?}", times[1]);
        prop_assert_eq!((down.cause, down.late), (DownCause::DetectionTimeExpired(times[1]), Late::NeighbourOrPath));
        if both_ways {
            prop_assert!(noticed(0).expect("noticed").0 <= times[0] + way.delay);
        } else if roles[1] == Role::Active {
            // The other one is told.
            let down = noticed(0).expect("told").1;
            prop_assert_eq!(down.late, Late::NeighbourOrPath);
        }
        world.ways = [way; 2];
        world.until_settled(MS * 30_000);
    }

    #[test]
    fn on_a_bad_link_no_side_stays_up_alone_and_a_good_one_heals(
        seed: u64,
        left in timings(),
        right in timings(),
        roles in roles(),
        loss in (0u32..90, 0u32..90),
        spread in 0u64..400,
        changes in prop::collection::vec((0usize..2, timings()), 0..4),
    ) {
        let way = |loss| Way { loss, delay: MS, spread: MS * spread as u32 };
        let mut world = World::new(seed, [timing(left), timing(right)], roles, [way(loss.0), way(loss.1)]);
        let (mut alone_for, mut before) = (Duration::ZERO, [None; 2]);
        let mut changes = changes.into_iter();
        for second in 0..300 {
            if second % 60 == 30 && let Some((side, wanted)) = changes.next() {
                world.retime(side, timing(wanted));
            }
            world.pass(MS * 1000);
            // Who went down and came up again in between starts anew.
            let ups = [0, 1].map(|side| world.view(side).up_since);
            let alone = ups.iter().flatten().count() == 1;
            alone_for = if alone && ups == before { alone_for + MS * 1000 } else { Duration::ZERO };
            before = ups;
            // The longest detection time that is possible here, thrice: the end may get lost on the way, too.
            prop_assert!(alone_for <= MS * 1500 * 5 * 3, "alone for {alone_for:?}: {:?}, {:?}", world.view(0), world.view(1));
        }
        world.ways = [Way::GOOD; 2];
        world.until_settled(MS * 40_000);
    }
}

#[test]
fn a_side_that_stands_still_is_named_by_both() {
    let timings = [timing((50, 50, 3)); 2];
    let mut world = World::new(5, timings, [Role::Active; 2], [Way::GOOD; 2]);
    world.until_settled(MS * 10_000);
    world.sides[0].stands_still = world.now + MS * 2000;
    world.pass(MS * 10_000);
    let down = |side: usize| {
        world.sides[side].events.iter().find_map(|(_, event)| match event {
            Event::Down(down) => Some(*down),
            Event::Up | Event::Gone => None,
        })
    };
    let seen = Down {
        cause: DownCause::DetectionTimeExpired(MS * 150),
        late: Late::NeighbourOrPath,
        control_plane_independent: false,
    };
    assert_eq!(down(1), Some(seen));
    // The other one reads, when it goes on, that it was given up, and knows whose fault that was.
    assert!(
        matches!(down(0), Some(Down { cause: DownCause::NeighbourDown(_), late: Late::We(still), .. }) if still > MS * 1900)
    );
    assert!(world.sides[0].engine.stalls() > 0);
    assert!(world.settled(), "they are up again");
}

#[test]
fn a_process_that_stands_still_for_less_than_the_detection_time_ends_nothing() {
    let timings = [timing((100, 100, 3)); 2];
    let mut world = World::new(5, timings, [Role::Active; 2], [Way::GOOD; 2]);
    world.until_settled(MS * 10_000);
    for _ in 0..200 {
        world.sides[0].stands_still = world.now + MS * 190;
        world.pass(MS * 500);
    }
    assert_eq!(world.sides.each_ref().map(|side| side.events.len()), [1, 1]);
}

#[test]
fn a_clean_stop_is_no_failure_and_both_forget_it() {
    let mut world = World::new(5, [Timing::DEFAULT; 2], [Role::Active; 2], [Way::GOOD; 2]);
    world.until_settled(MS * 10_000);
    let (now, session) = (world.now, world.sides[0].session);
    world.sides[0].engine.stop(now, session).unwrap();
    world.collect(0);
    world.pass(MS * 10);
    let Some((_, Event::Down(down))) = world.sides[1].events.last() else { panic!("not told") };
    assert!(!down.is_failure());
    assert!(matches!(world.sides[0].events.last(), Some((_, Event::Gone))), "the answer came");
    assert_eq!(world.sides[0].engine.next_deadline(), None);
}

#[test]
fn many_changes_of_times_end_no_session_and_the_last_one_counts() {
    let mut world =
        World::new(5, [Timing::DEFAULT; 2], [Role::Active; 2], [Way { delay: MS * 20, ..Way::GOOD }; 2]);
    world.until_settled(MS * 10_000);
    let mut random = fastrand::Rng::with_seed(9);
    for round in 0..500 {
        let wanted = timing((random.u32(10..2000), random.u32(10..2000), random.u8(1..6)));
        world.retime(round % 2, wanted);
        world.pass(MS * random.u32(0..3000));
    }
    for side in [0, 1] {
        world.retime(side, timing((70, 90, 4)));
    }
    world.pass(MS * 20_000);
    assert!(world.settled());
    for side in [0, 1] {
        assert_eq!(world.sides[side].events.len(), 1, "side {side}: {:?}", world.sides[side].events);
        assert_eq!(world.view(side).transmit_interval, Some(Interval::from_millis(90)));
    }
}
