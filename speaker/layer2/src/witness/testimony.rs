// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a witness saw.

use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::identity::{MacAddr, NodeId};

/// What one node of a segment saw when it asked for an address that another one carries; or that it carries itself, if
/// somebody else answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// The address.
    pub address: IpAddr,
    /// Who carries it, as its hellos say.
    pub owner: NodeId,
    /// What was seen.
    pub verdict: Verdict,
}

/// Whether clients of the segment reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its owner answers, and so does the port that was tried, if one was.
    Reachable,
    /// Nobody answered three times, although the owner's hellos arrive: something on the way takes the answers away.
    NoResponder {
        /// The owner's own address does not answer either: the filter takes away more than virtual IPs, and may stand
        /// before the asking node as well.
        mute: bool,
    },
    /// Another station than the owner answered three times.
    OtherStation {
        /// The station.
        mac: MacAddr,
        /// Whose it is, if it is a node's that is heard.
        node: Option<NodeId>,
        /// The owner answered too.
        beside_owner: bool,
    },
    /// The owner answers, but the TCP port neither opened nor refused three times.
    PortFiltered {
        /// The port.
        port: NonZeroU16,
    },
}
