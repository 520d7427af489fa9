// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Of several controllers one leads: a Lease in the install namespace says which.
//!
//! Every write of the Lease carries the resourceVersion that it was derived from, so of two who want it one gets it.
//! Nobody's wall clock is trusted: a Lease has expired for a contender when it has not changed for its duration since
//! *that contender* last saw it change. A leader counts from before it sent its last renewal and gives up earlier than
//! that, so it has stopped before anybody else may begin. [`Fence`] holds that moment, and is asked before every write.

mod campaign;
mod contender;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

pub(crate) use campaign::campaign;

/// How long a Lease is good for after it last changed.
pub const DURATION: Duration = Duration::from_secs(6);
/// How often the leader renews it.
pub const RENEWAL: Duration = Duration::from_secs(2);
/// How long after a renewal was sent the leader may act.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// How often the others look at it.
pub const LOOK: Duration = Duration::from_secs(1);
/// After a request that brought nothing, how long until the next.
const REST: Duration = Duration::from_millis(250);

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This process, until further notice; before each write ask the [`Fence`].
    Leading {
        /// Since when.
        since: Timestamp,
        /// How often the leadership has passed on so far; grows with every leader.
        term: u64,
    },
    /// Somebody else, or nobody.
    Following {
        /// Who, if anybody.
        holder: Option<String>,
    },
}

impl Leadership {
    /// Whether this process leads.
    pub fn is_leading(&self) -> bool {
        matches!(self, Self::Leading { .. })
    }
}

impl fmt::Display for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leading { since, term } => write!(f, "leading since {since}, term {term}"),
            Self::Following { holder: Some(holder) } => write!(f, "following {holder}"),
            Self::Following { holder: None } => f.write_str("following nobody"),
        }
    }
}

/// A candidacy that runs.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Who leads, as it changes.
    pub leadership: watch::Receiver<Leadership>,
    /// Whether this process may write at this very moment.
    pub fence: Fence,
}

/// Open while this process leads for certain. It closes by time alone: a process that stood still finds it closed when
/// it goes on, before it has heard of anything.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Fence {
    /// Whether a write may start now.
    pub fn is_open(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}
