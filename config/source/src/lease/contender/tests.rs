// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

fn held_by(holder: &str, renewed: &str) -> Record {
    Record {
        holder: Some(holder.to_owned()),
        renewed: renewed.to_owned(),
        transitions: 3,
        duration: Some(DURATION),
    }
}

/// Looks until something else is to be done, with the record as it is.
fn after(
    contender: &mut Contender,
    record: &Record,
    mut now: Instant,
    wait: Duration,
) -> (Decision, Instant) {
    let end = now + wait;
    loop {
        match contender.decide(now) {
            Decision::Look => contender.saw(record.clone(), now),
            Decision::Wait(wait) if now + wait <= end => now += wait,
            other => return (other, now),
        }
    }
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    let now = Instant::now();
    let mut contender = Contender::new("a".to_owned());
    assert_eq!(contender.decide(now), Decision::Look);
    contender.saw(Record::default(), now);
    assert_eq!(contender.decide(now), Decision::Acquire);
    let record = contender.next("1".to_owned());
    assert_eq!((record.holder.as_deref(), record.transitions), (Some("a"), 1));
    contender.wrote(record, now, now);
    assert_eq!(contender.decide(now), Decision::Wait(RENEWAL));
    assert_eq!(contender.decide(now + RENEWAL), Decision::Renew);
    assert_eq!(contender.next("2".to_owned()).transitions, 1, "a renewal is no new term");
}

#[test]
fn a_lease_expires_by_our_own_clock_whatever_times_stand_in_it() {
    for renewed in ["1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "nonsense"] {
        let start = Instant::now();
        let mut contender = Contender::new("a".to_owned());
        let record = held_by("b", renewed);
        contender.saw(record.clone(), start);
        let (decision, _) = after(&mut contender, &record, start, DURATION - Duration::from_millis(1));
        assert!(matches!(decision, Decision::Wait(_)), "{renewed}: {decision:?}");
        let (decision, at) = after(&mut contender, &record, start, DURATION * 2);
        assert_eq!((decision, at - start), (Decision::Acquire, DURATION), "{renewed}");
    }
}

#[test]
fn a_lease_that_changes_does_not_expire() {
    let start = Instant::now();
    let mut contender = Contender::new("a".to_owned());
    for second in 0..60 {
        let now = start + Duration::from_secs(second);
        contender.saw(held_by("b", &(second / 2).to_string()), now);
        assert!(!matches!(contender.decide(now), Decision::Acquire), "after {second} s");
    }
}

#[test]
fn a_leader_that_cannot_renew_stops_before_anybody_else_may_begin() {
    let start = Instant::now();
    let mut leader = Contender::new("a".to_owned());
    leader.saw(Record::default(), start);
    leader.wrote(leader.next("1".to_owned()), start, start + Duration::from_millis(300));
    let mut now = start;
    let lost = loop {
        match leader.decide(now) {
            Decision::Wait(wait) => now += wait,
            Decision::Renew => leader.failed(now),
            Decision::Lost => break now,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lost - start, DEADLINE, "counted from when the last renewal was sent");
    assert!(DEADLINE + RENEWAL <= DURATION);
}

#[test]
fn a_leader_that_stood_still_knows_that_it_may_not_act_any_more() {
    let start = Instant::now();
    let mut leader = Contender::new("a".to_owned());
    leader.saw(Record::default(), start);
    leader.wrote(leader.next("1".to_owned()), start, start);
    assert_eq!(leader.decide(start + Duration::from_secs(60)), Decision::Lost);
}

#[test]
fn a_leader_that_sees_another_holder_stops_at_once() {
    let start = Instant::now();
    let mut leader = Contender::new("a".to_owned());
    leader.saw(Record::default(), start);
    leader.wrote(leader.next("1".to_owned()), start, start);
    leader.saw(held_by("b", "2"), start);
    assert_eq!(leader.decide(start), Decision::Lost);
}

#[test]
fn a_lease_that_is_deleted_under_its_holder_is_left_to_it_until_it_would_have_expired() {
    let start = Instant::now();
    let mut contender = Contender::new("a".to_owned());
    contender.saw(held_by("b", "1"), start);
    contender.saw(Record::default(), start);
    let (decision, at) = after(&mut contender, &Record::default(), start, DURATION * 2);
    assert_eq!((decision, at - start), (Decision::Acquire, DURATION));
}

#[test]
fn a_lease_that_was_given_back_is_taken_at_once() {
    let start = Instant::now();
    let mut contender = Contender::new("a".to_owned());
    contender.saw(held_by("b", "1"), start);
    contender.saw(Record { holder: None, ..held_by("b", "2") }, start);
    assert_eq!(contender.decide(start), Decision::Acquire);
}

/// A server that keeps one Lease, and compares before it swaps.
#[derive(Default)]
struct Server {
    record: Record,
    version: u64,
}

/// A contender with a clock of its own: it stands still now and then, and its requests are slow or get lost.
struct Player {
    contender: Contender,
    version: u64,
    /// How far its monotonic clock is from the others'.
    skew: Duration,
    stalled_until: Duration,
    /// A write on its way: when it was sent, when it arrives, and what it says.
    sent: Option<(Duration, Duration, Record, u64)>,
    /// Answers that came: when it was sent, and whether it was done. Read when the player does not stand still.
    answers: Vec<(Duration, bool)>,
}

#[test]
fn never_two_may_act_at_one_moment_however_they_stall_and_whatever_gets_lost() {
    let origin = Instant::now();
    let mut led = 0_u32;
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut server = Server::default();
        let mut players: Vec<Player> = ["a", "b", "c"]
            .map(|name| Player {
                contender: Contender::new(name.to_owned()),
                version: 0,
                skew: Duration::from_secs(random.u64(..100_000)),
                stalled_until: Duration::ZERO,
                sent: None,
                answers: Vec::new(),
            })
            .into();
        for tick in 0..3_000_u32 {
            let time = Duration::from_millis(50) * tick;
            for player in &mut players {
                play(player, &mut server, origin, time, &mut random);
            }
            let acting = players.iter().filter(|player| {
                player.contender.until().is_some_and(|until| origin + player.skew + time < until)
            });
            let acting = acting.count();
            assert!(acting <= 1, "seed {seed}: {acting} act at {time:?}");
            led += u32::try_from(acting).unwrap();
        }
    }
    assert!(led > 200 * 1_000, "somebody leads most of the time: {led}");
}

fn play(
    player: &mut Player,
    server: &mut Server,
    origin: Instant,
    time: Duration,
    random: &mut fastrand::Rng,
) {
    let now = |time: Duration| origin + player.skew + time;
    // What is on its way arrives, whether the sender stands still or not.
    let arrived = player.sent.take_if(|(_, arrives, ..)| *arrives <= time);
    if let Some((sent, _, record, version)) = arrived {
        let is_lost = random.u8(..10) == 0;
        if version == server.version && !is_lost {
            server.version += 1;
            server.record.clone_from(&record);
        }
        let is_ours = server.record == record && !is_lost;
        // The answer may get lost, too.
        player.answers.push((sent, is_ours && random.u8(..10) > 0));
    }
    if player.stalled_until > time {
        return;
    }
    if random.u8(..200) == 0 {
        player.stalled_until = time + Duration::from_millis(random.u64(..15_000));
        return;
    }
    for (sent, is_done) in std::mem::take(&mut player.answers) {
        if is_done {
            player.version = server.version;
            player.contender.wrote(server.record.clone(), now(sent), now(time));
        } else {
            player.contender.failed(now(time));
        }
    }
    if player.sent.is_some() {
        return;
    }
    match player.contender.decide(now(time)) {
        Decision::Wait(_) => {}
        Decision::Lost => player.contender.stepped_down(),
        Decision::Look => {
            player.version = server.version;
            player.contender.saw(server.record.clone(), now(time));
        }
        Decision::Acquire | Decision::Renew => {
            let arrives = time + Duration::from_millis(random.u64(..1_500));
            let record = player.contender.next(format!("{time:?}"));
            player.sent = Some((time, arrives, record, player.version));
        }
    }
}
