// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Look-outs on real interfaces.

use std::net::SocketAddrV6;
use std::sync::mpsc;
use std::thread;

use ferrolb_bgp::discovery::Say;
use socket2::{Domain, Protocol, Socket, Type};

use super::*;
use crate::kernel::LinkMonitor;
use crate::namespace::{Namespace, WIRE};

const SOON: Duration = Duration::from_secs(20);
const FIRST: &str = "fe80::ff:fe00:2";
const SECOND: &str = "fe80::99";

/// Looks out on the wire of `node`, as long as the test goes on; when this returns, it does.
fn look_out(node: &Namespace) -> watch::Receiver<Sighting> {
    let (give, given) = mpsc::channel();
    node.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let monitor = LinkMonitor::start().await.expect("the kernel tells its interfaces");
            let mut lookout = Lookout::start(WIRE, monitor.links());
            give.send(lookout.sighting.clone()).expect("the test waits");
            (&mut lookout.task).await
        })
    });
    let sighting = given.recv_timeout(SOON).expect("it begins");
    // What is advertised before there is a socket is lost, and a router in a test says it but once.
    sees(&sighting, "an empty link", nothing);
    sighting
}

fn nothing(seen: &Sighting) -> bool {
    matches!(seen, Sighting::None(why) if why.contains("no router advertises itself on wire0"))
}

fn sees(sighting: &watch::Receiver<Sighting>, what: &str, expected: impl Fn(&Sighting) -> bool) -> Sighting {
    let begun = Instant::now();
    loop {
        let seen = sighting.borrow().clone();
        if expected(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < SOON, "not seen: {what}, but {seen:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn is_at(sighting: &Sighting, expected: &str) -> bool {
    matches!(sighting, Sighting::Router { address, .. } if address.to_string() == expected)
}

/// Advertises the router `from`, in a packet with this hop limit.
fn advertise(router: &Namespace, from: &'static str, lifetime: u16, hops: u32) {
    let link = router.wire();
    router.run(move || {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).expect("a raw socket");
        socket.set_multicast_hops_v6(hops).expect("the hop limit");
        let own = SocketAddrV6::new(from.parse().expect("an address"), 0, 0, link);
        socket.bind(&own.into()).expect("an address of the router");
        let mut message = Say::Advertisement.encode(None);
        message[6..8].copy_from_slice(&lifetime.to_be_bytes());
        let all = SocketAddrV6::new("ff02::1".parse().expect("a group"), 0, 0, link);
        socket.send_to(&message, &all.into()).expect("the wire is up");
    });
}

#[test]
fn a_router_is_seen_once_it_advertises_itself_and_until_it_ends() {
    let (node, router) = Namespace::pair();
    let sighting = look_out(&node);
    advertise(&router, FIRST, 1800, 64);
    advertise(&router, FIRST, 1800, 255);
    let seen = sees(&sighting, "the router", |seen| is_at(seen, FIRST));
    let link = node.wire();
    assert!(matches!(seen, Sighting::Router { link: on, note: None, .. } if on == link), "{seen:?}");
    advertise(&router, FIRST, 0, 255);
    sees(&sighting, "its end", nothing);
    advertise(&router, FIRST, 1, 255);
    sees(&sighting, "its return", |seen| is_at(seen, FIRST));
    sees(&sighting, "its silence", nothing);
}

#[test]
fn what_comes_from_beyond_the_link_is_not_seen() {
    let (node, router) = Namespace::pair();
    let sighting = look_out(&node);
    advertise(&router, FIRST, 1800, 254);
    thread::sleep(Duration::from_millis(500));
    assert!(matches!(&*sighting.borrow(), Sighting::None(_)));
    advertise(&router, FIRST, 1800, 255);
    sees(&sighting, "the router", |seen| is_at(seen, FIRST));
}

#[test]
fn a_second_router_is_named_and_follows_the_first() {
    let (node, router) = Namespace::pair();
    router.ip(&format!("address add {SECOND}/64 dev {WIRE} nodad"));
    let sighting = look_out(&node);
    advertise(&router, FIRST, 1800, 255);
    sees(&sighting, "the router", |seen| is_at(seen, FIRST));
    advertise(&router, SECOND, 1800, 255);
    let seen = sees(
        &sighting,
        "the second",
        |seen| matches!(seen, Sighting::Router { note: Some(note), .. } if note.contains(SECOND)),
    );
    assert!(is_at(&seen, FIRST), "the first is spoken to: {seen:?}");
    advertise(&router, FIRST, 0, 255);
    sees(&sighting, "the second alone", |seen| {
        is_at(seen, SECOND) && matches!(seen, Sighting::Router { note: None, .. })
    });
}

#[test]
fn an_interface_that_leaves_and_returns_is_looked_at_anew() {
    let (node, router) = Namespace::pair();
    let sighting = look_out(&node);
    advertise(&router, FIRST, 1800, 255);
    sees(&sighting, "the router", |seen| is_at(seen, FIRST));
    node.ip(&format!("link set {WIRE} down"));
    sees(
        &sighting,
        "the interface down",
        |seen| matches!(seen, Sighting::None(why) if why == "the interface wire0 is down"),
    );
    node.ip(&format!("link set {WIRE} up"));
    sees(&sighting, "an empty link", nothing);
    node.ip(&format!("link set {WIRE} name other0"));
    sees(
        &sighting,
        "no interface",
        |seen| matches!(seen, Sighting::None(why) if why == "there is no interface wire0"),
    );
    node.ip(&format!("link set other0 name {WIRE}"));
    sees(&sighting, "an empty link", nothing);
    advertise(&router, FIRST, 1800, 255);
    sees(&sighting, "the router again", |seen| is_at(seen, FIRST));
}
