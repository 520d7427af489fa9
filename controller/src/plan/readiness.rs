// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether an object is used as it stands: its condition `Ready`.

use std::collections::BTreeMap;

use ferrolb_config::reason::{Reason, Refusal, Severity};

/// Whether an object is used as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Readiness {
    /// It is.
    #[default]
    Ready,
    /// It is, but it may not say what was meant.
    Doubtful {
        /// Why.
        reason: Reason,
        /// The same in words.
        message: String,
    },
    /// It is refused; its last accepted form, if any, stays in force.
    Refused {
        /// Why.
        reason: Reason,
        /// The same in words.
        message: String,
    },
}

impl Readiness {
    fn of(refusal: &Refusal) -> Self {
        let (reason, message) = (refusal.reason, sentence(refusal));
        match refusal.severity {
            Severity::Warning => Self::Doubtful { reason, message },
            Severity::Error => Self::Refused { reason, message },
        }
    }

    /// The worst of what is said of an object counts, and of equals the first.
    fn worsen(&mut self, other: Self) {
        let weight = |readiness: &Self| match readiness {
            Self::Ready => 0,
            Self::Doubtful { .. } => 1,
            Self::Refused { .. } => 2,
        };
        if weight(&other) > weight(self) {
            *self = other;
        }
    }
}

/// A refusal as one line: the field, what is wrong with it, and what to do.
pub(crate) fn sentence(refusal: &Refusal) -> String {
    let field = refusal.field.iter().map(|field| format!("{field}: "));
    let remedy = refusal.remedy.iter().map(|remedy| format!(". {remedy}"));
    field.chain([refusal.message.clone()]).chain(remedy).collect()
}

/// The readiness of all objects of one cluster-scoped kind: those that are in force and those that are refused.
pub(super) fn of_kind<'a>(
    kind: &str,
    in_force: impl Iterator<Item = &'a String>,
    refused: &[Refusal],
) -> BTreeMap<String, Readiness> {
    let mut all: BTreeMap<_, _> = in_force.map(|name| (name.clone(), Readiness::Ready)).collect();
    for refusal in refused {
        if let Some(object) = refusal.object.as_ref().filter(|object| object.kind == kind) {
            all.entry(object.name.clone()).or_default().worsen(Readiness::of(refusal));
        }
    }
    all
}
