// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The table in the kernel, and what this process knows about it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::condition::Condition;
use super::conntrack::{self, Stale, Translated};
use super::found::{self, Leftovers};
use super::mode::Mode;
use super::model::{DataPath, Frontend};
use super::ruleset::{Elements, Ruleset, TABLE_NAME, ruleset};
use super::{nft, transaction};

/// Knows what the table holds once it has written it itself.
#[derive(Debug)]
pub(crate) struct KernelTable {
    mode: Mode,
    /// What the table holds; `None` while that is unknown, as at the start.
    holds: Option<Ruleset>,
    /// Whether somebody else changed it since this process wrote it.
    tampered: bool,
    /// The last process that wrote it for us.
    writer: Option<u32>,
    /// What it translated when that was last known.
    translated: Translated,
}

impl KernelTable {
    /// Knows nothing yet.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, holds: None, tampered: false, writer: None, translated: Translated::new() }
    }

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
            Ok(writer) => {
                self.wrote(writer, wanted);
                Ok(Some(self.translated.clone()))
            }
            Err(Condition::NftFailed(why)) => {
                tracing::warn!(why, "the table is not as this process left it; taking it over");
                self.forget();
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Leads from whatever the table holds to `wanted`, without a gap for what stays. Returns what was translated.
    async fn take_over(&mut self, wanted: &Ruleset) -> Result<Translated, Condition> {
        let found = list_own().await?;
        if found.is_none() && *wanted == Ruleset::default() {
            return Ok(Translated::new());
        }
        let leftovers = found.as_ref().map(Leftovers::read).unwrap_or_default();
        let leftovers = if self.tampered { leftovers.distrusted() } else { leftovers };
        let writer = match nft::apply(&transaction::take_over(self.mode, &leftovers, wanted)).await {
            Err(Condition::NftFailed(why)) if found.is_some() => {
                tracing::warn!(why, "the table found has another layout; replacing it");
                nft::apply(&transaction::rebuild(self.mode, wanted)).await?
            }
            other => other?,
        };
        self.wrote(writer, wanted);
        let endpoints = |port: &Frontend| self.translated.get(port).cloned().unwrap_or_default();
        Ok(leftovers.ports().map(|port| (port, endpoints(&port))).collect())
    }

    fn wrote(&mut self, writer: u32, wanted: &Ruleset) {
        self.writer = Some(writer);
        self.holds = Some(wanted.clone());
        self.tampered = false;
    }

    /// Whether this process knows what the table holds.
    pub(crate) fn is_known(&self) -> bool {
        self.holds.is_some()
    }

    /// Whatever the table holds is no longer what this process wrote.
    pub(crate) fn forget(&mut self) {
        self.tampered |= self.holds.take().is_some();
    }

    /// The process whose changes of the table are ours.
    pub(crate) fn writer(&self) -> Option<u32> {
        self.writer
    }

    /// Lets the kernel end the translation of new connections after `rest`, whoever wrote the table.
    ///
    /// # Errors
    /// If `nft` fails. The table is unchanged then.
    pub(crate) async fn linger(&self, rest: Duration) -> Result<(), Condition> {
        if let Some(holds) = &self.holds {
            // Reading a large table takes longer than changing it, and whoever ends us does not wait for ever.
            match set_lifetime(&holds.elements, rest).await {
                Err(Condition::NftFailed(why)) => {
                    tracing::debug!(why, "the table is not as this process left it")
                }
                other => return other,
            }
        }
        let leftovers = list_own().await?.as_ref().map(Leftovers::read).unwrap_or_default();
        set_lifetime(&leftovers.unlimited(), rest).await
    }
}

async fn set_lifetime(elements: &Elements, rest: Duration) -> Result<(), Condition> {
    let text = transaction::linger(elements, rest);
    if text.is_empty() { Ok(()) } else { nft::apply(&text).await.map(drop) }
}

/// The ports that the table in the kernel translates, whoever wrote it. `None` if there is no table.
///
/// # Errors
/// If `nft` fails.
pub(crate) async fn translated_ports() -> Result<Option<BTreeSet<Frontend>>, Condition> {
    let found = list_own().await?;
    Ok(found.map(|table| Leftovers::read(&table).ports().collect()))
}

async fn list_own() -> Result<Option<serde_json::Value>, Condition> {
    nft::list(&["table", "inet", TABLE_NAME]).await
}

/// Whether the table exists.
///
/// # Errors
/// If `nft` fails.
pub(crate) async fn exists() -> Result<bool, Condition> {
    Ok(nft::list(&["tables"]).await?.is_some_and(|tables| found::has_own_table(&tables)))
}
