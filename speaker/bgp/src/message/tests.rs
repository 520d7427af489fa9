// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Messages as bytes beside values, both ways; and headers that must be refused.

use super::*;
use crate::{family::Family, notification::Code};

/// A header before these bytes.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER_LEN + body.len()).unwrap().to_be_bytes();
    [&MARKER, length.as_slice(), &[kind], body].concat()
}

fn decode(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    Message::decode(Frame::first_of(bytes, STANDARD_LEN)?.expect("it is complete"))
}

fn both_ways(message: &Message<'_>, bytes: &[u8]) {
    assert_eq!(message.to_bytes(), bytes);
    assert_eq!(decode(bytes).as_ref(), Ok(message));
}

#[test]
fn keepalive_both_ways() {
    // RFC 4271, section 4.4: the header alone.
    let bytes = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
        19, 4,
    ];
    both_ways(&Message::Keepalive, &bytes);
}

#[test]
fn notification_both_ways() {
    // RFC 4271, section 4.5.
    let hold = Message::Notification(Notification::new(Code::HOLD_TIMER_EXPIRED));
    both_ways(&hold, &message(3, &[4, 0]));
    let version = Message::Notification(Fault::Version(5).notification());
    both_ways(&version, &message(3, &[2, 1, 0, 4]));
}

#[test]
fn route_refresh_both_ways() {
    // RFC 2918, section 3, with the subtype of RFC 7313, section 3.2, in its reserved octet.
    let cases = [
        (RouteRefresh::Request(Family::Ipv4Unicast), [0, 1, 0, 1]),
        (RouteRefresh::Begin(Family::Ipv6Unicast), [0, 2, 1, 1]),
        (RouteRefresh::End(Family::Ipv4Unicast), [0, 1, 2, 1]),
        (RouteRefresh::Other { afi: 25, safi: 70, subtype: 0 }, [0, 25, 0, 70]),
        (RouteRefresh::Other { afi: 1, safi: 1, subtype: 255 }, [0, 1, 255, 1]),
    ];
    for (refresh, body) in cases {
        both_ways(&Message::RouteRefresh(refresh), &message(5, &body));
    }
}

#[test]
fn a_route_refresh_that_marks_and_has_a_wrong_length_ends_the_session() {
    let bytes = message(5, &[0, 1, 1, 1, 0]);
    let fault = decode(&bytes).unwrap_err();
    assert_eq!(fault.notification(), Notification::with_data(Code::ROUTE_REFRESH_LENGTH, &bytes));
    // RFC 5291: a request may carry filters, for those who negotiated them.
    let filters = message(5, &[0, 1, 0, 1, 1, 64, 0, 0]);
    assert_eq!(decode(&filters), Ok(Message::RouteRefresh(RouteRefresh::Request(Family::Ipv4Unicast))));
}

#[test]
fn bgp_084_a_wrong_marker_is_noticed_at_its_first_octet() {
    assert_eq!(Frame::first_of(b"GET / HTTP/1.1", STANDARD_LEN), Err(Fault::Marker));
    let mut bytes = Message::Keepalive.to_bytes();
    bytes[15] = 0xfe;
    assert_eq!(decode(&bytes), Err(Fault::Marker));
}

#[test]
fn lengths_that_no_message_of_the_type_has_are_refused() {
    let cases = [
        (4, 18, "BGP"),
        (4, 0, "BGP"),
        (2, 4_097, "BGP"),
        (1, 28, "OPEN"),
        (2, 22, "UPDATE"),
        (3, 20, "NOTIFICATION"),
        (4, 20, "KEEPALIVE"),
        (5, 22, "ROUTE-REFRESH"),
    ];
    for (code, length, kind) in cases {
        let mut bytes = message(code, &[]);
        bytes[16..18].copy_from_slice(&u16::to_be_bytes(length));
        let fault = Frame::first_of(&bytes, STANDARD_LEN).unwrap_err();
        assert_eq!(fault, Fault::Length { kind, length });
        let expected = Notification::with_data(Code::BAD_MESSAGE_LENGTH, &length.to_be_bytes());
        assert_eq!(fault.notification(), expected);
    }
}

#[test]
fn an_unknown_type_is_refused() {
    for code in [0, 6, 255] {
        assert_eq!(Frame::first_of(&message(code, &[]), STANDARD_LEN), Err(Fault::Type(code)));
    }
}

#[test]
fn extended_messages_are_taken_where_agreed_but_never_as_open() {
    let long = vec![0; 5_000];
    assert!(Frame::first_of(&message(2, &long), STANDARD_LEN).is_err());
    assert!(Frame::first_of(&message(2, &long), EXTENDED_LEN).unwrap().is_some());
    assert!(Frame::first_of(&message(1, &long), EXTENDED_LEN).is_err());
}

#[test]
fn an_incomplete_message_is_waited_for() {
    let bytes = message(3, &[6, 0]);
    for end in 0..bytes.len() {
        assert_eq!(Frame::first_of(&bytes[..end], STANDARD_LEN), Ok(None), "{end}");
    }
}
