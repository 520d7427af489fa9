// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A hello to bytes.

use std::time::Duration;

use super::{Claim, Delta, Echo, Flags, Hello, MAGIC, MAX_LEN, VERSION};
use crate::keys::KeyRing;

pub(super) fn encode(hello: &Hello, keys: &KeyRing) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_LEN);
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend(keys.active_id().to_be_bytes());
    out.extend(hello.cluster.0.to_be_bytes());

    out.extend(hello.node.0);
    out.extend(hello.incarnation.get().to_be_bytes());
    out.extend(hello.seq.to_be_bytes());
    let interval = millis(hello.interval).max(1);
    out.extend(interval.to_be_bytes());
    out.extend(millis(hello.dead).max(interval).to_be_bytes());
    out.push(flags(hello.flags));
    out.extend(hello.owned.to_be_bytes());
    out.extend(hello.digest.to_bytes());
    out.extend(hello.slice.index().to_be_bytes());
    out.extend(hello.slice.of().to_be_bytes());

    out.extend([hello.claims.count(), hello.deltas.count(), hello.echoes.count()]);
    hello.claims.iter().for_each(|entry| claim(&mut out, entry));
    hello.deltas.iter().for_each(|entry| delta(&mut out, entry));
    hello.echoes.iter().for_each(|entry| echo(&mut out, entry));

    let tag = keys.sign(&out);
    out.extend(tag);
    out
}

fn claim(out: &mut Vec<u8>, claim: &Claim) {
    out.extend(claim.group.0.to_be_bytes());
    out.extend(claim.term.0.to_be_bytes());
}

fn delta(out: &mut Vec<u8>, delta: &Delta) {
    match delta {
        Delta::Claim(held) => {
            out.push(super::DELTA_CLAIM);
            claim(out, held);
        }
        Delta::Resign(held) => {
            out.push(super::DELTA_RESIGN);
            claim(out, held);
        }
        Delta::HandOver { claim: held, to } => {
            out.push(super::DELTA_HAND_OVER);
            claim(out, held);
            out.extend(to.0);
        }
        Delta::Relayed { claim: held, owner, stands } => {
            out.push(if *stands { super::DELTA_STANDS } else { super::DELTA_ENDED });
            claim(out, held);
            out.extend(owner.0);
        }
    }
}

fn echo(out: &mut Vec<u8>, echo: &Echo) {
    out.extend(echo.incarnation.get().to_be_bytes());
    out.extend(echo.seq.to_be_bytes());
    // Rounded up: an echo may prove less than it could, never more.
    out.extend(millis(echo.age.saturating_add(Duration::from_nanos(999_999))).to_be_bytes());
}

fn flags(flags: Flags) -> u8 {
    [
        (flags.draining, super::FLAG_DRAINING),
        (flags.listening, super::FLAG_LISTENING),
        (flags.leaving, super::FLAG_LEAVING),
        (flags.ask, super::FLAG_ASK),
        (flags.aside, super::FLAG_ASIDE),
        (flags.shaky, super::FLAG_SHAKY),
    ]
    .into_iter()
    .fold(0, |bits, (set, bit)| if set { bits | bit } else { bits })
}

fn millis(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}
