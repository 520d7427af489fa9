// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The texts that `nft -f -` applies, each as one transaction: packets see the state before or the state after,
//! and a text that is refused changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::fixed::fixed_chains;
use super::found::Leftovers;
use super::mode::Mode;
use super::ruleset::{Container, Elements, Ruleset, TABLE};

/// Leads from what another process left to `desired`. What is there and wanted is not touched, so that no packet can
/// meet a table that lacks it, however shortly.
pub(crate) fn take_over(mode: Mode, leftovers: &Leftovers, desired: &Ruleset) -> String {
    let mut text = Text::default();
    text.line(format_args!("add table {TABLE}"));
    for container in Container::all() {
        let (keyword, definition) = (container.keyword(), container.definition());
        text.line(format_args!("add {keyword} {TABLE} {container} {{ {definition} }}"));
    }
    for chain in fixed_chains(mode) {
        match chain.hook {
            Some(hook) => text.line(format_args!("add chain {TABLE} {} {{ {hook} }}", chain.name)),
            None => text.line(format_args!("add chain {TABLE} {}", chain.name)),
        }
        text.fill_chain(chain.name, &chain.rules);
    }
    for (name, chain) in &desired.chains {
        if leftovers.chains.get(name).is_none_or(|digest| digest.as_ref() != Some(&chain.digest)) {
            text.line(format_args!("add chain {TABLE} {name}"));
            text.fill_chain(name, &chain.rules);
        }
    }
    let mut present = Elements::new();
    for (container, elements) in &leftovers.elements {
        if elements.values().any(|element| element.expires) {
            // Deleting by name would fail if one expired in this moment.
            text.line(format_args!("flush {} {TABLE} {container}", container.keyword()));
        } else {
            let elements = elements.iter().map(|(key, element)| (key.clone(), element.target.clone()));
            present.insert(*container, elements.collect());
        }
    }
    text.delete_elements(&difference(&present, &desired.elements));
    text.add_elements(&difference(&desired.elements, &present), None);
    for name in leftovers.chains.keys().filter(|name| !desired.chains.contains_key(*name)) {
        text.delete_chain(name);
    }
    text.0
}

/// Builds the table anew, deleting one of another layout first. Unlike [`take_over`] it registers the base
/// chains again.
pub(crate) fn rebuild(mode: Mode, desired: &Ruleset) -> String {
    let fresh = take_over(mode, &Leftovers::default(), desired);
    // Adding first makes the deletion succeed whether or not the table exists.
    format!("add table {TABLE}\ndelete table {TABLE}\n{fresh}")
}

/// Leads from `current`, which the table is known to hold, to `desired`, touching only what differs.
/// Empty if nothing does.
pub(crate) fn update(current: &Ruleset, desired: &Ruleset) -> String {
    let mut text = Text::default();
    for (name, chain) in &desired.chains {
        match current.chains.get(name) {
            Some(present) if present == chain => continue,
            Some(_) => {}
            None => text.line(format_args!("add chain {TABLE} {name}")),
        }
        text.fill_chain(name, &chain.rules);
    }
    text.delete_elements(&difference(&current.elements, &desired.elements));
    text.add_elements(&difference(&desired.elements, &current.elements), None);
    for name in current.chains.keys().filter(|name| !desired.chains.contains_key(*name)) {
        text.delete_chain(name);
    }
    text.0
}

/// Gives `elements`, which are there, a lifetime in the kernel: the rules stop to match new connections after `rest`
/// without a process to remove them. What is left then is inert. Empty if there is nothing.
///
/// Elements are deleted and added again, since adding one that is there does not touch its lifetime.
pub(crate) fn linger(elements: &Elements, rest: Duration) -> String {
    let mut text = Text::default();
    text.delete_elements(elements);
    text.add_elements(elements, Some(rest));
    text.0
}

/// Removes the table at once, whether or not it exists. Connections that it translates stall.
pub(crate) fn remove() -> String {
    format!("add table {TABLE}\ndelete table {TABLE}\n")
}

/// The elements of `left` that `right` lacks or has with another target.
fn difference(left: &Elements, right: &Elements) -> Elements {
    let mut result = Elements::new();
    for (container, elements) in left {
        let others = right.get(container);
        let missing: BTreeMap<_, _> = elements
            .iter()
            .filter(|(key, target)| others.and_then(|others| others.get(*key)) != Some(*target))
            .map(|(key, target)| (key.clone(), target.clone()))
            .collect();
        if !missing.is_empty() {
            result.insert(*container, missing);
        }
    }
    result
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{line}");
    }

    fn fill_chain(&mut self, name: &str, rules: &[String]) {
        self.line(format_args!("flush chain {TABLE} {name}"));
        for rule in rules {
            self.line(format_args!("add rule {TABLE} {name} {rule}"));
        }
    }

    fn delete_chain(&mut self, name: &str) {
        self.line(format_args!("flush chain {TABLE} {name}"));
        self.line(format_args!("delete chain {TABLE} {name}"));
    }

    fn add_elements(&mut self, elements: &Elements, lifetime: Option<Duration>) {
        let timeout = lifetime
            .map(|lifetime| format!(" timeout {}ms", lifetime.as_millis().max(1)))
            .unwrap_or_default();
        for (container, elements) in elements.iter().filter(|(_, elements)| !elements.is_empty()) {
            let list: Vec<String> = elements
                .iter()
                .map(|(key, target)| match target {
                    Some(chain) => format!("{key}{timeout} : goto {chain}"),
                    None => format!("{key}{timeout}"),
                })
                .collect();
            self.line(format_args!("add element {TABLE} {container} {{ {} }}", list.join(", ")));
        }
    }

    fn delete_elements(&mut self, elements: &Elements) {
        for (container, elements) in elements.iter().filter(|(_, elements)| !elements.is_empty()) {
            let list: Vec<&str> = elements.keys().map(String::as_str).collect();
            self.line(format_args!("delete element {TABLE} {container} {{ {} }}", list.join(", ")));
        }
    }
}
