// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions that tests speak in.

use crate::{
    capability::Capabilities,
    family::Families,
    hold_time::HoldTime,
    identity::{Asn, RouterId},
    negotiated::Negotiated,
    open::Open,
};

/// Our OPEN to a peer, and a peer's to us.
pub(crate) fn open(asn: u32, capabilities: Capabilities) -> Open {
    Open {
        asn: Asn::new(asn).unwrap(),
        hold_time: HoldTime::from_secs(90).unwrap(),
        router_id: RouterId::new([10, 77, 0, 1].into()).unwrap(),
        capabilities,
    }
}

/// What today's routers can do.
pub(crate) fn modern() -> Capabilities {
    Capabilities {
        multiprotocol: Some(Families::BOTH),
        four_octet_as: true,
        route_refresh: true,
        enhanced_route_refresh: true,
        extended_next_hop: true,
        ..Capabilities::default()
    }
}

/// AS 65001 with a peer of AS 65002.
pub(crate) fn external() -> Negotiated {
    Negotiated::new(&open(65_001, modern()), &open(65_002, modern()))
}

/// Within AS 65001.
pub(crate) fn internal() -> Negotiated {
    Negotiated::new(&open(65_001, modern()), &open(65_001, modern()))
}

/// AS 4200000001 with a peer of AS 65002 that knows numbers of two octets, IPv4 and nothing else.
pub(crate) fn old() -> Negotiated {
    Negotiated::new(&open(4_200_000_001, modern()), &open(65_002, Capabilities::default()))
}
