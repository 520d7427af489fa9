// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Waiting for several sockets, a deadline, and other threads at once.
//!
//! Level-triggered: what is readable and was left unread ends the next wait at once, so a round may stop reading
//! early without losing anything.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

/// Ends a [`wait`] from another thread.
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Ends the wait under way, or the next one.
    pub fn ring(&self) {
        // The only failure is a counter that is full, and then the bell is ringing already.
        let _ringing = self.0.write(1);
    }

    /// Stops ringing.
    pub fn silence(&self) {
        // The only failure is a bell that was not ringing.
        let _silent = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of `sources` is readable or has an error to tell, or `until` is reached. May return early. Says of each source,
/// in their order, whether it is worth a look.
///
/// # Errors
/// The kernel is out of memory.
pub fn wait<'a>(
    sources: impl IntoIterator<Item = BorrowedFd<'a>>,
    until: Option<Instant>,
) -> io::Result<Vec<bool>> {
    let mut fds: Vec<PollFd<'_>> =
        sources.into_iter().map(|source| PollFd::new(source, PollFlags::POLLIN)).collect();
    let timeout = until.map(|until| TimeSpec::from(until.saturating_duration_since(Instant::now())));
    match ppoll(&mut fds, timeout, None) {
        Ok(_) => Ok(fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
        Err(Errno::EINTR) => Ok(vec![true; fds.len()]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bell_rung_on_another_thread_ends_the_wait() {
        let bell = Arc::new(Bell::new().expect("a file descriptor"));
        let ringer = Arc::clone(&bell);
        let started = Instant::now();
        let thread = thread::spawn(move || ringer.ring());
        let until = Some(started + Duration::from_secs(10));
        let rung = wait([bell.as_fd()], until).expect("a bell can be waited for");
        assert_eq!(rung, [true]);
        assert!(started.elapsed() < Duration::from_secs(5));
        thread.join().expect("the ringer is done");
    }

    #[test]
    fn a_silenced_bell_does_not_end_the_wait_before_its_deadline() {
        let bell = Bell::new().expect("a file descriptor");
        bell.ring();
        bell.ring();
        bell.silence();
        let until = Instant::now() + Duration::from_millis(20);
        let rung = wait([bell.as_fd()], Some(until)).expect("a bell can be waited for");
        assert_eq!(rung, [false]);
        assert!(Instant::now() >= until);
    }
}
