// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Clients of every kind that Linux can be: what their neighbour cache makes of a failover, and how soon each reaches the
//! new owner. `cargo test --test e2e clients -- --nocapture` prints the table.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrolb_lab::capture::Capture;
use ferrolb_lab::frame::Content;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};
use ferrolb_lab::{Lab, Namespace, Place};

use crate::cluster::quickstart;

/// Between two datagrams of a client.
const PAUSE: Duration = Duration::from_millis(20);
/// A fresh entry is at most this old when the owner dies: younger than what `locktime` protects.
const FRESH: Duration = Duration::from_millis(200);
/// The dead interval, the announcement, and what a busy machine adds; who drops announcements is told in person, and
/// believes it once its entry is a second old. By itself its kernel would need up to 53 s.
const BOUND: Duration = Duration::from_millis(2500);

/// What a client has in its neighbour cache when the owner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Learned a moment ago, and in use.
    Fresh,
    /// Learned long ago, and used again from now on.
    Stale,
    /// None: it begins to ask while nobody answers.
    Pending,
}

/// One kind of client, as its kernel is set (ip-sysctl of the kernel's documentation).
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// `locktime`, in hundredths of a second: how long a fresh entry resists a reply that it did not ask for.
    locktime: u32,
    /// `arp_accept` and `accept_untracked_na`: an announcement makes an entry.
    accepts: bool,
    /// `drop_gratuitous_arp` and `drop_unsolicited_na`.
    drops: bool,
    entry: Entry,
}

fn kinds() -> Vec<Kind> {
    let entries = [Entry::Fresh, Entry::Stale, Entry::Pending];
    let mut kinds = Vec::new();
    for (locktime, accepts, drops) in
        [(0, false, false), (100, false, false), (100, true, false), (0, false, true), (100, false, true)]
    {
        kinds.extend(entries.map(|entry| Kind { locktime, accepts, drops, entry }));
    }
    kinds
}

/// A client on the segment.
struct Guest {
    kind: Kind,
    place: Place,
    namespace: Namespace,
}

impl Guest {
    fn join(lab: &Lab, index: u8, kind: Kind) -> Result<Self> {
        let place = Place::Guest(index);
        let namespace = lab.add_station(place)?;
        let settings = [
            ("ipv4/neigh/eth0/locktime", kind.locktime),
            ("ipv4/conf/eth0/arp_accept", kind.accepts.into()),
            ("ipv6/conf/eth0/accept_untracked_na", kind.accepts.into()),
            ("ipv4/conf/eth0/drop_gratuitous_arp", kind.drops.into()),
            ("ipv6/conf/eth0/drop_unsolicited_na", kind.drops.into()),
        ];
        namespace.run(|| {
            settings.iter().try_for_each(|(key, value)| {
                let path = format!("/proc/sys/net/{key}");
                fs::write(&path, value.to_string()).with_context(|| format!("writing {path}"))
            })
        })?;
        Ok(Self { kind, place, namespace })
    }

    /// Sends one datagram to each target, so that the owner's MAC is learned.
    fn learn(&self, targets: [IpAddr; 2]) -> Result<()> {
        self.namespace.run(|| {
            sockets()?
                .iter()
                .zip(targets)
                .for_each(|(socket, target)| drop(socket.send_to(b"?", (target, 9))));
            Ok(())
        })
    }

    /// Makes what was learned look old.
    fn age(&self, lab: &Lab, targets: [IpAddr; 2], owner: Place) -> Result<()> {
        for target in targets {
            let mut ip = Command::new("ip");
            let (target, mac) = (target.to_string(), owner.mac().to_string());
            ip.args(["neigh", "replace", &target, "lladdr", &mac, "dev", "eth0", "nud", "stale"]);
            lab.output(&self.namespace, ip)?;
        }
        Ok(())
    }

    /// Sends to both targets until told to stop.
    fn send(&self, targets: [IpAddr; 2], stop: &Arc<AtomicBool>) -> Result<JoinHandle<Result<()>>> {
        let stop = Arc::clone(stop);
        self.namespace.start("guest", move || {
            let sockets = sockets()?;
            while !stop.load(Ordering::Relaxed) {
                for (socket, target) in sockets.iter().zip(targets) {
                    // EHOSTUNREACH while nobody answers: that is what is measured.
                    drop(socket.send_to(b"?", (target, 9)));
                }
                thread::sleep(PAUSE);
            }
            Ok(())
        })
    }

    fn address(&self, like: IpAddr) -> IpAddr {
        if like.is_ipv4() { self.place.ipv4().into() } else { self.place.ipv6().into() }
    }
}

fn sockets() -> Result<[UdpSocket; 2]> {
    Ok([UdpSocket::bind("0.0.0.0:0")?, UdpSocket::bind("[::]:0")?])
}

#[test]
fn after_a_failover_every_kind_of_client_reaches_the_new_owner_within_the_bound() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (lab, installation) = (ferrolb.lab(), &ferrolb.installation);
        let targets =
            [installation.address_of("default/dual", true)?, installation.address_of("default/dual", false)?];
        let owner = lab.node_at(trial::settled_owner_of(&ferrolb, targets[0])?)?.clone();
        let guests: Vec<Guest> =
            (1..).zip(kinds()).map(|(index, kind)| Guest::join(lab, index, kind)).collect::<Result<_>>()?;
        let heirs: Vec<Capture> = lab
            .nodes
            .iter()
            .filter(|node| node.name != owner.name)
            .map(|node| {
                let mac = node.place().mac();
                Capture::start(&node.namespace, move |frame| {
                    let ours =
                        matches!(frame.content, Content::Udp { to, port: 9, .. } if targets.contains(&to));
                    ours && frame.destination == mac
                })
            })
            .collect::<Result<_>>()?;

        let stale = || guests.iter().filter(|guest| guest.kind.entry == Entry::Stale);
        for guest in stale() {
            guest.learn(targets)?;
        }
        thread::sleep(Duration::from_secs(1));
        for guest in stale() {
            guest.age(lab, targets, owner.place())?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (fresh, later): (Vec<_>, Vec<_>) =
            guests.iter().partition(|guest| guest.kind.entry == Entry::Fresh);
        let mut senders: Vec<_> =
            fresh.iter().map(|guest| guest.send(targets, &stop)).collect::<Result<_>>()?;
        thread::sleep(FRESH);
        let cut = Instant::now();
        lab.cut(&owner)?;
        senders.extend(later.iter().map(|guest| guest.send(targets, &stop)).collect::<Result<Vec<_>>>()?);
        thread::sleep(BOUND * 2);
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }

        let mut reached: BTreeMap<(IpAddr, IpAddr), Duration> = BTreeMap::new();
        for seen in heirs.into_iter().map(Capture::finish).collect::<Result<Vec<_>>>()?.into_iter().flatten()
        {
            if let Content::Udp { from, to, .. } = seen.frame.content
                && seen.at > cut
            {
                let after = seen.at - cut;
                reached.entry((from, to)).and_modify(|first| *first = after.min(*first)).or_insert(after);
            }
        }
        report(&guests, targets, &reached);
        for guest in &guests {
            for target in targets {
                let after = reached.get(&(guest.address(target), target));
                assert!(
                    after.is_some_and(|after| *after <= BOUND),
                    "{:?} reaches {target} after {after:?}, bound {BOUND:?}\n{}",
                    guest.kind,
                    installation.logs()
                );
            }
        }
        Ok(())
    });
}

fn report(guests: &[Guest], targets: [IpAddr; 2], reached: &BTreeMap<(IpAddr, IpAddr), Duration>) {
    println!("locktime  accepts  drops  entry    IPv4 ms  IPv6 ms  (since the owner's cable was cut)");
    for guest in guests {
        let Kind { locktime, accepts, drops, entry } = guest.kind;
        let [v4, v6] = targets.map(|target| {
            let after = reached.get(&(guest.address(target), target));
            after.map_or_else(|| "never".to_owned(), |after| after.as_millis().to_string())
        });
        let entry = format!("{entry:?}");
        println!("{:5} s  {accepts:7}  {drops:5}  {entry:7}  {v4:>7}  {v6:>7}", locktime / 100);
    }
}
