// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The files of a folder, and the last good form of each.
//!
//! Editors write in many ways: in place, by truncating first, by moving the old file away. So a changed file is read
//! when it has been quiet for a moment, and a change that takes objects away when it has been quiet for longer. What
//! cannot be read any more stays in force as it was.

mod held;
mod last_good;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ferrolb_config::Object;
use ferrolb_config::reason::{Location, Reason, Refusal, Severity};

use held::Reading;
pub(crate) use held::{Held, Placed};
pub(crate) use last_good::LastGood;

/// How long a changed file must be quiet before it is read.
const QUIET: Duration = Duration::from_millis(20);
/// How long it must be quiet, or missing, before objects are taken away for it.
const GRACE: Duration = Duration::from_millis(300);
/// A file this young may change again without its times showing it: kernels stamp files by a clock tick.
const TICK: Duration = Duration::from_millis(20);
/// Larger files are refused; ten thousand Services with their endpoints take about 10 MiB.
const LARGEST: u64 = 256 << 20;

/// How the files of a folder are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    /// By people and their tools, in any way.
    Anyhow,
    /// As a whole, by our own writers.
    Whole,
}

/// The files of one folder.
#[derive(Debug)]
pub(crate) struct Files {
    saved: Saved,
    reading: Reading,
    last_good: Option<LastGood>,
    opened: bool,
    entries: BTreeMap<PathBuf, Entry>,
}

/// What a look at the files showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether what is in force changed.
    pub(crate) changed: bool,
    /// When to look again at the latest, if there is something to wait for.
    pub(crate) again: Option<Duration>,
}

impl Look {
    pub(crate) fn again(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |other| other.min(after)));
    }
}

impl Files {
    /// Files of which that is kept which `keep` leaves of each object.
    pub(crate) fn new(saved: Saved, keep: fn(Object) -> Object) -> Self {
        let reading = Reading::new(keep);
        Self { saved, reading, last_good: None, opened: false, entries: BTreeMap::new() }
    }

    /// Files that people save, of which `last_good` outlives this process.
    pub(crate) fn remembered(keep: fn(Object) -> Object, last_good: Option<LastGood>) -> Self {
        Self { last_good, ..Self::new(Saved::Anyhow, keep) }
    }

    /// What is in force, by path.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Path, &Held)> + Clone {
        self.entries.iter().map(|(path, entry)| (path.as_path(), &entry.held))
    }

    /// Reads those of the files `present` that changed.
    pub(crate) fn look(&mut self, present: &BTreeSet<PathBuf>, now: Instant) -> Look {
        let mut look = Look::default();
        // At the start there is nothing to lose, and the first view should be whole.
        let patience = if self.opened { self.saved } else { Saved::Whole };
        for path in present {
            let entry = self.entries.entry(path.clone()).or_insert_with(|| Entry::new(now));
            entry.look(path, patience, &self.reading, self.last_good.as_mut(), now, &mut look);
        }
        let before = self.entries.len();
        self.entries.retain(|path, entry| present.contains(path) || entry.outlives(patience, now, &mut look));
        if let Some(last_good) = &self.last_good
            && (!self.opened || self.entries.len() < before)
        {
            last_good.retain(self.entries.keys());
        }
        self.opened = true;
        look
    }
}

/// One file.
#[derive(Debug)]
struct Entry {
    stamp: Option<Stamp>,
    /// Since when the file has had this stamp, or has been missing.
    since: Instant,
    missing: bool,
    /// Whether the content under this stamp is the one in force.
    settled: bool,
    /// Whether what an earlier process held was asked for, or need not be.
    recalled: bool,
    held: Held,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let file = fs::metadata(path)?;
        if !file.is_file() {
            // To read from a pipe would wait for whoever writes to it.
            return Err(std::io::Error::other("it is not a regular file"));
        }
        Ok(Self {
            inode: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }

    /// Whether the file changed so lately that a further change may carry the same times.
    fn is_young(&self, now: SystemTime) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or(0);
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        // A time far in the future only shows that the clock was set back; waiting for it would never end.
        now.duration_since(changed).unwrap_or_else(|ahead| ahead.duration()) < TICK
    }
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            stamp: None,
            since: now,
            missing: false,
            settled: false,
            recalled: false,
            held: Held::default(),
        }
    }

    fn look(
        &mut self,
        path: &Path,
        patience: Saved,
        reading: &Reading,
        last_good: Option<&mut LastGood>,
        now: Instant,
        look: &mut Look,
    ) {
        let stamp = match Stamp::of(path) {
            Ok(stamp) => stamp,
            Err(_) if vanished(path) => return look.again(TICK),
            Err(error) => return self.keep(path, &error.to_string(), reading, last_good.as_deref(), look),
        };
        if self.stamp != Some(stamp) || self.missing {
            (self.stamp, self.since, self.missing, self.settled) = (Some(stamp), now, false, false);
        }
        let quiet = now.duration_since(self.since);
        if self.settled {
            return;
        }
        if patience == Saved::Anyhow && quiet < QUIET {
            return look.again(QUIET - quiet);
        }
        let text = match read(path, stamp.size) {
            Ok(text) => text,
            Err(_) if vanished(path) => return look.again(TICK),
            Err(problem) => {
                self.settled = true;
                return self.keep(path, &problem, reading, last_good.as_deref(), look);
            }
        };
        let mut next = reading.read(path, &text, &self.held);
        let is_good = next.is_good();
        if !is_good {
            self.recall(path, reading, last_good.as_deref());
            next.keep_unread_of(&self.held);
        }
        if Stamp::of(path).ok() != Some(stamp) {
            return look.again(QUIET);
        }
        if patience == Saved::Anyhow && quiet < GRACE && next.lacks(&self.held) {
            return look.again(GRACE - quiet);
        }
        self.settled = !stamp.is_young(SystemTime::now());
        if !self.settled {
            look.again(TICK);
        }
        if is_good {
            self.recalled = true;
            if let Some(last_good) = last_good {
                last_good.keep(path, &text);
            }
        }
        if next != self.held {
            self.held = next;
            look.changed = true;
        }
    }

    /// Before a file that cannot be read is all there is: what it held for an earlier process.
    fn recall(&mut self, path: &Path, reading: &Reading, last_good: Option<&LastGood>) {
        if std::mem::replace(&mut self.recalled, true) {
            return;
        }
        if let Some(text) = last_good.and_then(|last_good| last_good.read(path)) {
            self.held = reading.read(path, &text, &self.held);
        }
    }

    /// Keeps what is in force, with the reason why nothing newer is.
    fn keep(
        &mut self,
        path: &Path,
        problem: &str,
        reading: &Reading,
        last_good: Option<&LastGood>,
        look: &mut Look,
    ) {
        self.recall(path, reading, last_good);
        let refused = vec![unreadable(path, problem)];
        if self.held.refused != refused {
            self.held.refused = refused;
            look.changed = true;
        }
    }

    /// Whether a file that is missing stays in force a little longer.
    fn outlives(&mut self, patience: Saved, now: Instant, look: &mut Look) -> bool {
        if !self.missing {
            (self.missing, self.since) = (true, now);
        }
        let gone = now.duration_since(self.since);
        if patience == Saved::Anyhow && gone < GRACE {
            look.again(GRACE - gone);
            return true;
        }
        look.changed = true;
        false
    }
}

/// Whether the file was removed since the folder was listed; the next listing says so too.
fn vanished(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn read(path: &Path, size: u64) -> Result<String, String> {
    if size > LARGEST {
        return Err(format!("the file has {} MiB, and at most {} MiB are read", size >> 20, LARGEST >> 20));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

fn unreadable(path: &Path, problem: &str) -> Refusal {
    Refusal {
        object: None,
        reason: Reason::MalformedDocument,
        severity: Severity::Error,
        field: None,
        message: format!("the file cannot be read: {problem}"),
        remedy: Some("Make it readable or remove it; what it held before stays in force.".to_owned()),
        location: Some(Location { file: path.to_owned(), line: 0, column: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_young_for_a_moment_whatever_the_clock_does() {
        let stamp = Stamp { inode: (1, 1), size: 0, modified: (0, 0), changed: (1_000, 500_000_000) };
        let at = |millis| stamp.is_young(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert!(at(1_000_500) && at(1_000_510) && at(1_000_490));
        assert!(!at(1_000_530) && !at(999_000) && !at(0));
    }

    #[test]
    fn a_file_that_is_removed_after_the_folder_was_listed_is_gone_and_not_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let mut files = Files::new(Saved::Whole, |object| object);
        files.look(&[path.clone()].into(), Instant::now());
        assert!(files.held().all(|(_, held)| held.refused.is_empty()));
        fs::write(&path, "kind: [").unwrap();
        files.look(&[path.clone()].into(), Instant::now());
        assert_eq!(files.held().map(|(_, held)| held.refused.len()).sum::<usize>(), 1);
    }
}
