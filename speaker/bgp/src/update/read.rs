// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Bytes to an UPDATE: what a wrong attribute costs is decided here, for each attribute once (RFC 7606, sections 3, 5 and 7).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    AsPath, AttributeFault, Handling, PathAttributes, Reachable, Update,
    path::Width,
    raw::{Cut, Raw},
};
use crate::{
    attributes::{AttributeKind, NextHop, Origin},
    code_set::CodeSet,
    family::Family,
    fault::Fault,
    negotiated::Negotiated,
    prefixes::Prefixes,
    reader::Reader,
};

pub(super) fn read<'a>(body: &'a [u8], session: &Negotiated) -> Result<Update<'a>, Fault> {
    let mut rest = Reader::new(body);
    let withdrawn = rest.counted16().ok_or(Fault::AttributeList("withdrawn routes go beyond its end"))?;
    let list = rest.counted16().ok_or(Fault::AttributeList("attributes go beyond its end"))?;
    let update = Update {
        withdrawn: Prefixes::read(Family::Ipv4Unicast, withdrawn)?,
        announced: Prefixes::read(Family::Ipv4Unicast, rest.rest())?,
        unreachable: None,
        reachable: None,
        attributes: PathAttributes::default(),
        end_of_rib: None,
        fault: None,
        discarded: Vec::new(),
    };
    let mut reading = Reading { session, update, seen: CodeSet::default(), carries_strange: false };
    reading.attributes(list)?;
    reading.finish(list.is_empty())
}

/// What one attribute costs.
type Cost = Result<(), (Handling, &'static str)>;

const WRONG_LENGTH: &str = "has a wrong length";

struct Reading<'a, 's> {
    session: &'s Negotiated,
    update: Update<'a>,
    seen: CodeSet,
    /// It announces routes of a family that this crate does not speak.
    carries_strange: bool,
}

impl<'a> Reading<'a, '_> {
    fn attributes(&mut self, list: &'a [u8]) -> Result<(), Fault> {
        let mut list = Reader::new(list);
        while !list.is_empty() {
            match Raw::next(&mut list) {
                Ok(raw) => self.attribute(&raw)?,
                Err(Cut(Some(kind))) if is_multiprotocol(kind) => {
                    return Err(Fault::Multiprotocol {
                        what: multiprotocol_name(kind),
                        attribute: Vec::new(),
                    });
                }
                // Section 4: the list's own length counts, so that the routes after it are found.
                Err(Cut(kind)) => {
                    let kind = kind.unwrap_or(AttributeKind(0));
                    self.note(kind, Handling::TreatAsWithdraw, "goes beyond the list of attributes");
                    break;
                }
            }
        }
        Ok(())
    }

    fn attribute(&mut self, raw: &Raw<'a>) -> Result<(), Fault> {
        let kind = raw.kind;
        let Some(flags) = kind.flags() else {
            // Nobody may be obliged to know what we do not: its flags are wrong. The NOTIFICATION of RFC 4271, section 6.3, would end a
            // session of which all routes can be told.
            if !raw.is_optional() {
                self.note(kind, Handling::TreatAsWithdraw, "is unknown and not optional");
            }
            return Ok(());
        };
        // Section 3 (g).
        if !self.seen.insert(kind.0) {
            if is_multiprotocol(kind) {
                return Err(Fault::AttributeList("a multiprotocol attribute stands in it twice"));
            }
            self.note(kind, Handling::Discard, "stands in the message twice");
            return Ok(());
        }
        // Routes first: they are needed whatever else is wrong.
        let broken =
            || Fault::Multiprotocol { what: multiprotocol_name(kind), attribute: raw.whole.to_vec() };
        match kind {
            AttributeKind::MP_REACH => self.reach(raw.value).ok_or_else(broken)??,
            AttributeKind::MP_UNREACH => self.unreach(raw.value).ok_or_else(broken)??,
            _ => {}
        }
        // Section 3 (c).
        if raw.class() != flags {
            self.note(kind, Handling::TreatAsWithdraw, "has wrong flags");
        } else if let Err((handling, what)) = self.value(kind, raw.value) {
            self.note(kind, handling, what);
        }
        Ok(())
    }

    /// MP_REACH_NLRI: `None` if its routes cannot be found (section 7.11).
    fn reach(&mut self, value: &'a [u8]) -> Option<Result<(), Fault>> {
        let mut rest = Reader::new(value);
        let (afi, safi) = (rest.u16()?, rest.u8()?);
        let next_hop = rest.counted8()?;
        // Once the number of SNPAs, to be ignored (RFC 4760, section 3).
        let _reserved = rest.u8()?;
        let Some(family) = Family::from_codes(afi, safi) else {
            self.carries_strange |= !rest.is_empty();
            return Some(Ok(()));
        };
        let next_hop = next_hop_of(family, next_hop, self.session)?;
        Some(Prefixes::read(family, rest.rest()).map(|prefixes| {
            self.update.reachable = Some(Reachable { next_hop, prefixes });
        }))
    }

    fn unreach(&mut self, value: &'a [u8]) -> Option<Result<(), Fault>> {
        let mut rest = Reader::new(value);
        let (afi, safi) = (rest.u16()?, rest.u8()?);
        let Some(family) = Family::from_codes(afi, safi) else { return Some(Ok(())) };
        Some(Prefixes::read(family, rest.rest()).map(|prefixes| self.update.unreachable = Some(prefixes)))
    }

    /// Section 7, attribute by attribute.
    fn value(&mut self, kind: AttributeKind, value: &'a [u8]) -> Cost {
        let withdraw = |what| (Handling::TreatAsWithdraw, what);
        let discard = |what| (Handling::Discard, what);
        let internal = self.session.is_internal();
        let four_octets = self.session.four_octet_as;
        let attributes = &mut self.update.attributes;
        match kind {
            AttributeKind::ORIGIN => {
                let [code] = *exactly(value).ok_or(withdraw(WRONG_LENGTH))?;
                attributes.origin = Some(Origin::from_code(code).ok_or(withdraw("has an undefined value"))?);
            }
            AttributeKind::AS_PATH => {
                let width = if four_octets { Width::Four } else { Width::Two };
                let path = AsPath::read(value, width).ok_or(withdraw("is malformed"))?;
                attributes.as_path = Some(path);
            }
            AttributeKind::NEXT_HOP => {
                let octets: [u8; 4] = *exactly(value).ok_or(withdraw(WRONG_LENGTH))?;
                attributes.next_hop = Some(Ipv4Addr::from(octets));
            }
            AttributeKind::MED => {
                attributes.med = Some(u32::from_be_bytes(*exactly(value).ok_or(withdraw(WRONG_LENGTH))?));
            }
            AttributeKind::LOCAL_PREF | AttributeKind::ORIGINATOR_ID | AttributeKind::CLUSTER_LIST
                if !internal =>
            {
                return Err(discard("comes from another autonomous system"));
            }
            AttributeKind::LOCAL_PREF => {
                attributes.local_pref =
                    Some(u32::from_be_bytes(*exactly(value).ok_or(withdraw(WRONG_LENGTH))?));
            }
            AttributeKind::ORIGINATOR_ID => {
                exactly::<4>(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            AttributeKind::CLUSTER_LIST => {
                several::<4>(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            AttributeKind::ATOMIC_AGGREGATE => {
                exactly::<0>(value).ok_or(discard(WRONG_LENGTH))?;
            }
            AttributeKind::AGGREGATOR => {
                let right = value.len() == if four_octets { 8 } else { 6 };
                right.then_some(()).ok_or(discard(WRONG_LENGTH))?;
            }
            AttributeKind::COMMUNITIES => {
                attributes.communities = several(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            AttributeKind::EXTENDED_COMMUNITIES => {
                attributes.extended_communities = several(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            AttributeKind::IPV6_EXTENDED_COMMUNITIES => {
                several::<20>(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            // RFC 8092, section 6.
            AttributeKind::LARGE_COMMUNITIES => {
                attributes.large_communities = several(value).ok_or(withdraw(WRONG_LENGTH))?;
            }
            // RFC 6793, section 6: they are for peers with numbers of two octets.
            AttributeKind::AS4_PATH | AttributeKind::AS4_AGGREGATOR if four_octets => {
                return Err(discard("comes from a peer that does not need it"));
            }
            AttributeKind::AS4_PATH => {
                attributes.as4_path = Some(AsPath::read(value, Width::Four).ok_or(discard("is malformed"))?);
            }
            AttributeKind::AS4_AGGREGATOR => {
                exactly::<8>(value).ok_or(discard(WRONG_LENGTH))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, kind: AttributeKind, handling: Handling, what: &'static str) {
        let fault = AttributeFault { kind, what, handling };
        match handling {
            Handling::TreatAsWithdraw => {
                self.update.fault.get_or_insert(fault);
            }
            Handling::Discard if self.update.discarded.iter().all(|other| other.kind != kind) => {
                self.update.discarded.push(fault);
            }
            Handling::Discard => {}
        }
    }

    fn finish(mut self, no_attributes: bool) -> Result<Update<'a>, Fault> {
        let announces = !self.update.announced.is_empty();
        let reaches = self.update.reachable.is_some_and(|reachable| !reachable.prefixes.is_empty());
        let carries = announces || reaches || self.carries_strange;
        // Section 3 (d).
        let mandatory = [
            (AttributeKind::ORIGIN, carries),
            (AttributeKind::AS_PATH, carries),
            (AttributeKind::NEXT_HOP, announces),
        ];
        for (kind, needed) in mandatory {
            if needed && !self.seen.contains(kind.0) {
                self.note(kind, Handling::TreatAsWithdraw, "is missing");
            }
        }
        // Section 5.2: perhaps the routes are what is broken.
        if let Some(fault) = self.update.fault
            && !carries
        {
            return Err(Fault::NothingToWithdraw(fault.what));
        }
        self.update.end_of_rib = self.end_of_rib(no_attributes, carries);
        Ok(self.update)
    }

    /// RFC 4724, section 2: an UPDATE that says nothing, or nothing but an empty MP_UNREACH_NLRI.
    fn end_of_rib(&self, no_attributes: bool, carries: bool) -> Option<Family> {
        if carries || !self.update.withdrawn.is_empty() {
            return None;
        }
        match self.update.unreachable {
            Some(prefixes) if prefixes.is_empty() && self.seen.iter().eq([AttributeKind::MP_UNREACH.0]) => {
                Some(prefixes.family())
            }
            None if no_attributes => Some(Family::Ipv4Unicast),
            _ => None,
        }
    }
}

fn next_hop_of(family: Family, octets: &[u8], session: &Negotiated) -> Option<NextHop> {
    if let (Family::Ipv4Unicast, Some(octets)) = (family, exactly::<4>(octets)) {
        return Some(NextHop::V4(Ipv4Addr::from(*octets)));
    }
    if family == Family::Ipv4Unicast && !session.extended_next_hop {
        return None;
    }
    let mut octets = Reader::new(octets);
    let global = Ipv6Addr::from(octets.array::<16>()?);
    if octets.is_empty() {
        return Some(NextHop::V6 { global, link_local: None });
    }
    // RFC 2545, section 3.
    let link_local = Some(Ipv6Addr::from(octets.array::<16>()?));
    octets.is_empty().then_some(NextHop::V6 { global, link_local })
}

fn is_multiprotocol(kind: AttributeKind) -> bool {
    matches!(kind, AttributeKind::MP_REACH | AttributeKind::MP_UNREACH)
}

fn multiprotocol_name(kind: AttributeKind) -> &'static str {
    if kind == AttributeKind::MP_REACH { "MP_REACH_NLRI" } else { "MP_UNREACH_NLRI" }
}

fn exactly<const N: usize>(value: &[u8]) -> Option<&[u8; N]> {
    value.try_into().ok()
}

/// One or more entries of `N` octets.
fn several<const N: usize>(value: &[u8]) -> Option<&[[u8; N]]> {
    let (entries, rest) = value.as_chunks();
    (rest.is_empty() && !entries.is_empty()).then_some(entries)
}
