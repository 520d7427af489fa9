// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The lists of selectors and names that advertisements and peers are made of.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::Pool;
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;

/// Reads the selectors of a list that `field` names; each stands `within` its entry. Those that cannot be read are refused.
pub(super) fn selectors(
    object: &ObjectRef,
    field: &str,
    within: &str,
    list: &[LabelSelector],
    refusals: &mut Vec<Refusal>,
) -> Vec<Selector> {
    let mut parsed = Vec::with_capacity(list.len());
    for (index, selector) in list.iter().enumerate() {
        match Selector::parse(selector) {
            Ok(selector) => parsed.push(selector),
            Err(error) => refusals.push(
                Refusal::error(Reason::InvalidSelector, object.clone(), error.message)
                    .field(format!("spec.{field}[{index}].{within}{}", error.field))
                    .remedy("Correct the selector; until then the last accepted form stays in force."),
            ),
        }
    }
    parsed
}

/// Whether one of `selectors` matches, or there is none.
pub(super) fn any_or_empty(selectors: &[Selector], labels: &BTreeMap<String, String>) -> bool {
    selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels))
}

/// Whether `names` or `selectors` name `pool`, or both are empty.
pub(super) fn select_pool(names: &BTreeSet<String>, selectors: &[Selector], pool: &Pool) -> bool {
    let all = names.is_empty() && selectors.is_empty();
    all || names.contains(&pool.name) || selectors.iter().any(|selector| selector.matches(&pool.labels))
}

/// Names that stand twice in one list: harmless, but probably another name was meant.
pub(super) fn twice(object: &ObjectRef, field: &str, list: &[String]) -> Vec<Refusal> {
    let mut seen = BTreeSet::new();
    let again = list.iter().enumerate().filter(|(_, entry)| !seen.insert(*entry));
    let warning = |(index, entry): (usize, &String)| {
        Refusal::warning(Reason::InvalidValue, object.clone(), format!("\"{entry}\" stands twice"))
            .field(format!("spec.{field}[{index}]"))
            .remedy("Name it once.")
    };
    again.map(warning).collect()
}
