// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Control packets: 24 octets (RFC 5880 section 4.1).

#[cfg(test)]
mod tests;

use std::{fmt, num::NonZeroU8, num::NonZeroU32};

use crate::{
    discard::Discard,
    state::{Diagnostic, State},
    timing::Interval,
};

/// Octets of every packet that we send; a longer one is read up to here.
pub const LEN: usize = 24;
/// Destination port of packets over one hop (RFC 5881 section 4).
pub const SINGLE_HOP_PORT: u16 = 3784;
/// Destination port of packets over several hops (RFC 5883 section 5).
pub const MULTI_HOP_PORT: u16 = 4784;
/// Source ports to send from: one for each session, the same as long as it lives (RFC 5881 section 4).
pub const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;
/// Time to live, or hop limit, to send with.
pub const TTL: u8 = 255;

const VERSION: u8 = 1;
/// Shortest packet with an authentication section.
const LEN_AUTHENTICATED: u8 = 26;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// The number by which a system knows a session of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Discriminator(NonZeroU32);

impl Discriminator {
    /// `None` for 0, which stands for "not known".
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A control packet without authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender changed its state last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// The sender wants an answer: its times changed.
    pub poll: bool,
    /// The answer to that. A sender should not set both; who does is still understood.
    pub final_: bool,
    /// The sender's BFD goes on when its control plane (BGP) restarts.
    pub control_plane_independent: bool,
    /// The sender wants no packets at regular times as long as both are up.
    pub demand: bool,
    /// So many packets of the sender have to be missing for it to be given up.
    pub multiplier: NonZeroU8,
    /// The sender's number for the session.
    pub my_discriminator: Discriminator,
    /// The receiver's number for it; `None` (0 on the wire) if the sender has not heard of it.
    pub your_discriminator: Option<Discriminator>,
    /// The sender does not want to send more often.
    pub desired_min_tx: Interval,
    /// The sender does not want to receive more often; zero: nothing at regular times.
    pub required_min_rx: Interval,
    /// The same for echo packets; zero: none at all.
    pub required_min_echo_rx: Interval,
}

impl Packet {
    /// Reads a UDP payload.
    ///
    /// # Errors
    ///
    /// Whatever RFC 5880 section 6.8.6 has us discard without looking at the session; and authenticated packets, since no session
    /// of ours uses authentication.
    pub fn decode(payload: &[u8]) -> Result<Self, Discard> {
        let packet: &[u8; LEN] = payload.first_chunk().ok_or(Discard::Truncated(payload.len()))?;
        let [version_diag, flags, multiplier, length, numbers @ ..] = packet;
        let version = version_diag >> 5;
        if version != VERSION {
            return Err(Discard::UnknownVersion(version));
        }
        let authenticated = flags & AUTHENTICATION != 0;
        let least = if authenticated { LEN_AUTHENTICATED } else { LEN as u8 };
        if *length < least || usize::from(*length) > payload.len() {
            return Err(Discard::BadLength(*length));
        }
        let multiplier = NonZeroU8::new(*multiplier).ok_or(Discard::ZeroMultiplier)?;
        if flags & MULTIPOINT != 0 {
            return Err(Discard::Multipoint);
        }
        let (words, _) = numbers.as_chunks::<4>();
        let &[my, your, desired_min_tx, required_min_rx, required_min_echo_rx] = words else {
            return Err(Discard::Truncated(payload.len()));
        };
        let my_discriminator =
            Discriminator::new(u32::from_be_bytes(my)).ok_or(Discard::ZeroDiscriminator)?;
        let your_discriminator = Discriminator::new(u32::from_be_bytes(your));
        let state = State::from_bits(flags >> 6);
        if your_discriminator.is_none() && !matches!(state, State::Down | State::AdminDown) {
            return Err(Discard::NoYourDiscriminator(state));
        }
        if authenticated {
            return Err(Discard::Authenticated);
        }
        let interval = |word| Interval::from_micros(u32::from_be_bytes(word));
        Ok(Self {
            diagnostic: Diagnostic::from_bits(*version_diag),
            state,
            poll: flags & POLL != 0,
            final_: flags & FINAL != 0,
            control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            demand: flags & DEMAND != 0,
            multiplier,
            my_discriminator,
            your_discriminator,
            desired_min_tx: interval(desired_min_tx),
            required_min_rx: interval(required_min_rx),
            required_min_echo_rx: interval(required_min_echo_rx),
        })
    }

    /// The UDP payload.
    pub fn encode(&self) -> [u8; LEN] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let head = [
            VERSION << 5 | self.diagnostic.number(),
            self.state.bits() << 6
                | flag(self.poll, POLL)
                | flag(self.final_, FINAL)
                | flag(self.control_plane_independent, CONTROL_PLANE_INDEPENDENT)
                | flag(self.demand, DEMAND),
            self.multiplier.get(),
            LEN as u8,
        ];
        let words = [
            self.my_discriminator.number(),
            self.your_discriminator.map_or(0, Discriminator::number),
            self.desired_min_tx.as_micros(),
            self.required_min_rx.as_micros(),
            self.required_min_echo_rx.as_micros(),
        ];
        let mut octets = [0; LEN];
        let content = head.into_iter().chain(words.into_iter().flat_map(u32::to_be_bytes));
        octets.iter_mut().zip(content).for_each(|(place, octet)| *place = octet);
        octets
    }
}
