// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads what the kernel holds from the listings of `nft -j` (libnftables-json(5)).
//!
//! Whatever is not understood is passed over: a listing can hold expressions of every version of nftables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::model::{Frontend, Protocol};
use super::ruleset::{Container, Elements, Kind, TABLE, comment_digest, is_port_chain};

/// What an earlier process left in our table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// The chains of translated ports by name, with the digest of their rules if that is known.
    pub(crate) chains: BTreeMap<String, Option<String>>,
    /// The elements of maps and sets, by key.
    pub(crate) elements: BTreeMap<Container, BTreeMap<String, FoundElement>>,
    /// The chains that the kernel calls by itself, by name.
    pub(crate) base_chains: BTreeSet<String>,
}

/// An element of a map or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundElement {
    /// The chain that it leads to, in maps.
    pub(crate) target: Option<String>,
    /// Whether it has a lifetime.
    pub(crate) expires: bool,
}

impl Leftovers {
    /// Reads the listing of our own table.
    pub(crate) fn read(listing: &Value) -> Self {
        let mut found = Leftovers::default();
        for object in objects(listing) {
            if let Some(name) = object.pointer("/chain/name").and_then(Value::as_str) {
                if is_port_chain(name) {
                    found.chains.entry(name.to_owned()).or_default();
                } else if object.pointer("/chain/hook").is_some() {
                    found.base_chains.insert(name.to_owned());
                }
            }
            if let Some(digest) =
                object.pointer("/rule/comment").and_then(Value::as_str).and_then(comment_digest)
                && let Some(name) = object.pointer("/rule/chain").and_then(Value::as_str)
                && is_port_chain(name)
            {
                found.chains.insert(name.to_owned(), Some(digest.to_owned()));
            }
            if let Some(holder) = object.get("map").or_else(|| object.get("set"))
                && let Some(container) = container(holder)
            {
                found.elements.insert(container, elements(holder).filter_map(element).collect());
            }
        }
        found
    }

    /// The same without trust in the chains' contents: somebody changed something.
    pub(crate) fn distrusted(mut self) -> Self {
        self.chains.values_mut().for_each(|digest| *digest = None);
        self
    }

    /// The elements without a lifetime.
    pub(crate) fn unlimited(&self) -> Elements {
        let unlimited = |elements: &BTreeMap<String, FoundElement>| {
            let unlimited = elements.iter().filter(|(_, element)| !element.expires);
            unlimited.map(|(key, element)| (key.clone(), element.target.clone())).collect()
        };
        self.elements.iter().map(|(container, elements)| (*container, unlimited(elements))).collect()
    }

    /// The ports that are being translated.
    pub(crate) fn ports(&self) -> impl Iterator<Item = Frontend> {
        self.elements
            .iter()
            .filter(|(container, _)| container.kind == Kind::Ports)
            .flat_map(|(_, elements)| elements.keys().filter_map(|key| frontend(key)))
    }
}

fn objects(listing: &Value) -> impl Iterator<Item = &Value> {
    listing.get("nftables").and_then(Value::as_array).into_iter().flatten()
}

fn container(holder: &Value) -> Option<Container> {
    let name = holder.get("name").and_then(Value::as_str)?;
    Container::all().find(|container| container.to_string() == name)
}

fn elements(holder: &Value) -> impl Iterator<Item = &Value> {
    holder.get("elem").and_then(Value::as_array).into_iter().flatten()
}

/// An element is its key, in maps `[key, verdict]`; the key is wrapped as `{"elem": {"val": key, …}}` while the
/// element has a lifetime.
fn element(element: &Value) -> Option<(String, FoundElement)> {
    let (key, target) = match element.as_array() {
        Some(pair) => (pair.first()?, pair.get(1)?.pointer("/goto/target")),
        None => (element, None),
    };
    let wrapped = key.pointer("/elem/val");
    let target = target.and_then(Value::as_str).map(str::to_owned);
    Some((key_text(wrapped.unwrap_or(key))?, FoundElement { target, expires: wrapped.is_some() }))
}

/// The key as the rules write it.
fn key_text(key: &Value) -> Option<String> {
    let parts = match key.get("concat") {
        Some(parts) => parts.as_array()?.as_slice(),
        None => std::slice::from_ref(key),
    };
    let part = |part: &Value| match part {
        // nft and Rust may write an address differently.
        Value::String(text) => {
            Some(text.parse().map_or_else(|_| text.clone(), |address: IpAddr| address.to_string()))
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(parts.iter().map(part).collect::<Option<Vec<_>>>()?.join(" . "))
}

fn frontend(key: &str) -> Option<Frontend> {
    let mut parts = key.split(" . ");
    let address = parts.next()?.parse().ok()?;
    let protocol = match parts.next()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(Frontend { address, protocol, port: parts.next()?.parse().ok()? })
}

/// Reads a listing of all tables: whether ours is among them.
pub(crate) fn has_own_table(tables: &Value) -> bool {
    let text =
        |table: &Value, field: &str| table.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    objects(tables)
        .filter_map(|object| object.get("table"))
        .any(|table| format!("{} {}", text(table, "family"), text(table, "name")) == TABLE)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ruleset::Family;
    use super::*;

    #[test]
    fn ports_are_read_with_and_without_a_lifetime() {
        let listing = json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"map": {"name": "ports6", "elem": [
                [{"concat": ["2001:db8::1", "tcp", 80]}, {"goto": {"target": "port/tcp/80/x"}}],
                [{"elem": {"val": {"concat": ["2001:db8::1", "udp", 53]}, "timeout": 90, "expires": 89}},
                 {"goto": {"target": "port/udp/53/x"}}],
            ]}},
            {"set": {"name": "candidates6", "elem": ["::1.2.3.4"]}},
            {"chain": {"name": "prerouting", "hook": "prerouting"}},
            {"chain": {"name": "refuse"}},
            {"chain": {"name": "port/tcp/80/x"}},
            {"rule": {"chain": "port/tcp/80/x", "comment": "default/web 00ff"}},
            {"chain": {"name": "port/udp/53/x"}},
        ]});
        let found = Leftovers::read(&listing);
        let ports: Vec<String> = found.ports().map(|frontend| frontend.to_string()).collect();
        assert_eq!(ports, ["tcp [2001:db8::1]:80", "udp [2001:db8::1]:53"]);
        let map = &found.elements[&Container { kind: Kind::Ports, family: Family::V6 }];
        assert!(!map["2001:db8::1 . tcp . 80"].expires);
        assert!(map["2001:db8::1 . udp . 53"].expires);
        assert_eq!(map["2001:db8::1 . udp . 53"].target.as_deref(), Some("port/udp/53/x"));
        let set = &found.elements[&Container { kind: Kind::Candidates, family: Family::V6 }];
        assert!(set.contains_key("::102:304"), "as Rust writes it: {set:?}");
        assert_eq!(found.chains["port/tcp/80/x"].as_deref(), Some("00ff"));
        assert_eq!(found.chains["port/udp/53/x"], None);
        assert_eq!(found.chains.len(), 2);
        assert_eq!(found.base_chains, ["prerouting".to_owned()].into());
    }

    #[test]
    fn a_dropping_forward_chain_of_another_table_is_found() {
        let listing = json!({"nftables": [
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "inet", "table": "open", "name": "fwd", "hook": "forward", "policy": "accept"}},
        ]});
        let chain = ForeignChain { family: "ip".into(), table: "filter".into(), name: "FORWARD".into() };
        assert_eq!(forward_drops(&listing), [chain]);
    }

    #[test]
    fn a_rule_that_accepts_translated_connections_is_recognised() {
        let with = |right: Value, verdict: &str| {
            let asks = json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": right}});
            accepts_translated(&json!({"nftables": [{"rule": {"expr": [asks, {verdict: null}]}}]}))
        };
        assert!(with(json!("dnat"), "accept"));
        assert!(with(json!(["snat", "dnat"]), "accept"));
        assert!(!with(json!("dnat"), "drop"));
        assert!(!with(json!("snat"), "accept"));
    }
}
