// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The frames that one announcement consists of.

use std::net::IpAddr;

use super::{Asker, Round, Utterance, pauses};
use crate::{
    frame::{arp, ndp},
    identity::MacAddr,
};

/// Which of the announcements after a start come a second after it: then Linux, too, heeds an answer that it did not ask
/// for, which it ignores while an entry is younger than that (`locktime`).
const A_SECOND_LATER: (usize, usize) = (3, 1);

/// One of the frames, in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// To all; of IPv4, in request form.
    ToAll,
    /// To all in reply form: receivers of IPv4 differ in which they heed.
    Reply,
    /// To one of the clients that asked lately, as if it had asked just now: who is set to drop announcements heeds that.
    ToAsker(usize),
    /// The question who else has the address (RFC 5227, section 2.1.1), which changes no neighbour's table.
    Probe,
}

impl Form {
    /// The frame; `None` if that client is not known any more.
    pub(super) fn utter(self, address: IpAddr, mac: MacAddr, askers: &[Asker]) -> Option<Utterance> {
        let announcement = match (self, address) {
            (Self::ToAll, IpAddr::V4(address)) => arp::announcement_request(mac, address),
            (Self::Reply, IpAddr::V4(address)) => arp::announcement_reply(mac, address),
            (Self::ToAll | Self::Reply, IpAddr::V6(address)) => ndp::announcement(mac, address),
            (Self::ToAsker(number), address) => {
                let asker = askers.get(number)?;
                match (address, asker.address) {
                    (IpAddr::V4(address), IpAddr::V4(to)) => arp::reply(mac, address, asker.mac, to),
                    (IpAddr::V6(address), IpAddr::V6(to)) => ndp::answer(mac, address, asker.mac, to),
                    _ => return None,
                }
            }
            (Self::Probe, IpAddr::V4(address)) => return Some(Utterance::Probe(arp::probe(mac, address))),
            (Self::Probe, IpAddr::V6(address)) => return Some(Utterance::Probe(ndp::probe(mac, address))),
        };
        Some(Utterance::Announcement(announcement))
    }

    /// Whether the frame, or what follows it, depends on who asked for the address lately.
    pub(super) fn looks_for_askers(self, address: IpAddr, sent: usize) -> bool {
        let comes_to_them = match self {
            Self::ToAll => address.is_ipv6(),
            Self::Reply | Self::ToAsker(_) => true,
            Self::Probe => false,
        };
        comes_to_them && (sent == 0 || sent == a_second_later(address))
    }

    /// What follows in the announcement before which `sent` were made since the start.
    pub(super) fn next(self, address: IpAddr, sent: usize, askers: usize) -> Option<Self> {
        let in_person = sent == 0 || sent == a_second_later(address);
        let asks = sent == a_second_later(address) || sent > pauses(address).len();
        let to_asker = |number: usize| (in_person && number < askers).then_some(Self::ToAsker(number));
        let probe = || asks.then_some(Self::Probe);
        match self {
            Self::ToAll if address.is_ipv4() => Some(Self::Reply),
            Self::ToAll | Self::Reply => to_asker(0).or_else(probe),
            Self::ToAsker(number) => to_asker(number.saturating_add(1)).or_else(probe),
            Self::Probe => None,
        }
    }

    /// How urgent it is, once the announcement to all was made in this round.
    pub(super) fn round(self, round: Round) -> Round {
        match self {
            Self::Reply if round == Round::First => Round::SecondForm,
            Self::ToAll | Self::Reply => round,
            Self::ToAsker(_) | Self::Probe => round.max(Round::Repeat),
        }
    }
}

fn a_second_later(address: IpAddr) -> usize {
    if address.is_ipv4() { A_SECOND_LATER.0 } else { A_SECOND_LATER.1 }
}
