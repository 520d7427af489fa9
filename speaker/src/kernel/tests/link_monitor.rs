// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the link monitor sees of real changes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrolb_layer2::MacAddr;

use super::super::LinkMonitor;
use super::super::links::{Link, Links};
use crate::namespace::{Namespace, WIRE};

/// A monitor inside a namespace; every state that it publishes arrives here.
struct Watched {
    states: mpsc::Receiver<Arc<Links>>,
    /// While held, the monitor's thread stands still after its next state.
    hold: Arc<Mutex<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watched {
    fn start(namespace: &Namespace) -> Self {
        let (publish, states) = mpsc::channel();
        let hold = Arc::new(Mutex::new(()));
        let gate = Arc::clone(&hold);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = namespace.spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let monitor = LinkMonitor::start().await.expect("netlink is there");
                let mut links = monitor.links();
                links.mark_changed();
                tokio::select! {
                    () = async {
                        while links.changed().await.is_ok() {
                            let now = links.borrow_and_update().clone();
                            drop(gate.lock().expect("no test panics with it"));
                            if publish.send(now).is_err() {
                                break;
                            }
                        }
                    } => {}
                    _ = stopped => {}
                }
            });
        });
        Self { states, hold, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits until the wire is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Link) -> bool) {
        let end = Instant::now() + Duration::from_secs(5);
        let mut last = None;
        while let Ok(state) = self.states.recv_timeout(end.saturating_duration_since(Instant::now())) {
            last = state.named(WIRE).cloned();
            if last.as_ref().is_some_and(&wanted) {
                return;
            }
        }
        panic!("never seen: {what}; last: {last:?}");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the monitor has already ended.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_cut_wire_and_its_return_are_seen() {
    let (left, right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("up", |wire| wire.up && wire.is_on_link(ip("192.0.2.77")) && wire.mac.is_some());
    right.ip("link set wire0 down");
    watched.until("no carrier", |wire| !wire.up);
    right.ip("link set wire0 up");
    watched.until("carrier again", |wire| wire.up);
    left.ip("link set wire0 down");
    watched.until("switched off", |wire| !wire.up);
}

#[test]
fn an_address_added_late_is_seen_and_one_taken_away_is_gone() {
    let (left, _right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| !wire.is_on_link(ip("198.51.100.9")));
    left.ip("address add 198.51.100.1/24 dev wire0");
    watched.until("the new prefix", |wire| wire.is_on_link(ip("198.51.100.9")));
    left.ip("address del 198.51.100.1/24 dev wire0");
    watched.until("gone", |wire| !wire.is_on_link(ip("198.51.100.9")));
}

#[test]
fn a_tentative_ipv6_address_does_not_count_until_it_is_confirmed() {
    let (left, _right) = Namespace::pair();
    left.set("net/ipv6/conf/wire0/accept_dad", "1");
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| wire.is_on_link(ip("2001:db8::99")));
    let added = Instant::now();
    left.ip("address add 2001:db8:77::1/64 dev wire0");
    watched.until("confirmed", |wire| wire.is_on_link(ip("2001:db8:77::9")));
    assert!(added.elapsed() > Duration::from_millis(500), "it was believed while it was still tentative");
}

#[test]
fn a_deprecated_ipv6_address_does_not_count() {
    let (left, _right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| wire.is_on_link(ip("2001:db8::99")));
    left.ip("address change 2001:db8::1/64 dev wire0 preferred_lft 0");
    watched.until("deprecated", |wire| !wire.is_on_link(ip("2001:db8::99")));
}

#[test]
fn a_changed_mac_is_seen() {
    let (left, _right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| wire.mac.is_some());
    left.ip("link set wire0 address 02:00:00:00:00:77");
    watched.until("the new MAC", |wire| wire.mac == Some(MacAddr([2, 0, 0, 0, 0, 0x77])));
}

#[test]
fn the_default_gateways_are_those_of_the_routes_in_force() {
    let (left, _right) = Namespace::pair();
    left.ip("route add default via 192.0.2.254");
    let watched = Watched::start(&left);
    watched.until("the first", |wire| wire.gateways == [ip("192.0.2.254")]);
    left.ip("route replace default via 192.0.2.253");
    watched.until("the second alone", |wire| wire.gateways == [ip("192.0.2.253")]);
    left.ip("-6 route add default via 2001:db8::fe");
    watched.until("one of each family", |wire| wire.gateways == [ip("192.0.2.253"), ip("2001:db8::fe")]);
    left.ip("route add 203.0.113.0/24 via 192.0.2.2");
    left.ip("route del default");
    left.ip("-6 route del default");
    watched.until("none", |wire| wire.gateways.is_empty());
}

#[test]
fn a_port_of_a_bridge_has_a_master_and_lives_on_when_it_leaves() {
    let (left, _right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| wire.master.is_none());
    left.ip("link add br0 type bridge");
    left.ip("link set wire0 master br0");
    watched.until("enslaved", |wire| wire.master.is_some());
    left.ip("link set wire0 nomaster");
    watched.until("free again", |wire| wire.master.is_none() && wire.is_on_link(ip("192.0.2.77")));
}

#[test]
fn after_an_overrun_everything_is_listed_anew() {
    let (left, _right) = Namespace::pair();
    let watched = Watched::start(&left);
    watched.until("the first state", |wire| wire.up);
    let held = watched.hold.lock().expect("no test panics with it");
    left.ip("address add 10.99.0.1/32 dev wire0");
    left.run(|| {
        let mut batch = String::new();
        for high in 0..12 {
            for low in 0..250 {
                batch.push_str(&format!("address add 10.{high}.{low}.1/32 dev wire0\n"));
            }
        }
        let file = tempfile::NamedTempFile::new().expect("room for a file");
        std::fs::write(file.path(), batch).expect("room for a file");
        let status =
            std::process::Command::new("ip").arg("-batch").arg(file.path()).status().expect("iproute2");
        assert!(status.success());
    });
    drop(held);
    let ipv4 = |wire: &Link| wire.addresses.iter().filter(|net| net.addr().is_ipv4()).count();
    watched.until("all of them", |wire| ipv4(wire) == 3_002);
}
