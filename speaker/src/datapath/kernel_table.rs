// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The table in the kernel, and what this process knows about it.

use std::time::Duration;

use super::condition::Condition;
use super::conntrack::{self, Stale, Translated};
use super::found::{self, Leftovers};
use super::model::{DataPath, Frontend};
use super::ruleset::{Ruleset, TABLE, ruleset};
use super::{nft, transaction};

/// Knows what the table holds once it has written it itself.
#[derive(Debug, Default)]
pub(crate) struct KernelTable {
    /// What the table holds; `None` while that is unknown, as at the start.
    holds: Option<Ruleset>,
    /// What it translated when that was last known.
    translated: Translated,
}

impl KernelTable {
    /// Makes the table do what `desired` says. Returns the flows that know nothing of it.
    ///
    /// # Errors
    /// If `nft` fails. The table is unchanged then.
    pub(crate) async fn apply(&mut self, desired: &DataPath) -> Result<Stale, Condition> {
        let wanted = ruleset(desired);
        let translated = conntrack::translated(desired);
        let before = match self.change(&wanted).await? {
            Some(before) => before,
            None => self.take_over(&wanted).await?,
        };
        self.holds = Some(wanted);
        self.translated = translated;
        Ok(Stale::between(&before, &self.translated))
    }

    /// Changes what differs. `None` if the table does not hold what it should, or that is unknown.
    async fn change(&mut self, wanted: &Ruleset) -> Result<Option<Translated>, Condition> {
        let Some(holds) = &self.holds else {
            return Ok(None);
        };
        let text = transaction::update(holds, wanted);
        if text.is_empty() {
            return Ok(Some(self.translated.clone()));
        }
        match nft::apply(&text).await {
            Ok(()) => Ok(Some(self.translated.clone())),
            Err(Condition::NftFailed(why)) => {
                tracing::warn!(why, "the table is not as this process left it; taking it over");
                self.forget();
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Replaces whatever the table holds, without a gap for what stays.
    async fn take_over(&self, wanted: &Ruleset) -> Result<Translated, Condition> {
        let (family, name) = TABLE.split_once(' ').unwrap_or_default();
        let found = nft::list(&["table", family, name]).await?;
        if found.is_none() && *wanted == Ruleset::default() {
            return Ok(Translated::new());
        }
        let Leftovers { chains, ports } = found.as_ref().map(found::leftovers).unwrap_or_default();
        match nft::apply(&transaction::take_over(chains.iter().map(String::as_str), wanted)).await {
            Err(Condition::NftFailed(why)) if found.is_some() => {
                tracing::warn!(why, "the table found has another layout; replacing it");
                nft::apply(&transaction::rebuild(wanted)).await?;
            }
            other => other?,
        }
        let endpoints = |port: &Frontend| self.translated.get(port).cloned().unwrap_or_default();
        Ok(ports.into_iter().map(|port| (port, endpoints(&port))).collect())
    }

    /// Whatever the table holds is no longer what this process wrote.
    pub(crate) fn forget(&mut self) {
        self.holds = None;
    }

    /// Lets the kernel end the translation of new connections after `rest`.
    ///
    /// # Errors
    /// If `nft` fails. The table is unchanged then.
    pub(crate) async fn linger(&self, rest: Duration) -> Result<(), Condition> {
        let text = self.holds.as_ref().map(|holds| transaction::linger(holds, rest)).unwrap_or_default();
        if text.is_empty() { Ok(()) } else { nft::apply(&text).await }
    }
}
