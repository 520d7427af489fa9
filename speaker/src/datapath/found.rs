// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads what the kernel holds from the listings of `nft -j` (libnftables-json(5)).
//!
//! Whatever is not understood is passed over: a listing can hold expressions of every version of nftables.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use serde_json::Value;

use super::model::{Frontend, Protocol};
use super::ruleset::{Container, Kind, is_port_chain};

/// What an earlier process left in our table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// The chains of translated ports, by name.
    pub(crate) chains: BTreeSet<String>,
    /// The ports that are being translated.
    pub(crate) ports: BTreeSet<Frontend>,
}

/// Reads the listing of our own table.
pub(crate) fn leftovers(listing: &Value) -> Leftovers {
    let mut found = Leftovers::default();
    for object in objects(listing) {
        if let Some(name) = object.pointer("/chain/name").and_then(Value::as_str)
            && is_port_chain(name)
        {
            found.chains.insert(name.to_owned());
        }
        if let Some(map) = object.get("map")
            && is_ports_map(map)
        {
            found.ports.extend(elements(map).filter_map(frontend));
        }
    }
    found
}

fn objects(listing: &Value) -> impl Iterator<Item = &Value> {
    listing.get("nftables").and_then(Value::as_array).into_iter().flatten()
}

fn is_ports_map(map: &Value) -> bool {
    let name = map.get("name").and_then(Value::as_str);
    Container::all().any(|container| container.kind == Kind::Ports && name == Some(&container.to_string()))
}

fn elements(map: &Value) -> impl Iterator<Item = &Value> {
    map.get("elem").and_then(Value::as_array).into_iter().flatten()
}

/// An element is `[key, verdict]`, its key wrapped as `{"elem": {"val": key, …}}` while it has a lifetime.
fn frontend(element: &Value) -> Option<Frontend> {
    let key = element.get(0)?;
    let key = key.pointer("/elem/val").unwrap_or(key).get("concat")?;
    let protocol = match key.get(1)? {
        Value::String(name) if name == "tcp" => Protocol::Tcp,
        Value::String(name) if name == "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(Frontend {
        address: key.get(0)?.as_str()?.parse().ok()?,
        protocol,
        port: NonZeroU16::new(u16::try_from(key.get(2)?.as_u64()?).ok()?)?,
    })
}

/// A chain, as `nft` addresses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    pub(crate) family: String,
    pub(crate) table: String,
    pub(crate) name: String,
}

/// Reads a listing of all chains: those in the forward hook that drop what they do not accept.
pub(crate) fn forward_drops(chains: &Value) -> Vec<ForeignChain> {
    let text =
        |chain: &Value, field: &str| chain.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    objects(chains)
        .filter_map(|object| object.get("chain"))
        .filter(|chain| text(chain, "hook") == "forward" && text(chain, "policy") == "drop")
        .map(|chain| ForeignChain {
            family: text(chain, "family"),
            table: text(chain, "table"),
            name: text(chain, "name"),
        })
        .collect()
}

/// Reads the listing of a table: whether it holds `ct status dnat accept`. The same written by iptables
/// (`-m conntrack --ctstate DNAT -j ACCEPT`) is opaque in listings and not recognised.
pub(crate) fn accepts_translated(table: &Value) -> bool {
    objects(table).filter_map(|object| object.get("rule")).any(|rule| {
        let expressions = || rule.get("expr").and_then(Value::as_array).into_iter().flatten();
        let asks = expressions().any(|expression| {
            let key = expression.pointer("/match/left/ct/key").and_then(Value::as_str);
            key == Some("status")
                && expression.pointer("/match/right").is_some_and(|right| mentions(right, "dnat"))
        });
        asks && expressions().any(|expression| expression.get("accept").is_some())
    })
}

fn mentions(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(list) => list.iter().any(|item| mentions(item, word)),
        _ => false,
    }
}
