// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Pools with the ranges that are in force.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::LoadBalancer;
use super::clientele::{self, Clientele};
use super::overlap::{self, Bid};
use crate::address::{Family, LastOctet, Range, RangeSet};
use crate::api::AddressPool;
use crate::name::ObjectRef;
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
    /// Whether nodes may put its addresses on their interfaces.
    pub allow_bound: bool,
    /// Whom it serves; `None`: everybody, after the pools that say whom they serve.
    pub clientele: Option<Clientele>,
    /// How many addresses the Services of one namespace may hold together.
    pub quota: Option<u32>,
    /// How long an address is kept for whoever gave it up; `None`: not at all.
    pub retention: Option<Duration>,
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

    /// Whether a Service of `namespace` with these labels may draw from the pool. `namespace_labels`: `None` when the
    /// Namespace object is not known.
    pub fn admits(
        &self,
        namespace: &str,
        namespace_labels: Option<&BTreeMap<String, String>>,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        self.clientele.as_ref().is_none_or(|clientele| {
            clientele.admits_namespace(namespace, namespace_labels) && clientele.admits_labels(labels)
        })
    }

    /// Whether `service` may draw from the pool. One that is refused takes nothing away, whomever it serves.
    /// `namespace_labels`: `None` when the Namespace object is not known.
    pub fn lets_draw(
        &self,
        service: &LoadBalancer,
        namespace_labels: Option<&BTreeMap<String, String>>,
    ) -> bool {
        self.accepting.is_err() || self.admits(&service.name.namespace, namespace_labels, &service.labels)
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
    let (mut bids, mut terms) = (Vec::new(), Vec::new());
    for (name, object) in objects {
        let (wanted, mut refusals) = read_ranges(name, &object.spec.addresses);
        let allocation = object.spec.service_allocation.as_ref().map(|spec| clientele::read(name, spec));
        let (clientele, doubts) = allocation.unzip();
        refusals.extend(doubts.into_iter().flatten());
        let retention = retention(name, object.spec.retention.as_deref());
        refusals.extend(retention.as_ref().err().map(|refusal| Refusal::clone(refusal)));
        terms.push((clientele, retention.unwrap_or_default()));
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
    for (((name, object), award), (clientele, retention)) in objects.iter().zip(awards).zip(terms) {
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
                allow_bound: object.spec.allow_bound,
                clientele,
                quota: object.spec.quota.as_ref().and_then(|quota| quota.per_namespace),
                retention,
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

/// Reads `spec.retention`; nothing and zero mean that nothing is kept.
fn retention(name: &str, text: Option<&str>) -> Result<Option<Duration>, Box<Refusal>> {
    let Some(text) = text else { return Ok(None) };
    let refuse = |message: String| {
        let object = ObjectRef::cluster("AddressPool", name);
        let refusal = Refusal::error(Reason::InvalidValue, object, message).field("spec.retention");
        Box::new(refusal.remedy("Write hours, minutes and seconds, for example 24h or 1h30m."))
    };
    match text.parse::<kube::core::Duration>() {
        Ok(duration) if duration.is_negative() => Err(refuse(format!("\"{text}\" is negative"))),
        Ok(duration) => Ok(Some(Duration::from(duration)).filter(|duration| !duration.is_zero())),
        Err(error) => Err(refuse(format!("\"{text}\" is not a duration: {error}"))),
    }
}

/// What the controller wrote; anything unreadable there was not written by it and counts as nothing.
fn read_accepted(texts: &[String]) -> RangeSet {
    texts.iter().filter_map(|text| Range::parse(text).ok()).map(|parsed| parsed.range).collect()
}
