// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb allocate`: gives addresses once, as manifests that are handed out with the rest.

mod arguments;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use ferrolb_config::address::parse_virtual_ip_name;
use ferrolb_config::api::VirtualIP;
use ferrolb_config::manifest::{Document, Manifest};
use ferrolb_config::reason::{Reason, Refusal, Severity};
use ferrolb_config::{Object, Objects, defaults, validate};
use ferrolb_controller::{Plan, settle};
use ferrolb_source::records;
use k8s_openapi::jiff::Timestamp;

use crate::finding::Finding;
use crate::manifests::read;
pub use arguments::AllocateArguments;
use arguments::AllocateFormat;
use outcome::{Change, Outcome};

/// Gives everybody in the folder an address, writes the records, and says what it gave. The exit code is 1 if somebody
/// lacks what it asks for, or if a mistake in the manifests keeps everything as it is.
///
/// # Errors
/// The folder cannot be read or written, or holds a record in a file that is not this command's.
pub fn now(what: &AllocateArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let manifests = read(std::slice::from_ref(&what.folder))?;
    let refused = mistakes(&manifests);
    if !refused.is_empty() {
        refused.iter().try_for_each(|finding| finding.write_text(out))?;
        bail!("nothing is given before the manifests are in order");
    }
    let held = Held::new(&manifests);
    let plan = settle(&objects(&manifests), Timestamp::now());
    let changes = held.changes(&plan, &what.folder)?;
    if !what.dry_run {
        write(&changes, &what.folder)?;
    }
    let outcome = Outcome::new(&plan, &changes, what.dry_run);
    match what.output {
        AllocateFormat::Text => outcome.write_text(out)?,
        AllocateFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &outcome).context("writing the outcome as JSON")?;
            writeln!(out)?;
        }
        AllocateFormat::Yaml => {
            let text = serde_saphyr::to_string(&outcome).context("writing the outcome as YAML")?;
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(if outcome.lacking.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is not used as it stands. Whom an address may go to must not depend on a document that nobody can read.
fn mistakes(manifests: &[Manifest]) -> Vec<Finding> {
    // What one of these that can be read asks for in vain is a part of the outcome.
    let consumers: BTreeSet<_> = documents(manifests)
        .filter(|document| matches!(document.object, Object::Service(_) | Object::FloatingIP(_)))
        .map(|document| document.object.reference())
        .collect();
    let is_outcome = |refusal: &Refusal| {
        refusal.reason != Reason::DuplicateObject
            && refusal.object.as_ref().is_some_and(|object| consumers.contains(object))
    };
    let refused = validate(manifests);
    let mistakes =
        refused.iter().filter(|refusal| refusal.severity == Severity::Error && !is_outcome(refusal));
    mistakes.map(Finding::from).collect()
}

fn documents(manifests: &[Manifest]) -> impl Iterator<Item = &Document> {
    manifests.iter().flat_map(|manifest| &manifest.documents)
}

fn objects(manifests: &[Manifest]) -> Objects {
    let mut objects = Objects::default();
    documents(manifests).for_each(|document| objects.insert(document.object.clone()));
    defaults::complete(&mut objects);
    objects
}

/// The records that the folder holds already.
struct Held<'a>(BTreeMap<&'a str, (&'a VirtualIP, PathBuf)>);

impl<'a> Held<'a> {
    fn new(manifests: &'a [Manifest]) -> Self {
        let records = documents(manifests).filter_map(|document| match &document.object {
            Object::VirtualIP(object) => {
                Some((object.metadata.name.as_deref()?, (object.as_ref(), document.location().file)))
            }
            _ => None,
        });
        Self(records.collect())
    }

    /// What sets the records apart from `plan`.
    fn changes(&self, plan: &Plan, folder: &Path) -> anyhow::Result<BTreeMap<String, Change>> {
        let mut changes = BTreeMap::new();
        for (name, spec) in plan.records() {
            let change = match self.0.get(name.as_str()) {
                Some((object, _)) if object.spec == *spec => Change::Kept,
                Some((_, file)) => {
                    own(file, folder, &name)?;
                    Change::Rewritten(Box::new(VirtualIP::new(&name, spec.clone())))
                }
                None => {
                    let path = records::path(folder, &name)?;
                    if path.exists() {
                        bail!("{} is in the way: it does not hold that VirtualIP; move it", path.display());
                    }
                    Change::Written(Box::new(VirtualIP::new(&name, spec.clone())))
                }
            };
            changes.insert(name, change);
        }
        for (name, (_, file)) in &self.0 {
            if parse_virtual_ip_name(name).is_some() && !changes.contains_key(*name) {
                own(file, folder, name)?;
                changes.insert((*name).to_owned(), Change::Removed);
            }
        }
        Ok(changes)
    }
}

/// A record that has to change must stand in a file of this command's, which holds nothing else.
fn own(file: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let ours = records::path(folder, name)?;
    if file != ours {
        bail!(
            "the VirtualIP {name} has to change, and stands in {}; move it to {}, alone",
            file.display(),
            ours.display()
        );
    }
    Ok(())
}

/// New records come last: whoever is interrupted has given no address twice.
fn write(changes: &BTreeMap<String, Change>, folder: &Path) -> anyhow::Result<()> {
    for (name, change) in changes {
        match change {
            Change::Removed => records::remove(folder, name)?,
            Change::Rewritten(object) => records::put(folder, object)?,
            Change::Written(_) | Change::Kept => {}
        }
    }
    for change in changes.values() {
        if let Change::Written(object) = change {
            records::put(folder, object)?;
        }
    }
    Ok(())
}
