// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! OPEN: who speaks, and what it can do (RFC 4271, section 4.2; RFC 5492; RFC 9072).

use crate::{
    capability::Capabilities,
    fault::Fault,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    reader::Reader,
    writer::counted8,
};

const VERSION: u8 = 4;
const CAPABILITIES: u8 = 2;
/// In place of a type: lengths of two octets follow (RFC 9072, section 2).
const EXTENDED: u8 = 255;

/// The first message of each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its autonomous system, whichever field says it. One that needs four octets is always said in the capability too.
    pub asn: Asn,
    /// How long it wants to wait in silence.
    pub hold_time: HoldTime,
    /// Its identifier.
    pub router_id: RouterId,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Open {
    /// Fields are judged in the order of RFC 4271, section 6.2. Whether the peer is the one that is meant is for its session to say.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Fault> {
        const SHORT: Fault = Fault::Open("it ends within its fixed fields");
        let mut body = Reader::new(body);
        let version = body.u8().ok_or(SHORT)?;
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let two_octets = body.u16().ok_or(SHORT)?;
        let hold_time = body.u16().ok_or(SHORT)?;
        let router_id = body.u32().ok_or(SHORT)?;
        let mut capabilities = Capabilities::default();
        let wide = parameters(body, &mut capabilities)?;
        Ok(Self {
            // The capability counts, where there is one (RFC 6793, section 4.1).
            asn: wide.or_else(|| Asn::new(two_octets.into())).ok_or(Fault::AsZero)?,
            hold_time: HoldTime::from_secs(hold_time).ok_or(Fault::HoldTime(hold_time))?,
            router_id: RouterId::new(router_id.into()).ok_or(Fault::RouterIdZero)?,
            capabilities,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend(self.asn.two_octets().to_be_bytes());
        out.extend(self.hold_time.as_secs().to_be_bytes());
        out.extend(self.router_id.get().octets());
        // All capabilities together are some 60 octets: the extended form is never needed.
        counted8(out, |out| {
            let mut list = Vec::new();
            self.capabilities.encode(self.asn, &mut list);
            if !list.is_empty() {
                out.push(CAPABILITIES);
                counted8(out, |out| out.extend(list));
            }
        });
    }
}

/// Reads what follows the fixed fields; returns the number of the four-octet AS capability.
fn parameters(mut body: Reader<'_>, capabilities: &mut Capabilities) -> Result<Option<Asn>, Fault> {
    const CUT: Fault = Fault::Open("its optional parameters end too early");
    let length = body.u8().ok_or(CUT)?;
    // RFC 9072, section 2: the length above does not count then; it only must not be 0.
    let extended = length != 0 && body.rest().first() == Some(&EXTENDED);
    let list = if extended {
        let _type = body.u8();
        body.counted16().ok_or(CUT)?
    } else {
        body.bytes(length.into()).ok_or(CUT)?
    };
    if !body.is_empty() {
        return Err(Fault::Open("octets follow its optional parameters"));
    }
    let mut asn = None;
    let mut parameters = Reader::new(list);
    while !parameters.is_empty() {
        let kind = parameters.u8().ok_or(CUT)?;
        let value = if extended { parameters.counted16() } else { parameters.counted8() }.ok_or(CUT)?;
        if kind != CAPABILITIES {
            return Err(Fault::OptionalParameter(kind));
        }
        // Several parameters of that type are as good as one (RFC 5492, section 4).
        asn = capabilities.read(value)?.or(asn);
    }
    Ok(asn)
}

#[cfg(test)]
mod tests;
