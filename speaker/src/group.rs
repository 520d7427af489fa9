// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is elected together, with its name and what stands for it on the wire.

use std::fmt;
use std::sync::Arc;

use ferrolb_layer2::GroupId;

/// What is elected together. Its identity is a digest of its name, so it is computed once and goes along.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    id: GroupId,
    name: Arc<str>,
}

impl Group {
    /// The identity on the wire.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The name that people know it by.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Self {
        Self { id: GroupId::of(name), name: name.into() }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
