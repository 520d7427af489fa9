// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whom a pool serves.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::ServiceAllocation;
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;

/// The label that every Namespace has, and that only the API server sets (KEP-2161).
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

type Labels = BTreeMap<String, String>;

/// Whom a pool serves: Services of certain namespaces *and* with certain labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clientele {
    /// Pools of a lower rank are tried first; one without a priority has the highest rank.
    pub rank: u32,
    /// Namespaces by name.
    namespaces: BTreeSet<String>,
    /// Namespaces by label, in addition to those named.
    namespace_selectors: Vec<Selector>,
    /// Services by label.
    service_selectors: Vec<Selector>,
}

impl Clientele {
    /// Whether Services of the namespace are served, if they have the right labels. Of a namespace whose object is not
    /// known, as without a cluster, only the name counts.
    pub fn admits_namespace(&self, name: &str, labels: Option<&Labels>) -> bool {
        if self.namespaces.is_empty() && self.namespace_selectors.is_empty() {
            return true;
        }
        if self.namespaces.contains(name) {
            return true;
        }
        let implied;
        let labels = match labels {
            Some(labels) => labels,
            None => {
                implied = Labels::from([(NAMESPACE_NAME.to_owned(), name.to_owned())]);
                &implied
            }
        };
        self.namespace_selectors.iter().any(|selector| selector.matches(labels))
    }

    /// Whether a Service with these labels is served, if it is of the right namespace.
    pub fn admits_labels(&self, labels: &Labels) -> bool {
        self.service_selectors.is_empty()
            || self.service_selectors.iter().any(|selector| selector.matches(labels))
    }

    /// Whether the labels of a Service matter at all.
    pub fn is_choosy(&self) -> bool {
        !self.service_selectors.is_empty()
    }
}

/// The labels of a Namespace object, its name among them whatever a manifest says.
pub fn namespace_labels(name: &str, labels: Option<&Labels>) -> Labels {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(NAMESPACE_NAME.to_owned(), name.to_owned());
    labels
}

/// Reads `spec.serviceAllocation` of the pool `name`, with all that is wrong or doubtful in it.
pub(super) fn read(name: &str, spec: &ServiceAllocation) -> (Clientele, Vec<Refusal>) {
    let mut refusals = Vec::new();
    let mut selectors = |field: &str, list: &[LabelSelector]| -> Vec<Selector> {
        let mut read: Vec<Selector> = Vec::new();
        for (index, selector) in list.iter().enumerate() {
            let field = format!("spec.serviceAllocation.{field}[{index}]");
            match Selector::parse(selector) {
                Ok(selector) if read.contains(&selector) => refusals.push(twice(name, field, "the selector")),
                Ok(selector) => read.push(selector),
                Err(error) => {
                    let object = ObjectRef::cluster("AddressPool", name);
                    refusals.push(
                        Refusal::error(Reason::InvalidSelector, object, error.message)
                            .field(format!("{field}.{}", error.field))
                            .remedy("Correct the selector; until then the pool gives no new address."),
                    );
                }
            }
        }
        read
    };
    let clientele = Clientele {
        rank: if spec.priority == 0 { u32::MAX } else { spec.priority },
        namespaces: spec.namespaces.iter().cloned().collect(),
        namespace_selectors: selectors("namespaceSelectors", &spec.namespace_selectors),
        service_selectors: selectors("serviceSelectors", &spec.service_selectors),
    };
    let mut seen = BTreeSet::new();
    let again = spec.namespaces.iter().enumerate().filter(|(_, namespace)| !seen.insert(*namespace));
    refusals.extend(again.map(|(index, namespace)| {
        twice(name, format!("spec.serviceAllocation.namespaces[{index}]"), &format!("\"{namespace}\""))
    }));
    (clientele, refusals)
}

/// Harmless, but probably something else was meant.
fn twice(name: &str, field: String, what: &str) -> Refusal {
    let object = ObjectRef::cluster("AddressPool", name);
    Refusal::warning(Reason::InvalidValue, object, format!("{what} stands twice"))
        .field(field)
        .remedy("Name it once.")
}
