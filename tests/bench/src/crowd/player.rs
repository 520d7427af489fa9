// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The thread that plays the nodes, and the one that hears what they would hear.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ferrolb_lab::impostor::Impostor;
use ferrolb_lab::installation::HELLO_KEY;
use ferrolb_lab::{Mac, Namespace};
use ferrolb_layer2::{
    Claim, ClusterId, Digest, Echo, Flags, GroupId, Hello, Incarnation, KeyRing, NodeId, Slice, Term, UpTo,
};

use super::PORT;
use crate::population;

/// The cluster's name when none is given.
const CLUSTER: &str = "default";
/// Hellos are sent in bursts so far apart.
const TICK: Duration = Duration::from_millis(1);
/// What the nodes say of their times: those of ten hellos a second.
const INTERVAL: Duration = Duration::from_millis(100);
const DEAD: Duration = Duration::from_millis(350);
/// Echoes in each hello.
const ECHOES: usize = ferrolb_layer2::ECHOES_AMONG_MANY;
/// Hellos in which each node echoes a newcomer before that waits for its turn; one may be lost.
const GREETINGS: u32 = 5;

/// The running crowd.
#[derive(Debug)]
pub(super) struct Crowd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    sent: AtomicU64,
    bytes: AtomicUsize,
    /// The newest hello of the real speaker.
    heard: Mutex<Option<(Incarnation, u64, Instant)>>,
}

/// One of the nodes.
struct Member {
    mac: Mac,
    address: Ipv4Addr,
    hello: Hello,
    spoke: Instant,
    /// Hellos in which it echoed the real speaker.
    echoed: u32,
}

impl Crowd {
    /// Starts nodes of these names in `namespace`; the first owns the first address of the population, and so on.
    pub(super) fn start(namespace: &Namespace, names: &[String], rate: u32) -> Result<Self> {
        let keys = KeyRing::from_bytes(HELLO_KEY.as_bytes(), None)?;
        let shared = Arc::new(Shared::default());
        let members: Vec<Member> = names
            .iter()
            .zip(population::addresses(names.len()))
            .zip(0..)
            .map(|((name, owned), number)| member(name, owned, number))
            .collect();
        let (listening, speaking) = (Arc::clone(&shared), Arc::clone(&shared));
        let (heard_with, said_with) = (keys.clone(), keys);
        let threads = vec![
            namespace.start("crowd-ears", move || listen(&listening, &heard_with))?,
            namespace.start("crowd", move || speak(&speaking, members, &said_with, rate))?,
        ];
        Ok(Self { shared, threads })
    }

    /// Hellos sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// The length of the latest.
    pub(super) fn hello_bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> Result<()> {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a thread of the crowd panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

fn member(name: &str, owned: Ipv4Addr, number: u32) -> Member {
    let [_, _, high, low] = number.to_be_bytes();
    let claim = Claim { group: GroupId::of(&owned.to_string()), term: Term(1) };
    Member {
        mac: Mac([0x02, 0xc0, 0, 0, high, low]),
        // Beside the population, in the same prefix.
        address: Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 200, 1)) + number),
        hello: Hello {
            cluster: ClusterId::of(CLUSTER),
            node: NodeId::of(CLUSTER, name),
            incarnation: Incarnation::from_random(fastrand::u64(..)),
            seq: 0,
            interval: INTERVAL,
            dead: DEAD,
            flags: Flags::default(),
            owned: 1,
            digest: Digest::from_iter([claim]),
            slice: Slice::WHOLE,
            claims: UpTo::first_of([claim]),
            deltas: UpTo::new(),
            echoes: UpTo::new(),
        },
        spoke: Instant::now(),
        echoed: 0,
    }
}

fn listen(shared: &Shared, keys: &KeyRing) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut buffer = [0; 2048];
    while !shared.ended.load(Ordering::Relaxed) {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        let Ok(hello) = Hello::decode(buffer.get(..length).unwrap_or_default(), keys) else { continue };
        let heard = (hello.incarnation, hello.seq, Instant::now());
        *shared.heard.lock().map_err(|_| anyhow!("a thread of the crowd panicked"))? = Some(heard);
    }
    Ok(())
}

fn speak(shared: &Shared, mut members: Vec<Member>, keys: &KeyRing, rate: u32) -> Result<()> {
    let mut impostor = Impostor::open()?;
    let gap = Duration::from_secs(1) / rate.max(1);
    let (begin, count) = (Instant::now(), members.len());
    let mut due = begin;
    for index in (0..count).cycle() {
        while Instant::now() < due {
            if shared.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        // A stall is caught up with as long as it was short: what was not sent for a second was not sent.
        let now = Instant::now();
        due = (due + gap).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        let (echoes, real) = echoes(shared, &members, index, now)?;
        let Some(member) = members.get_mut(index) else { continue };
        member.echoed = member.echoed.saturating_add(real.into());
        member.hello.seq += 1;
        member.hello.echoes = echoes;
        member.spoke = now;
        let payload = member.hello.encode(keys);
        if impostor.tell_everybody(member.mac, member.address, PORT, &payload).is_ok() {
            shared.sent.fetch_add(1, Ordering::Relaxed);
            shared.bytes.store(payload.len(), Ordering::Relaxed);
        }
        if shared.ended.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

/// As many as a node among many echoes: the members that spoke last, and the real speaker in its turn; and whether that is among
/// them. Each member greets it in its first hellos, as the engine does, and as many as echo every node go on.
fn echoes(
    shared: &Shared,
    members: &[Member],
    index: usize,
    now: Instant,
) -> Result<(UpTo<{ ferrolb_layer2::hello::MAX_ECHOES }, Echo>, bool)> {
    let heard = *shared.heard.lock().map_err(|_| anyhow!("a thread of the crowd panicked"))?;
    let greets = members.get(index).is_some_and(|member| member.echoed < GREETINGS);
    let is_turn = greets || index.is_multiple_of((members.len() / ECHOES).max(1));
    let real = heard.filter(|_| is_turn).map(|(incarnation, seq, at)| Echo {
        incarnation,
        seq,
        age: now.saturating_duration_since(at),
    });
    let before = (1..=ECHOES).filter_map(|back| {
        let other = members.get((index + members.len()).checked_sub(back)? % members.len())?;
        (other.hello.seq > 0).then(|| Echo {
            incarnation: other.hello.incarnation,
            seq: other.hello.seq,
            age: now.saturating_duration_since(other.spoke),
        })
    });
    Ok((UpTo::first_of(real.into_iter().chain(before).take(ECHOES)), real.is_some()))
}
