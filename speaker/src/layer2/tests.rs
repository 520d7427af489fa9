// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Several drivers, each in a namespace of its own, on one switch with a client: real frames.

mod filters;
mod interfaces;
mod ipv6;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ferrolb_layer2::{Budget, Cause, ClusterId, Event, Heard, KeyRing, Kind, MacAddr, NodeId, Timing, frame};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::kernel::{FrameKind, HELLO_PORT, LinkMonitor, PacketSocket};
use crate::namespace::Namespace;

const CLUSTER: &str = "test";
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
/// Longer than anything here takes on a busy machine, where a node may wait ten seconds for one that starts late.
const PATIENCE: Duration = Duration::from_secs(30);

fn names<const N: usize>() -> [String; N] {
    std::array::from_fn(|position| format!("n{}", position + 1))
}

fn wanted(nodes: &[String], addresses: &[IpAddr]) -> Wanted {
    let vip = WantedVip {
        bound: false,
        group: "web".into(),
        candidates: nodes.iter().map(|node| NodeId::of(CLUSTER, node)).collect(),
        preferences: Default::default(),
        ready: true,
        interfaces: Interfaces::OnLink,
        tcp_port: None,
    };
    addresses.iter().map(|address| (*address, vip.clone())).collect()
}

/// A driver in a namespace.
struct Speaker {
    layer2: Arc<Layer2>,
    events: mpsc::Receiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Speaker {
    fn start(namespace: &Namespace, node: &str, wants: Wanted) -> Self {
        let identity = Identity {
            cluster: ClusterId::of(CLUSTER),
            node: NodeId::of(CLUSTER, node),
            keys: KeyRing::default_for(CLUSTER),
            timing: Timing::DEFAULT,
            budget: Budget::DEFAULT,
        };
        let (tell, events) = mpsc::channel();
        let (show, shown) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = namespace.spawn(move || {
            block_on(async {
                let monitor = LinkMonitor::start().await.expect("netlink is there");
                let (layer2, mut told) = Layer2::start(identity).expect("threads are left");
                let layer2 = Arc::new(layer2);
                show.send(Arc::clone(&layer2)).expect("the test waits");
                let (_keep, want) = watch::channel(Some(Arc::new(wants)));
                let (refusals, _) = watch::channel(Refusals::new());
                let listen = async {
                    while let Some(event) = told.recv().await {
                        tell.send(event.event).expect("the test lives");
                    }
                };
                tokio::select! {
                    _ = keep_placed(&layer2, want, monitor.links(), refusals) => {}
                    () = listen => {}
                    _ = stopped => {}
                }
            });
        });
        let layer2 = shown.recv().expect("the speaker starts");
        Self { layer2, events, stop: Some(stop), thread: Some(thread) }
    }

    fn until(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if wanted(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("never happened: {what}; but {seen:?}");
    }

    fn observed_until(&self, what: &str, wanted: impl Fn(&Observed) -> bool) {
        let (observed, end) = (self.layer2.observed(), Instant::now() + PATIENCE);
        while !wanted(&observed.borrow()) {
            assert!(Instant::now() < end, "never observed: {what}; last {:?}", observed.borrow());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Asks for the address by broadcast ARP and collects who answers; stops at the first answer, or after `patience`.
fn ask(socket: &mut PacketSocket, patience: Duration) -> BTreeSet<MacAddr> {
    collect(socket, patience, 1)
}

/// Asks for the address by broadcast ARP and collects all who answer within `patience`.
fn who_has(client: &Namespace, patience: Duration) -> BTreeSet<MacAddr> {
    let index = client.wire();
    client.run(move || {
        let mut socket = PacketSocket::open(index, FrameKind::Arp).expect("root may");
        collect(&mut socket, patience, usize::MAX)
    })
}

fn collect(socket: &mut PacketSocket, patience: Duration, enough: usize) -> BTreeSet<MacAddr> {
    collect_from(socket, MAC_CLIENT, patience, enough)
}

/// The same from a station with this MAC address.
fn collect_from(
    socket: &mut PacketSocket,
    from: MacAddr,
    patience: Duration,
    enough: usize,
) -> BTreeSet<MacAddr> {
    socket.send(&frame::arp::request(from, CLIENT, VIP)).expect("the wire is up");
    let end = Instant::now() + patience;
    let mut answers = BTreeSet::new();
    let mut buffer = [0; 2048];
    while answers.len() < enough && Instant::now() < end {
        match socket.receive(&mut buffer).expect("the wire is up") {
            Some(got) => {
                if let Ok(Some(Heard::ArpReply { sender_mac, sender_ip: VIP, .. })) = frame::parse(got.bytes)
                {
                    answers.insert(sender_mac);
                }
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    answers
}

fn both_families() -> Vec<IpAddr> {
    vec![IpAddr::V4(VIP), "2001:db8::100".parse().expect("an address")]
}

const MAC_ONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const MAC_CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);

fn is_claimed(event: &Event) -> bool {
    matches!(event, Event::Claimed { .. })
}

/// Two speakers that both may carry both addresses, and who owns them.
struct Two {
    switch: Namespace,
    client: Namespace,
    one: Namespace,
    two: Namespace,
    first: Speaker,
    second: Speaker,
}

impl Two {
    fn start() -> Self {
        let (switch, [one, two, client]) = Namespace::switch();
        let nodes = names::<2>();
        let first = Speaker::start(&one, &nodes[0], wanted(&nodes, &both_families()));
        let second = Speaker::start(&two, &nodes[1], wanted(&nodes, &both_families()));
        let end = Instant::now() + PATIENCE;
        while who_has(&client, Duration::from_millis(100)).is_empty() {
            assert!(Instant::now() < end, "nobody answers");
        }
        Self { switch, client, one, two, first, second }
    }

    fn answering(&self) -> BTreeSet<MacAddr> {
        who_has(&self.client, Duration::from_millis(200))
    }

    /// The owner with its port on the switch, and the other.
    fn owner(&self) -> ((&Speaker, &str), (&Speaker, &str)) {
        let (one, two) = ((&self.first, "port1"), (&self.second, "port2"));
        if self.answering().contains(&MAC_ONE) { (one, two) } else { (two, one) }
    }
}

#[test]
fn one_of_two_speakers_answers_and_the_other_takes_over_when_its_wire_is_cut() {
    let lab = Two::start();
    let before = lab.answering();
    assert_eq!(before.len(), 1, "exactly one station answers");
    let ((_, port), (survivor, _)) = lab.owner();
    lab.switch.ip(&format!("link set {port} down"));
    let cut = Instant::now();
    let claim = survivor.until("a claim", is_claimed);
    let took = cut.elapsed();
    assert!(matches!(claim, Event::Claimed { cause: Cause::Silence(_), quiet: false, .. }), "{claim:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let after = lab.answering();
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
}

#[test]
fn a_drained_speaker_hands_over_while_every_request_is_answered() {
    let lab = Two::start();
    let ((owner, _), (heir, _)) = lab.owner();
    let index = lab.client.wire();
    let (stop, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&stop);
    let started = Arc::clone(&stopped);
    let asker = lab.client.spawn(move || {
        let mut dark = Vec::new();
        let mut socket = PacketSocket::open(index, FrameKind::Arp).expect("root may");
        while !until.load(Ordering::Relaxed) {
            started.store(true, Ordering::Relaxed);
            if ask(&mut socket, Duration::from_millis(50)).is_empty() {
                dark.push(Instant::now());
            }
        }
        dark.len()
    });
    while !stopped.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(1));
    }
    block_on(owner.layer2.drain()).expect("the thread lives");
    heir.until("a claim by agreement", |event| {
        matches!(event, Event::Claimed { cause: Cause::HandedOver(_), .. })
    });
    block_on(owner.layer2.leave()).expect("the thread lives");
    heir.until("the good-bye", |event| matches!(event, Event::PeerDown(_, _)));
    stop.store(true, Ordering::Relaxed);
    assert_eq!(asker.join().expect("the client lives"), 0, "requests unanswered");
    assert_eq!(lab.answering().len(), 1);
}

/// Asks for the IPv6 address until it is answered. A first question may be lost, or come before the address is carried in this family.
fn resolves_ipv6(client: &Namespace) {
    let end = Instant::now() + PATIENCE;
    client.run(move || {
        loop {
            // The kernel asks; what comes back stands in its neighbour table.
            let socket = UdpSocket::bind("[2001:db8::3]:0").expect("own address");
            socket.send_to(b"", "[2001:db8::100]:9").expect("a route");
            thread::sleep(Duration::from_millis(300));
            let table =
                std::process::Command::new("ip").args(["-6", "neighbour", "show", "2001:db8::100"]).output();
            let entry = String::from_utf8(table.expect("iproute2").stdout).expect("text");
            if entry.contains("lladdr 02:00:00:00:00:0") {
                return;
            }
            assert!(Instant::now() < end, "nobody answers: {entry}");
        }
    });
}

#[test]
fn l2_073_neighbour_solicitations_for_the_address_are_answered() {
    let lab = Two::start();
    resolves_ipv6(&lab.client);
}

#[test]
fn speakers_on_a_segment_without_ipv4_hear_each_other_and_one_carries_the_address() {
    let (_switch, [one, two, client]) = Namespace::switch();
    for namespace in [&one, &two, &client] {
        namespace.ip("-4 address flush dev wire0");
    }
    let nodes = names::<2>();
    let only_ipv6 = ["2001:db8::100".parse().expect("an address")];
    let first = Speaker::start(&one, &nodes[0], wanted(&nodes, &only_ipv6));
    let second = Speaker::start(&two, &nodes[1], wanted(&nodes, &only_ipv6));
    for speaker in [&first, &second] {
        speaker.until("the peer is up", |event| matches!(event, Event::PeerUp(_)));
    }
    resolves_ipv6(&client);
    let owners = [&first, &second].map(|speaker| speaker.events.try_iter().filter(is_claimed).count());
    assert_eq!(owners.iter().sum::<usize>(), 1, "exactly one claims it");
}

#[test]
fn a_hello_that_a_router_has_touched_is_refused_and_counted() {
    let lab = Two::start();
    lab.client.run(|| {
        let udp = UdpSocket::bind("192.0.2.3:0").expect("own address");
        udp.set_ttl(254).expect("a legal TTL");
        udp.send_to(b"from afar", ("192.0.2.1", HELLO_PORT)).expect("the wire is up");
    });
    lab.first.observed_until("the refusal", |observed| {
        observed.segments.values().any(|segment| segment.view.counters.rejections.get(Kind::HopLimit) == 1)
    });
}

#[test]
fn a_storm_of_arp_does_not_delay_hellos_and_moves_nothing() {
    let lab = Two::start();
    let before = lab.answering();
    let peer_events = |speaker: &Speaker| {
        speaker.events.try_iter().filter(|event| !matches!(event, Event::PeerUp(_))).count()
    };
    for speaker in [&lab.first, &lab.second] {
        peer_events(speaker);
    }
    let index = lab.client.wire();
    let (sent, lasted) = lab.client.run(move || {
        let socket = PacketSocket::open(index, FrameKind::Arp).expect("root may");
        let request =
            frame::arp::request(MacAddr([2, 0xee, 0, 0, 0, 9]), CLIENT, Ipv4Addr::new(192, 0, 2, 200));
        let begin = Instant::now();
        let mut sent = 0_u64;
        while begin.elapsed() < Duration::from_secs(3) {
            for _ in 0..100 {
                sent += u64::from(socket.send(&request).is_ok());
            }
            // 100,000 a second.
            let due = begin + Duration::from_micros(sent * 10);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        (sent, begin.elapsed())
    });
    println!("{sent} requests in {lasted:?}");
    for speaker in [&lab.first, &lab.second] {
        assert_eq!(peer_events(speaker), 0, "no peer lost, nothing moved, no stall");
        speaker.observed_until("hellos as ever", |observed| {
            observed.segments.values().all(|segment| segment.view.peers.len() == 1)
        });
    }
    // The first request may still stand behind the last of the storm.
    let end = Instant::now() + PATIENCE;
    let mut after = BTreeSet::new();
    while after.is_empty() && Instant::now() < end {
        after = lab.answering();
    }
    assert_eq!(after, before);
}

#[test]
fn an_interface_that_is_taken_away_and_made_anew_is_used_again() {
    let lab = Two::start();
    let ((owner, port), (heir, _)) = lab.owner();
    let (node, host) = if port == "port1" { (&lab.one, 1) } else { (&lab.two, 2) };
    node.ip("link delete wire0");
    owner.until("the loss", |event| matches!(event, Event::Yielded { .. } | Event::PeerDown(_, _)));
    heir.until("a claim", is_claimed);
    lab.switch.plug(node, host);
    owner.until("the peer again", |event| matches!(event, Event::PeerUp(_)));
    assert_eq!(lab.answering().len(), 1);
}
