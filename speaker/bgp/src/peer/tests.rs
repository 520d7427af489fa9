// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One peer, driven by hand.

use super::*;
use crate::{
    capability::RestartTime,
    error::{PeerAs, Stop},
    family::{Families, Family},
    fault::Fault,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    message::Kind,
    restart::{Beginning, Restart},
    testing::modern,
};

const SECOND: Duration = Duration::from_secs(1);

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn router(last: u8) -> RouterId {
    RouterId::new([10, 77, 0, last].into()).unwrap()
}

/// We are AS 65001 and 10.77.0.5.
fn config(role: Role) -> PeerConfig {
    PeerConfig {
        local_as: asn(65_001),
        peer_as: PeerAs::Exactly(asn(65_002)),
        router_id: router(5),
        hold_time: HoldTime::from_secs(90).unwrap(),
        keepalive: None,
        role,
        retry: SECOND * 10,
        capabilities: modern(),
        restart: Some(Restart::new(RestartTime::MAX, Beginning::Restarted)),
    }
}

/// The OPEN of AS 65002 with this identifier.
fn open(last: u8) -> Open {
    Open {
        asn: asn(65_002),
        hold_time: HoldTime::from_secs(90).unwrap(),
        router_id: router(last),
        capabilities: modern(),
    }
}

struct Play {
    peer: Peer,
    now: Instant,
}

impl Play {
    fn new(role: Role) -> Self {
        let mut play = Self { peer: Peer::new(config(role), 1), now: Instant::now() };
        play.give(Input::Ready);
        play
    }

    fn give(&mut self, input: Input<'_>) {
        self.peer.handle(self.now, input);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.peer.poll_output()).collect()
    }

    /// Connects when asked to.
    fn connect(&mut self) -> ConnectionId {
        let (id, _) = self.peer.attempt.expect("an attempt");
        self.give(Input::Connected(id));
        id
    }

    fn hear(&mut self, id: ConnectionId, message: Message<'_>) {
        self.give(Input::Message(id, message));
    }

    fn establish(&mut self, id: ConnectionId, open: Open) {
        self.hear(id, Message::Open(open));
        self.hear(id, Message::Keepalive);
        assert_eq!(self.peer.state(), State::Established);
    }

    /// A session over our connection, which was told already.
    fn established(role: Role) -> (Self, ConnectionId) {
        let mut play = Self::new(role);
        let id = match role {
            Role::Active => play.connect(),
            Role::Passive => play.peer.accept(play.now).unwrap(),
        };
        play.establish(id, open(9));
        play.outputs();
        (play, id)
    }

    /// Serves deadlines until then.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.peer.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.give(Input::Timeout);
        }
        self.now = end;
    }
}

fn events(outputs: &[Output]) -> Vec<&Event> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None })
        .collect()
}

fn told(outputs: &[Output]) -> Vec<(ConnectionId, Code)> {
    let told = |output: &Output| match output {
        Output::Send(id, Message::Notification(said)) => Some((*id, said.code())),
        _ => None,
    };
    outputs.iter().filter_map(told).collect()
}

#[test]
fn nothing_happens_before_we_are_ready() {
    let mut play = Play { peer: Peer::new(config(Role::Active), 1), now: Instant::now() };
    assert_eq!((play.peer.state(), play.peer.next_deadline()), (State::Idle, None));
    assert_eq!(play.peer.accept(play.now).unwrap_err().code(), Code::CONNECTION_REJECTED);
    play.give(Input::Timeout);
    assert_eq!(play.outputs(), []);
    play.give(Input::Ready);
    assert!(matches!(play.outputs()[..], [Output::Connect(_)]));
    assert_eq!(play.peer.state(), State::Connect);
}

#[test]
fn a_session_is_set_up_step_by_step() {
    let mut play = Play::new(Role::Active);
    let id = play.connect();
    assert_eq!(play.peer.state(), State::OpenSent);
    let outputs = play.outputs();
    let [Output::Connect(_), Output::Send(_, Message::Open(ours))] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((ours.asn, ours.router_id), (asn(65_001), router(5)));
    assert!(ours.capabilities.graceful_restart.unwrap().restarted);
    play.hear(id, Message::Open(open(9)));
    assert_eq!(play.peer.state(), State::OpenConfirm);
    assert_eq!(play.outputs(), [Output::Send(id, Message::Keepalive)]);
    play.hear(id, Message::Keepalive);
    assert_eq!(play.peer.state(), State::Established);
    let outputs = play.outputs();
    let [Output::Event(Event::Established(over, agreed))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*over, agreed.families), (id, Families::BOTH));
    let view = play.peer.view();
    assert_eq!((view.established, view.direction), (Some(play.now), Some(Direction::Outgoing)));
    assert_eq!((view.counts.received(Kind::Open), view.counts.sent(Kind::Keepalive)), (1, 1));
}

#[test]
fn a_passive_side_waits_and_an_active_one_takes_connections_too() {
    let mut play = Play::new(Role::Passive);
    assert_eq!((play.peer.state(), play.peer.next_deadline()), (State::Active, None));
    let id = play.peer.accept(play.now).unwrap();
    play.establish(id, open(9));
    assert_eq!(play.peer.view().direction, Some(Direction::Incoming));

    let mut play = Play::new(Role::Active);
    let attempt = play.peer.attempt.unwrap().0;
    let id = play.peer.accept(play.now).unwrap();
    play.establish(id, open(9));
    assert!(play.outputs().contains(&Output::Close(attempt)), "the attempt is not needed any more");
    play.give(Input::Connected(attempt));
    assert_eq!(play.peer.connections.len(), 1, "it came too late");
}

#[test]
fn attempts_that_fail_are_repeated_at_growing_intervals() {
    let mut play = Play::new(Role::Active);
    for most in [1, 2, 4, 8, 10, 10] {
        let (id, _) = play.peer.attempt.unwrap();
        play.give(Input::ConnectFailed(id, ErrorKind::ConnectionRefused));
        assert_eq!(play.peer.state(), State::Active);
        let pause = play.peer.next_deadline().unwrap() - play.now;
        assert!(pause <= SECOND * most && pause >= SECOND * most * 3 / 4, "{pause:?} of {most} s");
        play.outputs();
        play.pass(pause);
        assert!(matches!(play.outputs()[..], [Output::Connect(_)]));
    }
    assert!(play.peer.accept(play.now).is_ok(), "the peer may come first");
    assert_eq!(play.peer.view().counts.failures, 6);
}

#[test]
fn an_attempt_without_an_answer_is_given_up_and_hints_at_the_password() {
    let mut play = Play::new(Role::Active);
    let (id, _) = play.peer.attempt.unwrap();
    play.outputs();
    play.pass(SECOND * 10);
    let outputs = play.outputs();
    assert_eq!(outputs[0], Output::Close(id));
    let (_, error) = play.peer.view().last_error.unwrap();
    assert_eq!(error, Ending::NoConnection(ErrorKind::TimedOut));
    assert!(error.to_string().contains("TCP MD5"));
}

#[test]
fn of_two_connections_the_one_of_the_higher_identifier_is_kept_in_both_orders() {
    // RFC 4271, section 6.8. We are .5.
    for (theirs, kept) in [(4, Direction::Outgoing), (9, Direction::Incoming)] {
        for outgoing_first in [true, false] {
            let mut play = Play::new(Role::Active);
            let outgoing = play.connect();
            let incoming = play.peer.accept(play.now).unwrap();
            play.outputs();
            let (first, second) = if outgoing_first { (outgoing, incoming) } else { (incoming, outgoing) };
            play.hear(first, Message::Open(open(theirs)));
            play.hear(second, Message::Open(open(theirs)));
            let loser = if kept == Direction::Outgoing { incoming } else { outgoing };
            let outputs = play.outputs();
            assert_eq!(told(&outputs), [(loser, Code::CONNECTION_COLLISION)]);
            assert!(outputs.contains(&Output::Close(loser)));
            assert_eq!(events(&outputs), Vec::<&Event>::new(), "no news for anybody");
            let winner = if kept == Direction::Outgoing { outgoing } else { incoming };
            play.hear(winner, Message::Keepalive);
            assert_eq!(play.peer.view().direction, Some(kept));
            assert_eq!(play.peer.view().last_error, None);
        }
    }
}

#[test]
fn with_equal_identifiers_the_higher_autonomous_system_decides() {
    // RFC 6286, section 2.3.
    let mut play = Play::new(Role::Active);
    let outgoing = play.connect();
    let incoming = play.peer.accept(play.now).unwrap();
    play.hear(outgoing, Message::Open(open(5)));
    play.hear(incoming, Message::Open(open(5)));
    assert_eq!(told(&play.outputs()), [(outgoing, Code::CONNECTION_COLLISION)]);
}

#[test]
fn a_session_wins_against_a_connection() {
    let mut play = Play::new(Role::Active);
    let outgoing = play.connect();
    let incoming = play.peer.accept(play.now).unwrap();
    play.outputs();
    play.establish(outgoing, open(9));
    assert_eq!(told(&play.outputs()), [(incoming, Code::CONNECTION_COLLISION)]);
    play.hear(incoming, Message::Open(open(9)));
    assert_eq!(play.peer.state(), State::Established);
    assert_eq!(play.peer.accept(play.now).unwrap_err().code(), Code::CONNECTION_COLLISION);
    assert_eq!(play.peer.state(), State::Established);
}

#[test]
fn the_later_of_two_connections_of_the_peer_is_kept() {
    let mut play = Play::new(Role::Passive);
    let first = play.peer.accept(play.now).unwrap();
    let second = play.peer.accept(play.now).unwrap();
    assert_eq!(told(&play.outputs()), [(first, Code::CONNECTION_COLLISION)]);
    play.establish(second, open(9));
}

#[test]
fn a_peer_that_knows_graceful_restart_may_begin_anew() {
    // RFC 4724, section 5.
    let mut play = Play::new(Role::Passive);
    let first = play.peer.accept(play.now).unwrap();
    let restart = Restart::new(RestartTime::MAX, Beginning::Fresh).capability(Families::BOTH);
    let mut theirs = open(9);
    theirs.capabilities.graceful_restart = Some(restart);
    play.establish(first, theirs.clone());
    play.outputs();
    let second = play.peer.accept(play.now).unwrap();
    let outputs = play.outputs();
    assert_eq!(told(&outputs), [], "it would not hear it");
    assert_eq!(outputs[0], Output::Close(first));
    assert_eq!(events(&outputs), [&Event::Down(Ending::Superseded)]);
    play.establish(second, theirs);
}

#[test]
fn an_end_is_told_paused_after_and_tried_again() {
    let wrong_as = Open { asn: asn(65_009), ..open(9) };
    type Cause<'a> = Box<dyn Fn(&mut Play, ConnectionId) + 'a>;
    let cases: [(Cause<'_>, Option<Code>); 5] = [
        (Box::new(|play, id| play.hear(id, Message::Open(wrong_as.clone()))), Some(Code::BAD_PEER_AS)),
        (
            Box::new(|play, id| play.give(Input::Fault(id, Fault::HoldTime(1)))),
            Some(Code::UNACCEPTABLE_HOLD_TIME),
        ),
        (Box::new(|play, id| play.hear(id, Message::Keepalive)), Some(Code::UNEXPECTED_IN_OPEN_SENT)),
        (Box::new(|play, _| play.pass(SECOND * 60)), Some(Code::HOLD_TIMER_EXPIRED)),
        (
            Box::new(|play, _| play.give(Input::Reset("new password".to_owned()))),
            Some(Code::ADMINISTRATIVE_RESET),
        ),
    ];
    for (cause, code) in cases {
        let mut play = Play::new(Role::Active);
        let id = play.connect();
        play.outputs();
        cause(&mut play, id);
        let outputs = play.outputs();
        assert_eq!(told(&outputs), code.map(|code| (id, code)).into_iter().collect::<Vec<_>>());
        assert!(outputs.contains(&Output::Close(id)));
        assert!(matches!(events(&outputs)[..], [Event::Failed(_)]));
        assert_eq!(play.peer.state(), State::Idle);
        assert_eq!(play.peer.accept(play.now).unwrap_err().code(), Code::CONNECTION_REJECTED);
        play.pass(SECOND);
        assert_eq!(play.peer.state(), State::Connect);
    }
}

#[test]
fn a_peer_that_turned_us_away_may_come_by_itself() {
    let notification = || Message::Notification(Notification::new(Code::CONNECTION_REJECTED));
    for closes in [true, false] {
        let mut play = Play::new(Role::Active);
        let id = play.connect();
        play.outputs();
        if closes {
            play.give(Input::Closed(id, ErrorKind::UnexpectedEof));
        } else {
            play.hear(id, notification());
        }
        let outputs = play.outputs();
        assert_eq!(told(&outputs), [], "nobody answers a NOTIFICATION");
        assert!(outputs.contains(&Output::Close(id)));
        assert!(matches!(events(&outputs)[..], [Event::Failed(_)]));
        assert_eq!(play.peer.state(), State::Active);
        let id = play.peer.accept(play.now).unwrap();
        // But not again and again.
        play.hear(id, notification());
        assert_eq!(play.peer.state(), State::Idle);
        assert!(play.peer.accept(play.now).is_err());
    }
}

#[test]
fn the_end_of_a_session_is_told_with_its_reason() {
    let (mut play, id) = Play::established(Role::Active);
    play.give(Input::BfdDown("heard nothing for 150ms".to_owned()));
    let outputs = play.outputs();
    assert_eq!(told(&outputs), [(id, Code::BFD_DOWN)]);
    assert_eq!(events(&outputs), [&Event::Down(Ending::BfdDown("heard nothing for 150ms".to_owned()))]);
    assert_eq!(play.peer.view().established, None);
    play.pass(SECOND);
    let id = play.connect();
    play.establish(id, open(9));
    assert_eq!(play.peer.view().counts.sessions, 2);
}

#[test]
fn sessions_that_do_not_last_make_the_pauses_longer_and_one_that_does_ends_that() {
    let mut play = Play::new(Role::Active);
    let pause_after = |play: &mut Play, lasts: Duration| {
        let id = play.connect();
        play.establish(id, open(9));
        play.now += lasts;
        play.give(Input::Closed(id, ErrorKind::ConnectionReset));
        let pause = play.peer.next_deadline().unwrap() - play.now;
        play.pass(pause);
        pause
    };
    assert!(pause_after(&mut play, SECOND) <= SECOND);
    assert!(pause_after(&mut play, SECOND) > SECOND);
    assert!(pause_after(&mut play, SECOND) > SECOND * 2);
    assert!(pause_after(&mut play, SECOND * 30) <= SECOND);
}

#[test]
fn a_stop_ends_everything_in_its_own_way() {
    let cases = [
        (Stop::Shutdown("node drained".to_owned()), Some(Code::ADMINISTRATIVE_SHUTDOWN)),
        (Stop::Deconfigured, Some(Code::PEER_DECONFIGURED)),
        (Stop::Upgrade, None),
    ];
    for (stop, code) in cases {
        let (mut play, id) = Play::established(Role::Active);
        play.give(Input::Stop(stop.clone()));
        let outputs = play.outputs();
        assert_eq!(told(&outputs), code.map(|code| (id, code)).into_iter().collect::<Vec<_>>());
        assert_eq!(events(&outputs), [&Event::Down(Ending::Stopped(stop)), &Event::Stopped]);
        assert_eq!((play.peer.state(), play.peer.next_deadline()), (State::Idle, None));
        assert!(play.peer.accept(play.now).is_err());
        play.give(Input::Ready);
        assert_eq!(play.peer.state(), State::Connect, "and it may begin again");
        play.give(Input::Stop(Stop::Upgrade));
        assert_eq!((play.peer.state(), play.peer.next_deadline()), (State::Idle, None));
    }
}

#[test]
fn a_reset_ends_a_pause() {
    let mut play = Play::new(Role::Active);
    for _ in 0..4 {
        let (id, _) = play.peer.attempt.unwrap();
        play.give(Input::ConnectFailed(id, ErrorKind::TimedOut));
        play.pass(play.peer.next_deadline().unwrap() - play.now);
    }
    let (id, _) = play.peer.attempt.unwrap();
    play.give(Input::ConnectFailed(id, ErrorKind::TimedOut));
    assert!(play.peer.next_deadline().unwrap() > play.now + SECOND * 5);
    play.give(Input::Reset("new password".to_owned()));
    play.pass(Duration::ZERO);
    assert_eq!(play.peer.state(), State::Connect);
}

#[test]
fn what_is_said_of_a_connection_that_ended_harms_no_other() {
    let (mut play, old) = Play::established(Role::Active);
    play.give(Input::Closed(old, ErrorKind::ConnectionReset));
    play.pass(SECOND);
    let new = play.connect();
    play.establish(new, open(9));
    play.outputs();
    for input in [
        Input::Closed(old, ErrorKind::ConnectionReset),
        Input::Fault(old, Fault::Marker),
        Input::Message(old, Message::Notification(Notification::new(Code::CEASE))),
        Input::Writer(old, Some(play.now)),
        Input::RoutesSent(old),
        Input::Connected(old),
        Input::ConnectFailed(old, ErrorKind::TimedOut),
    ] {
        play.give(input);
    }
    assert_eq!(play.outputs(), []);
    assert_eq!(play.peer.state(), State::Established);
}

#[test]
fn the_r_bit_is_said_until_the_routes_of_a_session_were_sent() {
    let (mut play, first) = Play::established(Role::Active);
    play.give(Input::Closed(first, ErrorKind::ConnectionReset));
    play.pass(SECOND);
    let restarted = |play: &Play| {
        let ours = play.peer.view().ours.unwrap();
        let restart = ours.capabilities.graceful_restart.unwrap();
        (restart.restarted, restart.forwarding)
    };
    let second = play.connect();
    assert_eq!(restarted(&play), (true, Families::BOTH), "the peer never got them all");
    play.establish(second, open(9));
    play.give(Input::RoutesSent(second));
    play.give(Input::Closed(second, ErrorKind::ConnectionReset));
    play.pass(SECOND * 2);
    play.connect();
    assert_eq!(restarted(&play), (false, Families::BOTH));
}

#[test]
fn what_the_peer_asks_and_ends_is_passed_on() {
    let (mut play, id) = Play::established(Role::Passive);
    play.hear(id, Message::RouteRefresh(crate::RouteRefresh::Request(Family::Ipv6Unicast)));
    play.hear(id, Message::Update(crate::UpdateBody::new(&[0, 0, 0, 0])));
    let outputs = play.outputs();
    assert_eq!(
        events(&outputs),
        [&Event::Refresh(Family::Ipv6Unicast), &Event::EndOfRib(Family::Ipv4Unicast)]
    );
}
