// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The graceful restart capability (RFC 4724, section 3, with the N bit of RFC 8538, section 2).

use std::{fmt, time::Duration};

use crate::{
    family::{Families, Family},
    fault::Fault,
    reader::Reader,
};

const RESTARTED: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000;
const FORWARDING: u8 = 0x80;

/// What a speaker says about restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// R bit: it has just restarted, so its peer should not wait for its End-of-RIB before it sends routes.
    pub restarted: bool,
    /// N bit: routes are also kept over a NOTIFICATION that is not a hard reset, and over the end of the hold time.
    pub notification: bool,
    /// How long after the loss of the session its peer should keep its routes.
    pub time: RestartTime,
    /// The families whose routes should be kept.
    pub families: Families,
    /// F bit: those among them whose traffic was forwarded all along.
    pub forwarding: Families,
}

impl GracefulRestart {
    pub(super) fn decode(mut value: Reader<'_>) -> Result<Self, Fault> {
        const CUT: Fault = Fault::Open("a graceful restart capability that ends within an entry");
        let head = value.u16().ok_or(CUT)?;
        let (mut families, mut forwarding) = (Families::NONE, Families::NONE);
        while !value.is_empty() {
            let [afi_high, afi_low, safi, flags] = value.array().ok_or(CUT)?;
            if let Some(family) = Family::from_codes(u16::from_be_bytes([afi_high, afi_low]), safi) {
                families = families.with(family);
                if flags & FORWARDING != 0 {
                    forwarding = forwarding.with(family);
                }
            }
        }
        Ok(Self {
            restarted: head & RESTARTED != 0,
            notification: head & NOTIFICATION != 0,
            time: RestartTime(head & RestartTime::MAX.0),
            families,
            forwarding,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let bit = |set, bit| if set { bit } else { 0 };
        let head = bit(self.restarted, RESTARTED) | bit(self.notification, NOTIFICATION) | self.time.0;
        out.extend(head.to_be_bytes());
        for family in self.families.iter() {
            out.extend(family.afi().to_be_bytes());
            out.push(family.safi());
            out.push(if self.forwarding.contains(family) { FORWARDING } else { 0 });
        }
    }
}

/// Whole seconds from 0 to 4,095: what fits twelve bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RestartTime(u16);

impl RestartTime {
    /// The longest.
    pub const MAX: Self = Self(0x0fff);

    /// `None` above 4,095 seconds.
    pub fn from_secs(seconds: u16) -> Option<Self> {
        (seconds <= Self::MAX.0).then_some(Self(seconds))
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl fmt::Display for RestartTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}
