// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Capabilities: what a speaker says it can do (RFC 5492).

mod graceful_restart;

pub use graceful_restart::{GracefulRestart, RestartTime};

use crate::{
    code_set::CodeSet,
    family::{Families, Family},
    fault::Fault,
    identity::Asn,
    reader::Reader,
    writer::counted8,
};

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ENHANCED_ROUTE_REFRESH: u8 = 70;

/// What one side can do. Capabilities that this crate makes no use of are kept as numbers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Families it carries (RFC 4760, section 8), those of this crate alone; `None` if it does not speak of families at all,
    /// which means IPv4 unicast.
    pub multiprotocol: Option<Families>,
    /// It takes numbers of autonomous systems with four octets (RFC 6793).
    pub four_octet_as: bool,
    /// It sends everything again when asked (RFC 2918).
    pub route_refresh: bool,
    /// It marks where such a repetition begins and ends (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// It takes messages of up to 65,535 octets (RFC 8654).
    pub extended_message: bool,
    /// It takes IPv4 unicast routes with an IPv6 next hop (RFC 8950).
    pub extended_next_hop: bool,
    /// What it does about a restart (RFC 4724).
    pub graceful_restart: Option<GracefulRestart>,
    /// What else it said.
    pub others: CodeSet,
}

impl Capabilities {
    /// The families that it carries.
    pub fn families(&self) -> Families {
        self.multiprotocol.unwrap_or(Families::IPV4)
    }

    /// Reads one list of capabilities on top of what earlier ones said; returns the autonomous system that it names.
    pub(crate) fn read(&mut self, list: &[u8]) -> Result<Option<Asn>, Fault> {
        let mut asn = None;
        let mut list = Reader::new(list);
        while !list.is_empty() {
            let (code, value) = list
                .u8()
                .and_then(|code| Some((code, list.counted8()?)))
                .ok_or(Fault::Open("a capability is longer than its list"))?;
            let mut value = Reader::new(value);
            match code {
                MULTIPROTOCOL => self.read_multiprotocol(value)?,
                FOUR_OCTET_AS => {
                    let number =
                        value.u32().ok_or(Fault::Open("a four-octet AS capability without a number"))?;
                    asn = Some(Asn::new(number).ok_or(Fault::AsZero)?);
                    self.four_octet_as = true;
                }
                // Four fields of no content: a length that is not 0 may come with a later version of them.
                ROUTE_REFRESH => self.route_refresh = true,
                ENHANCED_ROUTE_REFRESH => self.enhanced_route_refresh = true,
                EXTENDED_MESSAGE => self.extended_message = true,
                EXTENDED_NEXT_HOP => self.read_extended_next_hop(value)?,
                GRACEFUL_RESTART => self.graceful_restart = Some(GracefulRestart::decode(value)?),
                other => {
                    self.others.insert(other);
                }
            }
        }
        Ok(asn)
    }

    fn read_multiprotocol(&mut self, mut value: Reader<'_>) -> Result<(), Fault> {
        let [afi_high, afi_low, _reserved, safi] =
            value.array().ok_or(Fault::Open("a multiprotocol capability of less than four octets"))?;
        let said = self.multiprotocol.unwrap_or_default();
        let family = Family::from_codes(u16::from_be_bytes([afi_high, afi_low]), safi);
        self.multiprotocol = Some(family.map_or(said, |family| said.with(family)));
        Ok(())
    }

    fn read_extended_next_hop(&mut self, mut value: Reader<'_>) -> Result<(), Fault> {
        const CUT: Fault = Fault::Open("an extended next hop capability that ends within an entry");
        while !value.is_empty() {
            // RFC 8950, section 4: AFI, SAFI in two octets, AFI of the next hop.
            let (afi, safi, next_hop) =
                value.u16().and_then(|afi| Some((afi, value.u16()?, value.u16()?))).ok_or(CUT)?;
            let family = u8::try_from(safi).ok().and_then(|safi| Family::from_codes(afi, safi));
            self.extended_next_hop |=
                family == Some(Family::Ipv4Unicast) && next_hop == Family::Ipv6Unicast.afi();
        }
        Ok(())
    }

    /// Writes them as one list; `asn` is what the four-octet capability says.
    pub(crate) fn encode(&self, asn: Asn, out: &mut Vec<u8>) {
        let flag = |out: &mut Vec<u8>, code, set| {
            if set {
                out.extend([code, 0]);
            }
        };
        for family in self.multiprotocol.unwrap_or_default().iter() {
            out.push(MULTIPROTOCOL);
            counted8(out, |out| {
                out.extend(family.afi().to_be_bytes());
                out.extend([0, family.safi()]);
            });
        }
        flag(out, ROUTE_REFRESH, self.route_refresh);
        if self.extended_next_hop {
            out.push(EXTENDED_NEXT_HOP);
            counted8(out, |out| {
                out.extend(Family::Ipv4Unicast.afi().to_be_bytes());
                out.extend([0, Family::Ipv4Unicast.safi()]);
                out.extend(Family::Ipv6Unicast.afi().to_be_bytes());
            });
        }
        flag(out, EXTENDED_MESSAGE, self.extended_message);
        if let Some(graceful_restart) = &self.graceful_restart {
            out.push(GRACEFUL_RESTART);
            counted8(out, |out| graceful_restart.encode(out));
        }
        // A number that does not fit the fixed field is said here or nowhere.
        if self.four_octet_as || asn.is_wide() {
            out.push(FOUR_OCTET_AS);
            counted8(out, |out| out.extend(asn.get().to_be_bytes()));
        }
        flag(out, ENHANCED_ROUTE_REFRESH, self.enhanced_route_refresh);
    }
}

#[cfg(test)]
mod tests;
