// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The carrying speaker dies or freezes while its node lives on.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrolb_lab::capture::Capture;
use ferrolb_lab::frame::Content;
use ferrolb_lab::installation::Contestant;
use ferrolb_lab::probe::{NewClients, UdpEcho};
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender, TOLERATED_TWO_ANSWERS};
use ferrolb_lab::{Place, quickstart as example};
use nix::sys::signal::Signal;

use crate::cluster::quickstart;
use crate::patience::SOON;

#[test]
fn a_killed_speaker_is_replaced_quietly_and_its_clients_go_on() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let vip = ferrolb.target().ip();
        let lab = ferrolb.lab();
        let mut open = lab.client.run(|| {
            let stream = TcpStream::connect_timeout(&SocketAddr::new(vip, example::ECHO_TCP), SOON)?;
            stream.set_read_timeout(Some(SOON))?;
            Ok(stream)
        })?;
        exchange(&mut open)?;

        let cached = UdpEcho::start(&lab.client, ferrolb.target())?;
        let new = NewClients::start(&lab.newcomer, vip)?;
        // What the owner itself announced, until it was killed, moves nobody.
        let owner_mac = owner.mac();
        let announcements = Capture::start(&lab.client, move |frame| match frame.content {
            Content::Arp(arp) => {
                arp.is_gratuitous() && IpAddr::V4(arp.target) == vip && arp.sender_mac != owner_mac
            }
            _ => false,
        })?;
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        ferrolb.installation.speaker(&owner.name())?.kill()?;
        thread::sleep(SOON + SOON / 2);
        let (cached, new, announcements) = (cached.finish()?, new.finish()?, announcements.finish()?);
        let logs = ferrolb.installation.logs();

        let moved = new.moved_after(killed, owner.mac());
        assert!(moved.is_some_and(|moved| moved < SOON), "new clients are served after {moved:?}\n{logs}");
        assert!(new.two_answered() < TOLERATED_TWO_ANSWERS, "two answered for {:?}", new.two_answered());
        assert!(
            announcements.is_empty(),
            "clients of the old node are left alone: {announcements:?}\n{logs}"
        );
        assert_eq!(cached.lost, 0, "the old node's kernel serves on: {cached:?}");
        assert_eq!(cached.answered_by.keys().copied().collect::<Vec<Place>>(), [owner]);
        exchange(&mut open)?;
        Ok(())
    });
}

fn exchange(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"still there?")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"still there?");
    Ok(())
}

#[test]
fn a_speaker_that_freezes_for_three_seconds_gives_no_stale_answer_when_it_wakes() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let new = NewClients::start(&ferrolb.lab().newcomer, ferrolb.target().ip())?;
        thread::sleep(Duration::from_millis(300));
        ferrolb.installation.speaker(&owner.name())?.signal(Signal::SIGSTOP)?;
        let frozen = Instant::now();
        thread::sleep(Duration::from_secs(3));
        ferrolb.installation.speaker(&owner.name())?.signal(Signal::SIGCONT)?;
        let woken = Instant::now();
        thread::sleep(SOON);
        let new = new.finish()?;
        let logs = ferrolb.installation.logs();

        let moved = new.moved_after(frozen, owner.mac());
        assert!(moved.is_some_and(|moved| moved < SOON), "another node took over after {moved:?}\n{logs}");
        assert!(
            new.two_answered() < TOLERATED_TWO_ANSWERS,
            "two answered for {:?}\n{logs}",
            new.two_answered()
        );
        let stale =
            new.answers.iter().filter(|answer| answer.at > woken && answer.mac == owner.mac()).count();
        assert_eq!(stale, 0, "answers of the woken speaker\n{logs}");
        assert_ne!(trial::settled_owner(&ferrolb)?, owner);
        Ok(())
    });
}

#[test]
fn a_killed_controller_is_not_missed_and_its_successor_keeps_every_address() {
    within(|| {
        let mut ferrolb = quickstart(3)?;
        let before = addresses(&ferrolb)?;
        let probe = UdpEcho::start(&ferrolb.lab().client, ferrolb.target())?;
        ferrolb.installation.controller()?.kill()?;
        thread::sleep(SOON / 3);
        ferrolb.installation.start_controller()?;
        thread::sleep(SOON);
        let probe = probe.finish()?;
        assert!(
            probe.outage < Duration::from_millis(100) + probe.stall,
            "{probe:?}\n{}",
            ferrolb.installation.logs()
        );
        assert!(ferrolb.installation.controller()?.is_running(), "{}", ferrolb.installation.logs());
        assert_eq!(addresses(&ferrolb)?, before);
        Ok(())
    });
}

fn addresses(ferrolb: &Contestant) -> Result<Vec<(IpAddr, Vec<String>)>> {
    let status = ferrolb.installation.status()?;
    Ok(status.addresses.into_iter().map(|found| (found.address, found.services)).collect())
}
