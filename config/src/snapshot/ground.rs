// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The few objects that every decision stands on.

use std::collections::BTreeMap;

use super::{Advertisement, NodeInfo, Pool, advertisement, node, pool};
use crate::compat;
use crate::objects::Objects;
use crate::reason::Refusal;

/// The few objects that every decision stands on; they change seldom, and what is decided of thousands of addresses
/// follows from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ground {
    /// Pools by name, also those that are refused: see [`Pool::accepting`].
    pub pools: BTreeMap<String, Pool>,
    /// L2Advertisements by name.
    pub advertisements: BTreeMap<String, Advertisement>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, NodeInfo>,
}

impl Ground {
    /// Reads them, MetalLB's among them; what is refused or warned about is added to `refused`.
    pub fn build(objects: &Objects, refused: &mut Vec<Refusal>) -> Self {
        let pools = pools(objects, refused);
        let advertisements = advertisements(objects, refused);
        Self { pools, advertisements, nodes: node::build(&objects.nodes) }
    }
}

/// Our pools and MetalLB's.
fn pools(objects: &Objects, refused: &mut Vec<Refusal>) -> BTreeMap<String, Pool> {
    let compat::Merged { objects, refused: mut all, origins } = compat::pools(objects);
    let mut pools = pool::build(&objects, &mut all);
    origins
        .attribute(all.iter_mut().chain(pools.values_mut().filter_map(|pool| pool.accepting.as_mut().err())));
    refused.extend(all);
    pools
}

/// Our advertisements and MetalLB's.
fn advertisements(objects: &Objects, refused: &mut Vec<Refusal>) -> BTreeMap<String, Advertisement> {
    let compat::Merged { objects, refused: mut all, origins } = compat::l2_advertisements(objects);
    let advertisements = advertisement::build(&objects, &mut all);
    origins.attribute(&mut all);
    refused.extend(all);
    advertisements
}
