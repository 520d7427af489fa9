// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The names of objects.

use std::fmt;

/// The namespace and name of a namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// The namespace; a manifest without one is in `default`.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Names one object of any kind in messages, conditions and events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// `AddressPool`, `Service`, …
    pub kind: String,
    /// `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Names a cluster-scoped object.
    pub fn cluster(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: None, name: name.into() }
    }

    /// Names all objects of a kind: what holds when none of them can be read.
    pub fn every(kind: impl Into<String>) -> Self {
        Self::cluster(kind, String::new())
    }

    /// Names a namespaced object.
    pub fn namespaced(kind: impl Into<String>, name: &ServiceName) -> Self {
        Self { kind: kind.into(), namespace: Some(name.namespace.clone()), name: name.name.clone() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None if self.name.is_empty() => write!(f, "every {}", self.kind),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
