// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every state with every message and timer.

use super::*;
use crate::{
    capability::Capabilities,
    fault::Fault,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    message::Kind,
    notification::{Code, Notification},
    testing::{modern, open},
    update::UpdateBody,
};

const SECOND: Duration = Duration::from_secs(1);

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

/// The peer's OPEN: AS 65002, 10.77.0.2.
fn theirs() -> Open {
    Open { router_id: RouterId::new([10, 77, 0, 2].into()).unwrap(), ..open(65_002, modern()) }
}

fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(1)
}

fn hear(connection: &mut Connection, now: Instant, message: &Message<'_>) -> Step {
    connection.receive(now, message, PeerAs::Exactly(asn(65_002)))
}

/// A connection of AS 65001 in this state, at `now`, with a hold time of 90 s once it is agreed on.
fn connection(state: State, now: Instant) -> Connection {
    let mut connection = Connection::new(now, open(65_001, modern()));
    if state >= State::OpenConfirm {
        assert_eq!(hear(&mut connection, now, &Message::Open(theirs())), Step::Opened);
        connection.confirm(now, None, &mut random());
    }
    if state == State::Established {
        assert_eq!(hear(&mut connection, now, &Message::Keepalive), Step::Established);
    }
    assert_eq!(connection.state(), state);
    connection
}

/// 192.0.2.7/32 by AS 65002.
const UPDATE: [u8; 27] =
    [0, 0, 0, 18, 0x40, 1, 1, 0, 0x40, 2, 4, 2, 1, 0xfd, 0xea, 0x40, 3, 4, 192, 0, 2, 1, 32, 192, 0, 2, 7];

fn messages() -> [Message<'static>; 5] {
    [
        Message::Open(theirs()),
        Message::Update(UpdateBody::new(&[0, 0, 0, 0])),
        Message::Notification(Notification::new(Code::CEASE)),
        Message::Keepalive,
        Message::RouteRefresh(RouteRefresh::Request(Family::Ipv4Unicast)),
    ]
}

#[test]
fn every_state_takes_every_message_as_the_rfc_says() {
    let told = || Step::Ended(Ending::Told(Notification::new(Code::CEASE)));
    let end_of_rib =
        || Step::Routes(RoutesHeard { end_of_rib: Some(Family::Ipv4Unicast), ..RoutesHeard::default() });
    let refresh = || Step::Refresh(Family::Ipv4Unicast);
    let no = |kind, state| Step::Ended(Ending::Unexpected { kind, state });
    use State::{Established, OpenConfirm, OpenSent};
    let table = [
        (
            OpenSent,
            [
                Step::Opened,
                no(Kind::Update, OpenSent),
                told(),
                no(Kind::Keepalive, OpenSent),
                no(Kind::RouteRefresh, OpenSent),
            ],
        ),
        (
            OpenConfirm,
            [
                no(Kind::Open, OpenConfirm),
                no(Kind::Update, OpenConfirm),
                told(),
                Step::Established,
                no(Kind::RouteRefresh, OpenConfirm),
            ],
        ),
        (Established, [no(Kind::Open, Established), end_of_rib(), told(), Step::Stays, refresh()]),
    ];
    let now = Instant::now();
    for (state, expected) in table {
        for (message, step) in messages().into_iter().zip(expected) {
            let mut connection = connection(state, now);
            assert_eq!(hear(&mut connection, now, &message), step, "{} in {state}", message.kind().name());
        }
    }
}

#[test]
fn a_message_out_of_place_is_told_with_the_state_and_its_type() {
    // RFC 6608, section 3.
    for (state, subcode) in [(State::OpenSent, 1), (State::OpenConfirm, 2), (State::Established, 3)] {
        let said = Ending::Unexpected { kind: Kind::Open, state }.notification(false).unwrap();
        assert_eq!((said.code(), said.data()), (Code { code: 5, subcode }, &[1][..]));
    }
}

#[test]
fn an_open_is_judged_before_it_is_answered() {
    let judged = |theirs: Open, wanted| judge(&open(65_001, modern()), &theirs, wanted).map(|_| ());
    let wrong = |wanted, got| Err(Refusal::PeerAs { wanted, got: asn(got) });
    let exactly = PeerAs::Exactly(asn(65_002));
    assert_eq!(judged(theirs(), exactly), Ok(()));
    assert_eq!(judged(Open { asn: asn(4_200_000_002), ..theirs() }, exactly), wrong(exactly, 4_200_000_002));
    assert_eq!(judged(theirs(), PeerAs::External), Ok(()));
    assert_eq!(judged(theirs(), PeerAs::Internal), wrong(PeerAs::Internal, 65_002));
    let internal = Open { asn: asn(65_001), ..theirs() };
    assert_eq!(judged(internal.clone(), PeerAs::Internal), Ok(()));
    assert_eq!(judged(internal.clone(), PeerAs::External), wrong(PeerAs::External, 65_001));
    // The same identifier is an error within an autonomous system only.
    let ours = open(65_001, modern()).router_id;
    let twin = Open { router_id: ours, ..internal };
    assert_eq!(judged(twin, PeerAs::Internal), Err(Refusal::RouterId(ours)));
    assert_eq!(judged(Open { router_id: ours, ..theirs() }, exactly), Ok(()));
}

#[test]
fn a_peer_without_a_family_of_ours_is_told_which_are_missing() {
    let six = Capabilities { multiprotocol: Some(crate::Families::IPV6), ..modern() };
    let old = Open { capabilities: Capabilities::default(), ..theirs() };
    let refused = judge(&open(65_001, six), &old, PeerAs::External).unwrap_err();
    assert_eq!(refused, Refusal::NoFamily { ours: crate::Families::IPV6 });
}

#[test]
fn silence_ends_each_state_and_keepalives_go_out_once_the_open_was_accepted() {
    let now = Instant::now();
    let mut sent = connection(State::OpenSent, now);
    assert_eq!(sent.tick(now + SECOND * 59, &mut random()), Step::Stays);
    assert_eq!(sent.tick(now + SECOND * 60, &mut random()), Step::Ended(Ending::NoAnswer(State::OpenSent)));
    for state in [State::OpenConfirm, State::Established] {
        let mut connection = connection(state, now);
        assert_eq!(connection.tick(now + SECOND * 30, &mut random()), Step::Keepalive);
        assert_eq!(connection.tick(now + SECOND * 30, &mut random()), Step::Stays);
    }
    let mut confirmed = connection(State::OpenConfirm, now);
    assert_eq!(
        confirmed.tick(now + SECOND * 60, &mut random()),
        Step::Ended(Ending::NoAnswer(State::OpenConfirm))
    );
    let hold = HoldTime::from_secs(90).unwrap();
    for message in [Message::Keepalive, Message::Update(UpdateBody::new(&UPDATE))] {
        let mut established = connection(State::Established, now);
        hear(&mut established, now + SECOND * 50, &message);
        assert_eq!(established.tick(now + SECOND * 139, &mut random()), Step::Keepalive);
        assert_eq!(
            established.tick(now + SECOND * 140, &mut random()),
            Step::Ended(Ending::HoldTimerExpired(hold))
        );
    }
}

#[test]
fn a_hold_time_of_zero_needs_no_keepalives_for_ever() {
    let now = Instant::now();
    let mut connection = Connection::new(now, open(65_001, modern()));
    let theirs = Open { hold_time: HoldTime::DISABLED, ..theirs() };
    hear(&mut connection, now, &Message::Open(theirs));
    connection.confirm(now, Some(SECOND), &mut random());
    hear(&mut connection, now, &Message::Keepalive);
    assert_eq!((connection.state(), connection.next_deadline()), (State::Established, None));
    hear(&mut connection, now, &Message::Keepalive);
    assert_eq!(connection.next_deadline(), None, "a keepalive arms no timer of zero seconds");
}

#[test]
fn a_peer_that_does_not_read_is_left_without_a_word() {
    let now = Instant::now();
    let mut stuck = connection(State::Established, now);
    stuck.writer(Some(now));
    for minute in 1..8 {
        hear(&mut stuck, now + SECOND * 60 * minute, &Message::Keepalive);
        assert_eq!(stuck.tick(now + SECOND * 60 * minute, &mut random()), Step::Keepalive);
    }
    let ending = Ending::SendHoldTimerExpired(SECOND * 480);
    assert_eq!(stuck.tick(now + SECOND * 480, &mut random()), Step::Ended(ending.clone()));
    assert_eq!(ending.notification(false), None);
}

#[test]
fn routes_are_counted_and_what_cannot_be_read_is_the_end() {
    let now = Instant::now();
    let routes = |body: &[u8]| {
        hear(&mut connection(State::Established, now), now, &Message::Update(UpdateBody::new(body)))
    };
    let four = [
        0, 0, 0, 20, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea, 0x40, 3, 4, 192, 0, 2, 1, 32, 192, 0,
        2, 7,
    ];
    assert_eq!(routes(&four), Step::Routes(RoutesHeard { announced: 1, ..RoutesHeard::default() }));
    let survived = Step::Routes(RoutesHeard { withdrawn: 1, faults: 1, ..RoutesHeard::default() });
    assert_eq!(routes(&UPDATE), survived, "a path of two octets where four were agreed on");
    assert!(matches!(routes(&[0, 9]), Step::Ended(Ending::Fault(Fault::AttributeList(_)))));
}

#[test]
fn a_refresh_of_a_family_that_was_not_agreed_on_is_ignored() {
    let now = Instant::now();
    let mut connection = Connection::new(now, open(65_001, modern()));
    hear(&mut connection, now, &Message::Open(Open { capabilities: Capabilities::default(), ..theirs() }));
    connection.confirm(now, None, &mut random());
    hear(&mut connection, now, &Message::Keepalive);
    let refresh = |family| Message::RouteRefresh(RouteRefresh::Request(family));
    assert_eq!(hear(&mut connection, now, &refresh(Family::Ipv6Unicast)), Step::Stays);
    assert_eq!(hear(&mut connection, now, &refresh(Family::Ipv4Unicast)), Step::Refresh(Family::Ipv4Unicast));
}
