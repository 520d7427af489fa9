// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Annotations that FerroLB reads on a Service.

/// Names the pool that the Service's addresses must come from.
pub const ADDRESS_POOL: &str = "ferrolb.io/address-pool";
/// Asks for certain addresses: one per family, separated by a comma.
pub const ADDRESSES: &str = "ferrolb.io/addresses";
/// Services with equal keys may share an address, if their ports do not overlap.
pub const SHARING_KEY: &str = "ferrolb.io/sharing-key";
/// `"true"`: announce the address although the Service has no ready endpoint.
pub const ANNOUNCE_WITHOUT_ENDPOINTS: &str = "ferrolb.io/announce-without-endpoints";
/// On a Node: the speaker there hands its addresses over and takes no new ones, until the annotation is removed.
pub const DRAIN: &str = "ferrolb.io/drain";
