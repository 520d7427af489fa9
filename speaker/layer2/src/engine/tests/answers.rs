// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Questions of clients: which are answered.

use super::*;

#[test]
fn a_request_is_answered_to_who_asked_unless_it_is_old() {
    let mut bench = Bench::owner();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, VIP));
    assert!(matches!(bench.frames[..], [Heard::ArpReply { sender_mac: OUR_MAC, dst: CLIENT_MAC, .. }]));
    bench.clear();
    let received = bench.now;
    bench.pass(MS * 101);
    bench.clear();
    let bytes = arp::request(CLIENT_MAC, CLIENT_IP, VIP);
    bench.give(Input::Frame { bytes: &bytes, received });
    assert_eq!(bench.frames, []);
    assert_eq!(bench.segment.view(bench.now).counters.late_requests, 1);
}

#[test]
fn requests_for_others_to_others_and_from_ourselves_are_not_answered() {
    let mut bench = Bench::owner();
    bench.frame(&arp::request(CLIENT_MAC, CLIENT_IP, Ipv4Addr::new(192, 0, 2, 101)));
    bench.frame(&arp::request(OUR_MAC, OUR_IP, VIP));
    let mut to_another = arp::request(CLIENT_MAC, CLIENT_IP, VIP);
    to_another[..6].copy_from_slice(&PEER_MAC.0);
    bench.frame(&to_another);
    bench.frame(&[0; 60]);
    bench.frame(&[]);
    assert_eq!(bench.frames, []);
}
