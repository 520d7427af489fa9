// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Plays fresh seeds for a given time, and tells how many; ends with 1 at the first rule that is broken.
//!
//! `soak [--minutes N] [--from SEED]`; without a seed to begin with, the clock names one.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use ferrolb_simulator::{Failure, play};

/// How often the count is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What all workers share.
struct Soak {
    next: AtomicU64,
    played: AtomicU64,
    /// Virtual milliseconds.
    time: AtomicU64,
    over: AtomicBool,
    failure: Mutex<Option<Box<Failure>>>,
}

fn main() -> ExitCode {
    let Some((minutes, from)) = arguments() else {
        eprintln!("usage: soak [--minutes N] [--from SEED]");
        return ExitCode::from(2);
    };
    let soak = Soak {
        next: AtomicU64::new(from),
        played: AtomicU64::new(0),
        time: AtomicU64::new(0),
        over: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    println!("seeds from {from} on, for {minutes} minutes");
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| soak.work());
        }
        soak.watch(start, Duration::from_secs_f64(minutes * 60.0));
    });
    soak.tell(start);
    match soak.failure.into_inner() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(failure)) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn arguments() -> Option<(f64, u64)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let (mut minutes, mut from) = (10.0, now.as_secs() << 20);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--minutes" => minutes = value.parse().ok().filter(|m: &f64| (0.0..=1e6).contains(m))?,
            "--from" => from = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((minutes, from))
}

impl Soak {
    fn work(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            match play(seed, false) {
                Ok(played) => {
                    self.played.fetch_add(1, Ordering::Relaxed);
                    let time = u64::try_from(played.time.as_millis()).unwrap_or_default();
                    self.time.fetch_add(time, Ordering::Relaxed);
                }
                Err(failure) => {
                    self.over.store(true, Ordering::Relaxed);
                    if let Ok(mut first) = self.failure.lock() {
                        first.get_or_insert(failure);
                    }
                }
            }
        }
    }

    fn watch(&self, start: Instant, length: Duration) {
        let mut told = start;
        while !self.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.tell(start);
            }
            if start.elapsed() >= length {
                self.over.store(true, Ordering::Relaxed);
            }
        }
    }

    fn tell(&self, start: Instant) {
        let played = self.played.load(Ordering::Relaxed);
        let hours = Duration::from_millis(self.time.load(Ordering::Relaxed)).as_secs_f64() / 3_600.0;
        let seconds = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "told with one digit")]
        let pace = played as f64 / seconds;
        println!("{seconds:>7.0} s  {played:>8} seeds  {hours:>8.1} virtual hours  {pace:>6.1} seeds/s");
    }
}
