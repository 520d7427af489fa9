// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Errors in attributes that a session survives (RFC 7606).

use std::fmt;

use crate::attributes::AttributeKind;

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeFault {
    /// Which attribute.
    pub kind: AttributeKind,
    /// What is wrong with it, or why it is left out.
    pub what: &'static str,
    /// What follows from it.
    pub handling: Handling,
}

/// What follows from an error (RFC 7606, section 2). What is worse than these is a [`Fault`](crate::Fault).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handling {
    /// The attribute is left out.
    Discard,
    /// The routes count as withdrawn.
    TreatAsWithdraw,
}

impl fmt::Display for AttributeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let follows = match self.handling {
            Handling::Discard => "the attribute is ignored",
            Handling::TreatAsWithdraw => "its routes count as withdrawn",
        };
        write!(f, "{} {}; {follows}", self.kind, self.what)
    }
}
