// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the objects say, as far as reports need it.

use std::sync::Arc;

use ferrolb_config::Freshness;
use ferrolb_config::snapshot::Away;

use crate::intent::Intent;
use crate::names::Names;

/// What the objects say, as far as reports need it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) names: Names,
    pub(crate) intent: Arc<Intent>,
    pub(crate) freshness: Freshness,
    /// Why this node must carry no address, if it must not.
    pub(crate) away: Option<Away>,
}
