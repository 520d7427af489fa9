// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What can happen to the node that carries an address: how it is done, and how it is undone.

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::Contender;
use crate::{Direction, Node};

/// How long probers run after most faults. An outage that has not ended by then counts as long as it was seen.
const AFTER: Duration = Duration::from_millis(1000);
/// How long they run after a kill: a kernel that was left alone with a bound address answers for 3 to 3.5 s more.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// How long a frozen process stands still: many times what its peers wait for it.
const FROZEN: Duration = Duration::from_secs(2);

/// What happened to the node that carried the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Its interface was taken down.
    LinkDown,
    /// Its cable was pulled: it sees its carrier go; to the others it is dead.
    Crash,
    /// Its frames are swallowed both ways while its carrier stays.
    BlackHole,
    /// Its interface was taken down; the address is an IPv6 one.
    LinkDownIpv6,
    /// It was asked to leave (SIGTERM).
    HandOver,
    /// Its process was killed (SIGKILL); its kernel goes on.
    Kill,
    /// Its process stood still for two seconds (SIGSTOP, then SIGCONT).
    Freeze,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LinkDown,
        Self::Crash,
        Self::BlackHole,
        Self::LinkDownIpv6,
        Self::HandOver,
        Self::Kill,
        Self::Freeze,
    ];

    /// Its name in tables and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkDown => "link-down",
            Self::Crash => "crash",
            Self::BlackHole => "black-hole",
            Self::LinkDownIpv6 => "link-down-ipv6",
            Self::HandOver => "hand-over",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
        }
    }

    pub(super) fn is_ipv6(self) -> bool {
        self == Self::LinkDownIpv6
    }

    /// How long after its beginning clients are watched.
    pub(super) fn observed_for(self) -> Duration {
        match self {
            Self::Freeze => FROZEN + AFTER,
            Self::Kill => AFTER_KILL,
            _ => AFTER,
        }
    }

    /// Does it to `owner`; a freeze has thawed when this returns.
    pub(super) fn inflict(self, contender: &mut dyn Contender, owner: &Node) -> Result<()> {
        match self {
            Self::LinkDown | Self::LinkDownIpv6 => contender.lab().interface_down(owner),
            Self::Crash => contender.lab().cut(owner),
            Self::BlackHole => contender.lab().black_hole(owner, Direction::Both),
            Self::HandOver => contender.leave(&owner.name),
            Self::Kill => contender.process(&owner.name)?.signal(Signal::SIGKILL),
            Self::Freeze => {
                contender.process(&owner.name)?.signal(Signal::SIGSTOP)?;
                thread::sleep(FROZEN);
                contender.process(&owner.name)?.signal(Signal::SIGCONT)
            }
        }
    }

    /// Undoes it.
    pub(super) fn mend(self, contender: &mut dyn Contender, owner: &Node) -> Result<()> {
        match self {
            Self::LinkDown | Self::LinkDownIpv6 => contender.lab().interface_up(owner),
            Self::Crash => contender.lab().plug(owner),
            Self::BlackHole => contender.lab().fill_hole(owner),
            Self::HandOver | Self::Kill => contender.rejoin(&owner.name),
            Self::Freeze => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
