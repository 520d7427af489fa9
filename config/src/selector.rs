// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Label selectors, read once and matched often.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use thiserror::Error;

/// A label selector: every requirement must hold. Without requirements it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
}

/// Why a label selector cannot be used. `field` is the path below the selector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SelectorError {
    /// `matchExpressions[0].operator`.
    pub field: String,
    /// What is wrong, naming the value.
    pub message: String,
}

impl Selector {
    /// Reads `matchLabels` and `matchExpressions` (operators In, NotIn, Exists, DoesNotExist).
    ///
    /// # Errors
    /// An unknown operator, an empty key, In or NotIn without values, Exists or DoesNotExist with values.
    pub fn parse(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.push(Requirement::In(key.clone(), BTreeSet::from([value.clone()])));
        }
        for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let wrong = |field: &str, message: String| SelectorError {
                field: format!("matchExpressions[{index}].{field}"),
                message,
            };
            let key = expression.key.clone();
            if key.is_empty() {
                return Err(wrong("key", "the key is empty".to_owned()));
            }
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let operator = expression.operator.as_str();
            requirements.push(match (operator, values.is_empty()) {
                ("In", false) => Requirement::In(key, values),
                ("NotIn", false) => Requirement::NotIn(key, values),
                ("Exists", true) => Requirement::Exists(key),
                ("DoesNotExist", true) => Requirement::DoesNotExist(key),
                ("In" | "NotIn", true) => {
                    return Err(wrong("values", format!("{operator} needs at least one value")));
                }
                ("Exists" | "DoesNotExist", false) => {
                    return Err(wrong("values", format!("{operator} takes no values")));
                }
                _ => {
                    let message = format!(
                        "\"{operator}\" is not an operator; there are In, NotIn, Exists, DoesNotExist"
                    );
                    return Err(wrong("operator", message));
                }
            });
        }
        Ok(Self(requirements))
    }

    /// Whether `labels` fulfil every requirement.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            // As in Kubernetes: a missing label is not in the list.
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::DoesNotExist(key) => !labels.contains_key(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
            }]),
        }
    }

    #[test]
    fn every_operator_matches_as_in_kubernetes() {
        let node = labels(&[("rack", "a")]);
        for (selector, expected) in [
            (LabelSelector::default(), true),
            (LabelSelector { match_labels: Some(labels(&[("rack", "a")])), match_expressions: None }, true),
            (LabelSelector { match_labels: Some(labels(&[("rack", "b")])), match_expressions: None }, false),
            (expression("rack", "In", &["a", "b"]), true),
            (expression("zone", "In", &["a"]), false),
            (expression("rack", "NotIn", &["a"]), false),
            (expression("zone", "NotIn", &["a"]), true),
            (expression("rack", "Exists", &[]), true),
            (expression("rack", "DoesNotExist", &[]), false),
        ] {
            assert_eq!(Selector::parse(&selector).unwrap().matches(&node), expected, "{selector:?}");
        }
    }

    #[test]
    fn a_selector_that_cannot_be_read_names_its_field() {
        for (selector, field) in [
            (expression("rack", "Near", &["a"]), "matchExpressions[0].operator"),
            (expression("rack", "In", &[]), "matchExpressions[0].values"),
            (expression("rack", "Exists", &["a"]), "matchExpressions[0].values"),
            (expression("", "Exists", &[]), "matchExpressions[0].key"),
        ] {
            assert_eq!(Selector::parse(&selector).unwrap_err().field, field);
        }
    }
}
