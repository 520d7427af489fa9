// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The keys of the hellos, followed while the speaker runs.
//!
//! The file is read anew every second rather than watched: a mounted Secret is swapped by a link two folders further up,
//! which notices of the kernel tell in as many ways as there are volume drivers, and a read costs microseconds.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrolb_layer2::{KeyRing, KeyTooShort};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::layer2::{Ended, Layer2};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// Two keys are far shorter.
const LONGEST: u64 = 4096;

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the hello key from {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds something else than keys.
    #[error("the hello key in {} is longer than {LONGEST} bytes; make one with: head -c 32 /dev/urandom | base64", .0.display())]
    TooLong(PathBuf),
    /// A line of it is too short for a key.
    #[error("cannot use the hello key in {}: {error}; make one with: head -c 32 /dev/urandom | base64", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// How short.
        error: KeyTooShort,
    },
    /// A third line would be ignored in silence.
    #[error("{} holds more than two keys: the first line signs, the second is accepted too; remove the rest", .0.display())]
    TooMany(PathBuf),
}

/// The keys in force, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyState {
    /// What they are called, the one that signs first.
    pub(crate) names: Vec<String>,
    /// Anybody on the segment can know the key.
    pub(crate) is_default: bool,
    /// Why the file, as it is now, is not followed.
    pub(crate) trouble: Option<String>,
}

impl KeyState {
    fn of(keys: &KeyRing) -> Self {
        Self { names: keys.names(), is_default: keys.is_default(), trouble: None }
    }
}

/// A file of keys, and what was last read of it.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    content: Vec<u8>,
}

/// Where the keys come from.
#[derive(Debug)]
pub(crate) enum HelloKeys {
    /// From the cluster's name: they never change.
    Default,
    /// From a file.
    File(KeyFile),
}

impl HelloKeys {
    /// The first keys, of the file if there is one. Blocks on the disk.
    ///
    /// # Errors
    /// The file gives none.
    pub(crate) fn open(path: Option<&Path>, cluster: &str) -> Result<(Self, KeyRing), KeyFileError> {
        let Some(path) = path else { return Ok((Self::Default, KeyRing::default_for(cluster))) };
        let content = read(path)?;
        let keys = parse(path, &content)?;
        Ok((Self::File(KeyFile { path: path.to_owned(), content }), keys))
    }

    /// Hands new keys to `layer2` as the file changes, and shows what is in force. A file that gives no keys changes
    /// nothing.
    ///
    /// # Errors
    /// The layer-2 thread has ended.
    pub(crate) async fn follow(
        self,
        layer2: &Layer2,
        shown: &watch::Sender<KeyState>,
    ) -> Result<Infallible, Ended> {
        let Self::File(mut file) = self else { return std::future::pending().await };
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let (back, found) = spawn_blocking(move || {
                let found = file.look();
                (file, found)
            })
            .await
            .map_err(|_| Ended)?;
            file = back;
            match found {
                Ok(None) => {
                    shown.send_if_modified(|state| state.trouble.take().is_some());
                }
                Ok(Some(keys)) => {
                    let state = KeyState::of(&keys);
                    info!(keys = state.names.join(","), "the hello keys have changed");
                    layer2.set_keys(keys).await?;
                    shown.send_replace(state);
                }
                Err(error) => {
                    let trouble = format!("{error}; the keys from before stay in force");
                    shown.send_if_modified(|state| {
                        let new = state.trouble.as_ref() != Some(&trouble);
                        if new {
                            warn!("{trouble}");
                            state.trouble = Some(trouble);
                        }
                        new
                    });
                }
            }
        }
    }
}

impl KeyFile {
    /// The file's keys if they are others than at the last look. Blocks on the disk.
    fn look(&mut self) -> Result<Option<KeyRing>, KeyFileError> {
        let content = read(&self.path)?;
        if content == self.content {
            return Ok(None);
        }
        let keys = parse(&self.path, &content)?;
        self.content = content;
        Ok(Some(keys))
    }
}

/// What is shown of the first keys, and where what follows is shown.
pub(crate) fn show(keys: &KeyRing) -> (watch::Sender<KeyState>, watch::Receiver<KeyState>) {
    watch::channel(KeyState::of(keys))
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable { path: path.to_owned(), error };
    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= LONGEST) {
        Ok(content)
    } else {
        Err(KeyFileError::TooLong(path.to_owned()))
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<KeyRing, KeyFileError> {
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty());
    let (active, accepted) = (lines.next().unwrap_or_default(), lines.next());
    if lines.next().is_some() {
        return Err(KeyFileError::TooMany(path.to_owned()));
    }
    KeyRing::from_bytes(active, accepted)
        .map_err(|error| KeyFileError::TooShort { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    fn names(content: &str) -> Vec<String> {
        parse(Path::new("hello.key"), content.as_bytes()).expect("keys").names()
    }

    #[test]
    fn one_or_two_lines_are_keys_and_surrounding_space_is_not() {
        let (old, new) = (names(OLD), names(NEW));
        assert_eq!(names("  0123456789abcdef \r\n\nfedcba9876543210\n"), [old.concat(), new.concat()]);
    }

    #[test]
    fn what_gives_no_keys_is_refused_with_the_remedy() {
        let three = format!("{OLD}\n{NEW}\n{OLD}\n");
        for (content, remedy) in [
            ("", "urandom"),
            ("\n", "urandom"),
            ("short", "urandom"),
            ("0123456789abcdef\nshort", "urandom"),
            (&three, "remove the rest"),
        ] {
            let error = parse(Path::new("hello.key"), content.as_bytes()).expect_err("no keys").to_string();
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_key_file_is_not_read_to_its_end() {
        let error = HelloKeys::open(Some(Path::new("/dev/zero")), "c").expect_err("endless");
        assert!(matches!(error, KeyFileError::TooLong(_)), "{error}");
    }

    /// A mounted Secret: `hello.key` links to `..data/hello.key`, and `..data` to a folder that is replaced as a whole.
    #[test]
    fn the_link_that_a_mounted_secret_is_swapped_by_is_followed() {
        let folder = tempfile::tempdir().expect("room on the disk");
        let swap = |version: &str, content: &str| {
            let data = folder.path().join(version);
            fs::create_dir(&data).expect("room");
            fs::write(data.join("hello.key"), content).expect("room");
            symlink(version, folder.path().join("..tmp")).expect("room");
            fs::rename(folder.path().join("..tmp"), folder.path().join("..data")).expect("room");
        };
        swap("..1", OLD);
        let path = folder.path().join("hello.key");
        symlink("..data/hello.key", &path).expect("room");
        let (keys, first) = HelloKeys::open(Some(&path), "c").expect("keys");
        let HelloKeys::File(mut file) = keys else { panic!("a file") };
        assert_eq!(first.names(), names(OLD));
        assert!(file.look().expect("unchanged").is_none());
        swap("..2", &format!("{OLD}\n{NEW}"));
        assert_eq!(file.look().expect("keys").expect("new ones").names().len(), 2);
        swap("..3", "short");
        file.look().expect_err("refused");
        file.look().expect_err("and still");
        swap("..4", NEW);
        assert_eq!(file.look().expect("keys").expect("new ones").names(), names(NEW));
        fs::remove_file(folder.path().join("..data")).expect("it was there");
        assert!(matches!(file.look(), Err(KeyFileError::Unreadable { .. })));
    }
}
