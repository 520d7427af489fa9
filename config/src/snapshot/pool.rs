// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Pools with the ranges that are in force.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::overlap::{self, Bid};
use crate::address::{Family, LastOctet, Range, RangeSet};
use crate::api::AddressPool;
use crate::objects::ObjectRef;
use crate::reason::{Reason, Refusal};

/// A pool, with the ranges that are in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The ranges in force: the spec's, or the last accepted ones while an edit is refused. Ranges of different pools
    /// never overlap.
    pub ranges: RangeSet,
    /// Whether Services that name no pool may be given an address from it.
    pub auto_assign: bool,
    /// Whether IPv4 addresses that end in .0 or .255 are left out.
    pub avoid_buggy_ips: bool,
    /// The refusal, while the spec is refused: no new address is given then, and none is taken away.
    pub accepting: Result<(), Refusal>,
}

impl Pool {
    /// Which last octets are usable.
    pub fn last_octet(&self) -> LastOctet {
        if self.avoid_buggy_ips { LastOctet::AvoidBuggy } else { LastOctet::Any }
    }

    /// Whether `address` is one that the pool may give.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.ranges.contains(address) && self.last_octet().allows(address)
    }

    /// How many addresses of `family` the pool may give in all.
    pub fn count(&self, family: Family) -> u128 {
        self.ranges.count(family, self.last_octet())
    }

    /// The lowest address that the pool may give and that is not `used`; see [`RangeSet::lowest_free`].
    pub fn lowest_free(
        &self,
        family: Family,
        from: Option<IpAddr>,
        used: impl FnMut(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        self.ranges.lowest_free(family, self.last_octet(), from, used)
    }
}

pub(super) fn build(
    objects: &BTreeMap<String, Arc<AddressPool>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<String, Pool> {
    let mut invalid: BTreeMap<&str, Refusal> = BTreeMap::new();
    let mut bids = Vec::new();
    for (name, object) in objects {
        let (wanted, refusals) = read_ranges(name, &object.spec.addresses);
        let accepted = object.status.as_ref().map(|status| read_accepted(&status.accepted_addresses));
        if let Some(first) =
            refusals.iter().find(|refusal| refusal.severity == crate::reason::Severity::Error)
        {
            invalid.insert(name, first.clone());
        }
        let wanted = (!invalid.contains_key(name.as_str())).then_some(wanted);
        refused.extend(refusals);
        bids.push(Bid { name, wanted, accepted: accepted.unwrap_or_default() });
    }
    let awards = overlap::settle(bids);
    let mut pools = BTreeMap::new();
    for ((name, object), award) in objects.iter().zip(awards) {
        let overlap = award.lost_to.map(|lost| {
            Refusal::error(
                Reason::OverlappingPool,
                ObjectRef::cluster("AddressPool", name),
                format!("{} is already AddressPool {}'s", lost.range, lost.pool),
            )
            .field("spec.addresses")
            .remedy(format!("Take {} out of one of the two pools.", lost.range))
        });
        refused.extend(overlap.clone());
        pools.insert(
            name.clone(),
            Pool {
                name: name.clone(),
                labels: object.metadata.labels.clone().unwrap_or_default(),
                ranges: award.ranges,
                auto_assign: object.spec.auto_assign,
                avoid_buggy_ips: object.spec.avoid_buggy_ips,
                accepting: match invalid.remove(name.as_str()).or(overlap) {
                    Some(refusal) => Err(refusal),
                    None => Ok(()),
                },
            },
        );
    }
    pools
}

/// The ranges of a spec, with all that is wrong or doubtful in them.
fn read_ranges(name: &str, texts: &[String]) -> (RangeSet, Vec<Refusal>) {
    let object = || ObjectRef::cluster("AddressPool", name);
    let mut ranges = RangeSet::new();
    let mut refusals = Vec::new();
    if texts.is_empty() {
        refusals.push(
            Refusal::error(Reason::InvalidRange, object(), "the pool has no addresses")
                .field("spec.addresses")
                .remedy("Write at least one range, for example 192.0.2.0/24."),
        );
    }
    for (index, text) in texts.iter().enumerate() {
        let field = format!("spec.addresses[{index}]");
        match Range::parse(text) {
            Ok(parsed) => {
                if parsed.host_bits {
                    let message = format!(
                        "\"{text}\" has host bits set; it covers {} to {}",
                        parsed.range.first(),
                        parsed.range.last()
                    );
                    refusals.push(
                        Refusal::warning(Reason::HostBitsSet, object(), message).field(field).remedy(
                            format!("Write {}, or two addresses with a dash for a part of it.", parsed.range),
                        ),
                    );
                }
                ranges.insert(parsed.range);
            }
            Err(error) => refusals.push(
                Refusal::error(Reason::InvalidRange, object(), error.to_string())
                    .field(field)
                    .remedy(error.remedy()),
            ),
        }
    }
    (ranges, refusals)
}

/// What the controller wrote; anything unreadable there was not written by it and counts as nothing.
fn read_accepted(texts: &[String]) -> RangeSet {
    texts.iter().filter_map(|text| Range::parse(text).ok()).map(|parsed| parsed.range).collect()
}
