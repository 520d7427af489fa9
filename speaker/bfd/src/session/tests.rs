// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One side against packets made by hand.

use std::num::{NonZeroU8, NonZeroU32};

use super::*;
use crate::packet::LEN;

const MS: Duration = Duration::from_millis(1);

/// One session with a neighbour that says what the test wants.
struct Play {
    session: Session,
    now: Instant,
    random: fastrand::Rng,
    punctuality: Punctuality,
    outputs: VecDeque<Output>,
}

impl Play {
    fn new(role: Role, timing: Timing) -> Self {
        let path = Path::SingleHop { peer: [192, 0, 2, 1].into(), interface: NonZeroU32::new(2) };
        let session = Session::new(Discriminator::new(10).unwrap(), path, role, timing);
        let mut play = Self {
            session,
            now: Instant::now(),
            random: fastrand::Rng::with_seed(3),
            punctuality: Punctuality::default(),
            outputs: VecDeque::new(),
        };
        play.act(|session, ctx| session.begin(ctx));
        play
    }

    /// Up, at 50 ms × 3 both ways, everything negotiated.
    fn up() -> Self {
        let mut play = Self::new(Role::Active, timing(50, 50, 3));
        play.hear(packet(State::Down));
        play.hear(packet(State::Init));
        play.hear(Packet { final_: true, ..packet(State::Up) });
        play.hear(packet(State::Up));
        assert_eq!(play.session.state, State::Up);
        play.said();
        play
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Session, &mut Context<'_>) -> T) -> T {
        let mut ctx = Context {
            now: self.now,
            random: &mut self.random,
            outputs: &mut self.outputs,
            punctuality: &self.punctuality,
        };
        act(&mut self.session, &mut ctx)
    }

    fn retime(&mut self, timing: Timing) {
        self.act(|session, ctx| {
            session.change(SessionConfig { path: session.path, role: session.role, timing }, ctx)
        });
    }

    fn hear(&mut self, packet: Packet) {
        let received = self.now;
        self.act(|session, ctx| session.receive(&packet, received, ctx)).unwrap();
    }

    /// Lets time pass, serving every deadline in time.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let heard_until = self.now;
            self.act(|session, ctx| session.tick(heard_until, ctx));
        }
        self.now = end;
    }

    fn said(&mut self) -> Vec<Packet> {
        let sent = |output: &Output| match output {
            Output::Send { payload, .. } => Some(Packet::decode(payload).unwrap()),
            Output::Event { .. } => None,
        };
        let said = self.outputs.iter().filter_map(sent).collect();
        self.outputs.retain(|output| matches!(output, Output::Event { .. }));
        said
    }

    fn events(&mut self) -> Vec<Event> {
        let events = self.outputs.iter().filter_map(|output| match output {
            Output::Event { event, .. } => Some(*event),
            Output::Send { .. } => None,
        });
        let events = events.collect();
        self.outputs.clear();
        events
    }
}

fn timing(tx: u32, rx: u32, multiplier: u8) -> Timing {
    Timing::new(Interval::from_millis(tx), Interval::from_millis(rx), multiplier).unwrap()
}

/// What a neighbour says that knows us and wants 50 ms × 3.
fn packet(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        final_: false,
        control_plane_independent: false,
        demand: false,
        multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::new(20).unwrap(),
        your_discriminator: Discriminator::new(10),
        desired_min_tx: Interval::from_millis(50),
        required_min_rx: Interval::from_millis(50),
        required_min_echo_rx: Interval::ZERO,
    }
}

#[test]
fn until_it_is_up_a_session_sends_at_most_once_a_second() {
    let mut play = Play::new(Role::Active, timing(50, 50, 3));
    play.pass(MS * 100_000);
    let said = play.said();
    assert!((101..=134).contains(&said.len()), "{}", said.len());
    assert!(said.iter().all(|packet| packet.desired_min_tx == Interval::SLOW && packet.state == State::Down));
    assert!(said.iter().all(|packet| packet.your_discriminator.is_none() && !packet.poll));
}

#[test]
fn a_passive_side_speaks_once_it_heard_somebody_and_until_it_forgot_him() {
    let mut play = Play::new(Role::Passive, timing(50, 50, 3));
    play.pass(MS * 10_000);
    assert_eq!(play.said(), []);
    play.hear(Packet { your_discriminator: None, ..packet(State::Down) });
    let said = play.said();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].state, said[0].your_discriminator), (State::Init, Discriminator::new(20)));
    play.pass(MS * 10_000);
    assert_eq!(play.said(), [], "the detection time passed before the next packet was due");
    assert!(play.session.neighbour.is_none());
}

#[test]
fn both_ways_to_come_up_lead_there_and_to_the_wanted_speed_by_a_poll() {
    for first in [State::Down, State::Init] {
        let mut play = Play::new(Role::Active, timing(50, 50, 3));
        play.hear(packet(first));
        if first == State::Down {
            play.hear(packet(State::Init));
        }
        assert_eq!(play.events(), [Event::Up]);
        play.hear(packet(State::Up));
        play.pass(MS * 140);
        let said = play.said();
        assert!((2..=4).contains(&said.len()), "{}", said.len());
        assert!(said.iter().all(|said| said.poll && said.desired_min_tx == Interval::from_millis(50)));
        play.hear(Packet { final_: true, ..packet(State::Up) });
        play.pass(MS * 60);
        assert!(play.said().iter().all(|said| !said.poll));
    }
}

#[test]
fn silence_for_the_detection_time_is_the_end_and_the_neighbour_is_forgotten() {
    let mut play = Play::up();
    play.events();
    play.pass(MS * 149);
    assert_eq!(play.events(), []);
    play.pass(MS);
    let cause = DownCause::DetectionTimeExpired(MS * 150);
    let down = Down { cause, late: Late::NeighbourOrPath, control_plane_independent: false };
    let said = play.said();
    assert_eq!(play.events(), [Event::Down(down)]);
    assert_eq!(said.len(), 1, "said at once");
    assert_eq!(
        (said[0].state, said[0].diagnostic, said[0].your_discriminator, said[0].desired_min_tx),
        (State::Down, Diagnostic::DETECTION_TIME_EXPIRED, None, Interval::SLOW)
    );
}

#[test]
fn the_detection_time_is_the_neighbours_multiplier_not_ours() {
    let mut play = Play::up();
    play.hear(Packet { multiplier: NonZeroU8::new(10).unwrap(), ..packet(State::Up) });
    assert_eq!(play.session.view().detection_time, Some(MS * 500));
    play.hear(Packet { desired_min_tx: Interval::from_millis(200), ..packet(State::Up) });
    assert_eq!(play.session.view().detection_time, Some(MS * 600));
}

#[test]
fn packets_that_lay_in_a_buffer_count_from_when_they_were_received() {
    let mut play = Play::up();
    play.events();
    let start = play.now;
    play.now += MS * 400;
    // Two came in time, and we read them late.
    for received in [start + MS * 100, start + MS * 249] {
        play.act(|session, ctx| session.receive(&packet(State::Up), received, ctx)).unwrap();
    }
    assert_eq!(play.events(), []);
    // Nobody is given up on what the sockets held at the last look.
    play.act(|session, ctx| session.tick(start + MS * 398, ctx));
    assert_eq!(play.events(), []);
    // This one came too late, whenever we read it.
    play.act(|session, ctx| session.receive(&packet(State::Up), start + MS * 400, ctx)).unwrap();
    assert!(matches!(play.events()[..], [Event::Down(_)]));
    assert_eq!(play.session.state, State::Down, "the neighbour believes in what we gave up");
}

#[test]
fn an_end_during_our_own_standing_still_is_ours() {
    let mut play = Play::up();
    play.events();
    let start = play.now;
    play.now += MS * 1000;
    play.punctuality.acts(play.now, Some(start + MS * 40));
    let heard_until = play.now;
    play.act(|session, ctx| session.tick(heard_until, ctx));
    let [Event::Down(down)] = play.events()[..] else { panic!("no end") };
    assert_eq!(down.late, Late::We(MS * 110), "of the 150 ms in question");
}

#[test]
fn a_neighbour_that_did_not_hear_us_names_the_side_that_was_late() {
    let gave_up = Packet { diagnostic: Diagnostic::DETECTION_TIME_EXPIRED, ..packet(State::Down) };
    let cause = DownCause::NeighbourDown(Diagnostic::DETECTION_TIME_EXPIRED);
    for (silent, late) in [(0, Late::NeighbourOrPath), (900, Late::We(MS * 900))] {
        let mut play = Play::up();
        play.pass(MS * 30);
        play.said();
        play.hear(Packet { poll: true, ..packet(State::Up) });
        play.events();
        play.now += MS * silent;
        let received = play.now - MS * silent;
        play.act(|session, ctx| session.receive(&gave_up, received, ctx)).unwrap();
        let down = Down { cause, late, control_plane_independent: false };
        assert_eq!(play.events(), [Event::Down(down)]);
    }
}

#[test]
fn a_neighbour_out_of_service_is_no_failure_and_may_come_back() {
    let mut play = Play::up();
    play.events();
    play.hear(Packet { diagnostic: Diagnostic::ADMINISTRATIVELY_DOWN, ..packet(State::AdminDown) });
    let [Event::Down(down)] = play.events()[..] else { panic!("no end") };
    assert_eq!(
        (down.cause, down.late, down.is_failure()),
        (DownCause::NeighbourAdminDown, Late::Neither, false)
    );
    assert_eq!(play.session.diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
    play.pass(MS * 3000);
    play.hear(Packet { your_discriminator: None, ..packet(State::Down) });
    play.hear(packet(State::Up));
    assert_eq!(play.events(), [Event::Up]);
}

#[test]
fn a_stopped_session_says_so_until_the_neighbour_answers_or_its_detection_time_is_over() {
    for answers in [true, false] {
        let mut play = Play::up();
        play.act(|session, ctx| session.stop(ctx));
        let said = play.said();
        assert_eq!(said.len(), 1);
        assert_eq!(
            (said[0].state, said[0].diagnostic, said[0].your_discriminator),
            (State::AdminDown, Diagnostic::ADMINISTRATIVELY_DOWN, Discriminator::new(20))
        );
        let now = play.now;
        let refused = play.act(|session, ctx| session.receive(&packet(State::Up), now, ctx));
        assert_eq!(refused, Err(Discard::AdminDown));
        assert!(!play.session.is_over(play.now), "it did not know yet");
        if answers {
            let refused = play.act(|session, ctx| session.receive(&packet(State::Down), now, ctx));
            assert_eq!(refused, Err(Discard::AdminDown));
        } else {
            play.now += MS * 2999;
            assert!(!play.session.is_over(play.now));
            play.now += MS;
        }
        assert!(play.session.is_over(play.now), "answers: {answers}");
    }
}

#[test]
fn a_poll_is_answered_at_once_but_not_each_of_a_flood() {
    let mut play = Play::up();
    for _ in 0..1000 {
        play.hear(Packet { poll: true, ..packet(State::Up) });
    }
    let said = play.said();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].final_, said[0].poll, said[0].state), (true, false, State::Up));
    play.now += MS * 10;
    play.hear(Packet { poll: true, ..packet(State::Up) });
    assert_eq!(play.said().len(), 1);
}

#[test]
fn a_neighbour_that_wants_no_packets_gets_none_but_answers() {
    let mut play = Play::up();
    play.hear(Packet { required_min_rx: Interval::ZERO, ..packet(State::Up) });
    play.pass(MS * 140);
    assert_eq!(play.said(), []);
    play.hear(Packet { required_min_rx: Interval::ZERO, poll: true, ..packet(State::Up) });
    assert!(matches!(play.said()[..], [Packet { final_: true, .. }]));
}

#[test]
fn a_neighbour_in_demand_mode_gets_no_packets_but_polls() {
    let demanding = Packet { demand: true, ..packet(State::Up) };
    let mut play = Play::up();
    play.hear(demanding);
    play.pass(MS * 140);
    assert_eq!(play.said(), []);
    play.hear(demanding);
    play.retime(timing(100, 50, 3));
    play.pass(MS * 140);
    assert!(play.said().len() >= 2, "a poll goes on until it is answered");
    play.hear(Packet { final_: true, ..demanding });
    play.pass(MS * 140);
    assert_eq!(play.said(), []);
}

#[test]
fn a_neighbour_that_asks_for_less_gets_less_and_one_that_asks_for_more_gets_it_at_once() {
    let mut play = Play::up();
    play.hear(Packet { required_min_rx: Interval::from_millis(1000), ..packet(State::Up) });
    assert_eq!(play.session.view().transmit_interval, Some(Interval::from_millis(1000)));
    play.pass(MS * 120);
    play.said();
    play.hear(packet(State::Up));
    play.pass(Duration::ZERO);
    assert_eq!(play.said().len(), 1, "the shorter interval has passed already");
}

#[test]
fn new_times_are_asked_for_and_kept_as_the_rfc_says() {
    let mut play = Play::up();
    play.retime(timing(400, 20, 5));
    let said = play.said();
    assert!(said[0].poll && said[0].multiplier.get() == 5);
    assert_eq!(
        (said[0].desired_min_tx, said[0].required_min_rx),
        (Interval::from_millis(400), Interval::from_millis(20))
    );
    let view = play.session.view();
    assert_eq!(
        (view.transmit_interval, view.detection_time),
        (Some(Interval::from_millis(50)), Some(MS * 150))
    );
    assert!(view.polling);
    play.hear(Packet { final_: true, desired_min_tx: Interval::from_millis(20), ..packet(State::Up) });
    let view = play.session.view();
    assert_eq!(
        (view.transmit_interval, view.detection_time),
        (Some(Interval::from_millis(400)), Some(MS * 60))
    );
    assert_eq!(play.session.counts.downs, 0);
}

#[test]
fn a_neighbour_that_restarts_ends_the_session_and_nobody_was_late() {
    let mut play = Play::up();
    play.events();
    let anew = Packet {
        my_discriminator: Discriminator::new(21).unwrap(),
        your_discriminator: None,
        ..packet(State::Down)
    };
    play.hear(anew);
    let [Event::Down(down)] = play.events()[..] else { panic!("no end") };
    assert_eq!((down.cause, down.late), (DownCause::NeighbourDown(Diagnostic::NONE), Late::Neither));
    assert!(down.is_failure());
    play.hear(Packet { my_discriminator: Discriminator::new(21).unwrap(), ..packet(State::Init) });
    assert_eq!(play.events(), [Event::Up]);
}

#[test]
fn every_state_hears_every_state_as_the_table_says_and_tells_it() {
    for (own, said) in State::ALL.into_iter().flat_map(|own| State::ALL.map(|said| (own, said))) {
        let mut play = match own {
            State::AdminDown | State::Up => Play::up(),
            State::Down | State::Init => Play::new(Role::Active, timing(50, 50, 3)),
        };
        match own {
            State::AdminDown => play.act(|session, ctx| session.stop(ctx)),
            State::Init => play.hear(packet(State::Down)),
            State::Down | State::Up => {}
        }
        assert_eq!(play.session.state, own);
        play.outputs.clear();
        let now = play.now;
        let verdict = play.act(|session, ctx| session.receive(&packet(said), now, ctx));
        assert_eq!(verdict.is_err(), own == State::AdminDown);
        let next = own.on_hearing(said);
        assert_eq!(play.session.state, next);
        let told = play.said();
        if next != own {
            assert_eq!(told.first().map(|packet| packet.state), Some(next), "{own} hears {said}");
        }
        if next == State::Down && own != State::Down {
            assert_eq!(play.session.diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
        }
        assert_eq!(play.events().len(), usize::from((own == State::Up) != (next == State::Up)));
    }
}

#[test]
fn payloads_are_whole_packets() {
    let mut play = Play::new(Role::Active, Timing::DEFAULT);
    let Some(Output::Send { payload, session }) = play.outputs.pop_front() else { panic!("silent") };
    assert_eq!((payload.len(), session.number()), (LEN, 10));
}
