// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! ROUTE-REFRESH: send everything again (RFC 2918), between two marks if both sides can (RFC 7313).

use crate::{family::Family, fault::Fault, reader::Reader};

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteRefresh {
    /// Send your routes of this family again.
    Request(Family),
    /// My routes of this family follow once more; what does not come again until [`RouteRefresh::End`] is gone.
    Begin(Family),
    /// That was all.
    End(Family),
    /// A family or a subtype that this crate does not know: to be ignored (RFC 2918, section 4; RFC 7313, section 5).
    Other {
        /// Address family identifier.
        afi: u16,
        /// Subsequent address family identifier.
        safi: u8,
        /// The octet between them.
        subtype: u8,
    },
}

const REQUEST: u8 = 0;
const BEGIN: u8 = 1;
const END: u8 = 2;
const BODY_LEN: usize = 4;

impl RouteRefresh {
    pub(crate) fn decode(message: &[u8], body: &[u8]) -> Result<Self, Fault> {
        let wrong_length = || Fault::Refresh(message.to_vec());
        let mut fields = Reader::new(body);
        let [afi_high, afi_low, subtype, safi] = fields.array().ok_or_else(wrong_length)?;
        let afi = u16::from_be_bytes([afi_high, afi_low]);
        if matches!(subtype, BEGIN | END) && body.len() != BODY_LEN {
            return Err(wrong_length());
        }
        Ok(match (Family::from_codes(afi, safi), subtype) {
            (Some(family), REQUEST) => Self::Request(family),
            (Some(family), BEGIN) => Self::Begin(family),
            (Some(family), END) => Self::End(family),
            _ => Self::Other { afi, safi, subtype },
        })
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let (afi, safi, subtype) = match self {
            Self::Request(family) => (family.afi(), family.safi(), REQUEST),
            Self::Begin(family) => (family.afi(), family.safi(), BEGIN),
            Self::End(family) => (family.afi(), family.safi(), END),
            Self::Other { afi, safi, subtype } => (afi, safi, subtype),
        };
        out.extend(afi.to_be_bytes());
        out.extend([subtype, safi]);
    }
}
