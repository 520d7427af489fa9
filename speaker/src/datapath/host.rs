// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Looks at settings of the machine that stand in the way of the data path. It changes none of them: they belong
//! to whoever runs the machine.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::found;
use super::model::{Backends, DataPath};
use super::nft;
use super::ruleset::{Family, TABLE};

/// Whether the kernel forwards packets of the families that are translated.
pub(crate) fn forwarding(data_path: &DataPath) -> BTreeSet<Condition> {
    let leaves =
        |backends: &Backends| backends.endpoints.iter().any(|endpoint| !endpoint.ip().is_unspecified());
    let translates = |family| {
        let mut ports = data_path.ports.iter();
        ports.any(|(frontend, backends)| Family::of(frontend.address) == family && leaves(backends))
    };
    let switches = [
        (Family::V4, "/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        (Family::V6, "/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
    ];
    switches
        .into_iter()
        .filter(|(family, path, _)| {
            // A file that cannot be read tells nothing: without IPv6 in the kernel there is none.
            let off = || std::fs::read_to_string(path).is_ok_and(|value| value.trim() == "0");
            translates(*family) && off()
        })
        .map(|(_, _, sysctl)| Condition::ForwardingOff { sysctl })
        .collect()
}

/// Chains of other tables that drop forwarded packets which they do not accept: a `drop` there beats our `accept`.
/// Docker's is the best known. Whether such a chain accepts the endpoints' traffic by a rule of its own cannot be
/// told, so this is a hint and closes no gate.
///
/// # Errors
/// If `nft` cannot list.
pub(crate) async fn forward_drops() -> Result<BTreeSet<Condition>, Condition> {
    let Some(chains) = nft::list(&["chains"]).await? else {
        return Ok(BTreeSet::new());
    };
    let mut conditions = BTreeSet::new();
    for chain in found::forward_drops(&chains) {
        let found::ForeignChain { family, table, name } = chain;
        if format!("{family} {table}") == TABLE {
            continue;
        }
        let listing = nft::list(&["table", &family, &table]).await?;
        if !listing.is_some_and(|listing| found::accepts_translated(&listing)) {
            conditions.insert(Condition::ForwardPolicyDrop { family, table, chain: name });
        }
    }
    Ok(conditions)
}
