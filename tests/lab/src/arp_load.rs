// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Many ARP questions for one address: how many are answered, and how soon.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::frame::{self, Content};
use crate::packet_socket::{ARP, PacketSocket};
use crate::probe::hurry;
use crate::{Namespace, Place};

/// Questions are sent in bursts so far apart when they are paced.
const TICK: Duration = Duration::from_millis(1);
/// Who asks: so many senders in turn, so that an answer names its question. Free addresses of the segment.
const SENDERS: u8 = 100;
const FIRST_SENDER: u8 = 150;
/// Answers that come later than this after the last question are not waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// What became of the questions.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Questions sent.
    pub sent: u64,
    /// Answers received.
    pub answered: u64,
    /// From the first question to the last.
    pub span: Duration,
    /// How long each answer took; empty for a flood, and answers slower than a sender's next turn are left out.
    pub latencies: Vec<Duration>,
}

/// Asks for `target` from the newcomer for `span`: `rate` questions a second, or as fast as one thread can.
///
/// # Errors
/// No right to open a packet socket, or the link is down.
pub fn ask(namespace: &Namespace, target: Ipv4Addr, rate: Option<u32>, span: Duration) -> Result<Answered> {
    namespace.run(|| {
        let socket = PacketSocket::open(ARP, Duration::from_millis(20))?;
        let listener = socket.try_clone()?;
        let waiting = Mutex::new([None; SENDERS as usize]);
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let listening = scope.spawn(|| {
                hurry();
                listen(&listener, target, &waiting, &ended)
            });
            // A flood at real-time priority would not let the thread that answers run on the same core.
            if rate.is_some() {
                hurry();
            }
            let sent = send(&socket, target, rate, span, &waiting);
            thread::sleep(PATIENCE);
            ended.store(true, Ordering::Relaxed);
            let heard = listening.join().map_err(|_| anyhow!("the listener panicked"))??;
            let (sent, span) = sent?;
            let latencies = if rate.is_some() { heard.1 } else { Vec::new() };
            Ok(Answered { sent, answered: heard.0, span, latencies })
        })
    })
}

type Waiting = Mutex<[Option<Instant>; SENDERS as usize]>;

fn sender(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, FIRST_SENDER.saturating_add(index))
}

fn send(
    socket: &PacketSocket,
    target: Ipv4Addr,
    rate: Option<u32>,
    span: Duration,
    waiting: &Waiting,
) -> Result<(u64, Duration)> {
    let mac = Place::Newcomer.mac();
    let questions: Vec<Vec<u8>> =
        (0..SENDERS).map(|index| frame::arp_question(mac, sender(index), target)).collect();
    let gap = rate.map(|rate| Duration::from_secs(1) / rate.max(1));
    let (begin, mut sent) = (Instant::now(), 0_u64);
    for (index, question) in questions.iter().enumerate().cycle() {
        if let Some(gap) = gap {
            let due = begin + gap.saturating_mul(u32::try_from(sent).unwrap_or(u32::MAX));
            while Instant::now() < due {
                thread::sleep(TICK);
            }
            if let Some(place) = waiting.lock().map_err(|_| anyhow!("a thread panicked"))?.get_mut(index) {
                *place = Some(Instant::now());
            }
        }
        match socket.send(question) {
            Ok(()) => sent += 1,
            // The queue is full, which is what a flood does.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
        if begin.elapsed() >= span {
            break;
        }
    }
    Ok((sent, begin.elapsed()))
}

fn listen(
    socket: &PacketSocket,
    target: Ipv4Addr,
    waiting: &Waiting,
    ended: &AtomicBool,
) -> Result<(u64, Vec<Duration>)> {
    let (mut answered, mut latencies) = (0, Vec::new());
    while !ended.load(Ordering::Relaxed) {
        let Some(frame) = socket.receive()?.as_deref().and_then(frame::read) else { continue };
        let now = Instant::now();
        let Content::Arp(arp) = frame.content else { continue };
        let [.., last] = arp.target.octets();
        let ours = arp.operation == 2 && arp.sender == target;
        let Some(index) = last.checked_sub(FIRST_SENDER).filter(|index| ours && *index < SENDERS) else {
            continue;
        };
        answered += 1;
        let asked = waiting
            .lock()
            .map_err(|_| anyhow!("a thread panicked"))?
            .get_mut(usize::from(index))
            .and_then(Option::take);
        latencies.extend(asked.map(|asked| now.saturating_duration_since(asked)));
    }
    Ok((answered, latencies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lab, rights};

    #[test]
    fn a_kernel_answers_paced_questions_for_its_own_address() {
        rights::within(|| {
            let lab = Lab::build(1)?;
            let told = ask(&lab.newcomer, Place::Node(1).ipv4(), Some(200), Duration::from_secs(1))?;
            assert!(told.sent > 20 && told.sent <= 201, "{}", told.sent);
            assert!(told.answered * 10 >= told.sent * 9, "{} of {}", told.answered, told.sent);
            assert_eq!(told.latencies.len() as u64, told.answered);
            Ok(())
        });
    }
}
