// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is found to be wrong in one object while it is read.

use crate::name::{ObjectRef, ServiceName};
use crate::reason::{Reason, Refusal, Severity};

/// All that is wrong or doubtful in one object, in the order in which it was found.
pub(super) struct Faults<'a> {
    kind: &'static str,
    name: &'a ServiceName,
    found: Vec<Refusal>,
}

impl<'a> Faults<'a> {
    /// None so far.
    pub(super) fn of(kind: &'static str, name: &'a ServiceName) -> Self {
        Self { kind, name, found: Vec::new() }
    }

    /// A field's value cannot be used.
    pub(super) fn add(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add_as(Reason::InvalidValue, field, message, remedy);
    }

    /// The object cannot be used.
    pub(super) fn add_as(
        &mut self,
        reason: Reason,
        field: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.found.push(Refusal::error(reason, self.object(), message).field(field).remedy(remedy));
    }

    /// The object can be used, and yet something should be changed.
    pub(super) fn warn(
        &mut self,
        reason: Reason,
        field: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.found.push(Refusal::warning(reason, self.object(), message).field(field).remedy(remedy));
    }

    /// Why the object cannot be used, if so.
    pub(super) fn first_error(&self) -> Option<&Refusal> {
        self.found.iter().find(|refusal| refusal.severity == Severity::Error)
    }

    /// Everything.
    pub(super) fn into_all(self) -> Vec<Refusal> {
        self.found
    }

    /// The namespace of the object.
    pub(super) fn namespace(&self) -> &str {
        &self.name.namespace
    }

    fn object(&self) -> ObjectRef {
        ObjectRef::namespaced(self.kind, self.name)
    }
}
