// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is in force of one file, and how a new text of it is read: a document that stands there unchanged, in whatever
//! place, is not read again.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use ferrolb_config::manifest::{Chunk, Manifest, documents};
use ferrolb_config::reason::{Location, Refusal, Severity};
use ferrolb_config::{Object, ObjectRef};

/// What is in force of one file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Its objects, each with its place.
    pub(crate) objects: Vec<Placed>,
    /// What is wrong with the file as it is now.
    pub(crate) refused: Vec<Refusal>,
    /// Kinds that FerroLB has no use for.
    pub(crate) foreign: BTreeSet<String>,
}

/// An object, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub(crate) object: Object,
    /// Lines before its document.
    lines_before: u32,
    /// Where it begins in its document.
    within: (u32, u32),
    /// Of the document's text, if nothing else follows from that.
    text: Option<Fingerprint>,
}

/// Stands for a text: two different ones have the same with a chance of 2⁻¹²⁸, whoever wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fingerprint([u64; 2]);

/// How files are read.
#[derive(Debug)]
pub(super) struct Reading {
    keep: fn(Object) -> Object,
    keys: [RandomState; 2],
}

impl Reading {
    /// Of each object that is kept which `keep` leaves.
    pub(super) fn new(keep: fn(Object) -> Object) -> Self {
        Self { keep, keys: [RandomState::new(), RandomState::new()] }
    }

    /// What `text` holds, which stands in the file `path` in place of what `before` was read from.
    pub(super) fn read(&self, path: &Path, text: &str, before: &Held) -> Held {
        let known: HashMap<Fingerprint, &Placed> =
            before.objects.iter().filter_map(|placed| Some((placed.text?, placed))).collect();
        let mut held = Held::default();
        for chunk in documents(text) {
            let print = self.fingerprint(chunk.text);
            match known.get(&print) {
                Some(placed) => {
                    let lines_before = chunk.lines_before;
                    held.objects.push(Placed { lines_before, ..Placed::clone(placed) });
                }
                None => self.read_document(path, chunk, print, &mut held),
            }
        }
        held.objects.shrink_to_fit();
        held
    }

    fn read_document(&self, path: &Path, chunk: Chunk<'_>, print: Fingerprint, held: &mut Held) {
        let manifest = Manifest::parse_one(path, chunk);
        let is_one = manifest.documents.len() == 1 && manifest.refused.is_empty();
        for document in manifest.documents {
            let Location { line, column, .. } = document.location();
            held.objects.push(Placed {
                object: (self.keep)(document.object),
                lines_before: chunk.lines_before,
                within: (line.saturating_sub(chunk.lines_before), column),
                text: is_one.then_some(print),
            });
        }
        held.refused.extend(manifest.refused);
        held.foreign.extend(manifest.foreign.into_iter().map(|document| document.kind));
    }

    fn fingerprint(&self, text: &str) -> Fingerprint {
        Fingerprint(self.keys.each_ref().map(|key| key.hash_one(text)))
    }
}

impl Placed {
    /// Where it stands, in the file `path`.
    pub(crate) fn location(&self, path: &Path) -> Location {
        let (line, column) = self.within;
        Location { file: path.to_owned(), line: line.saturating_add(self.lines_before), column }
    }
}

impl Held {
    /// Whether all of the file can be used.
    pub(super) fn is_good(&self) -> bool {
        self.errors().next().is_none()
    }

    /// Adds what was in force `before` and may still stand in a document that cannot be read.
    pub(super) fn keep_unread_of(&mut self, before: &Self) {
        let anything_unread = self.errors().any(|refusal| refusal.object.is_none());
        let unread: BTreeSet<&ObjectRef> =
            self.errors().filter_map(|refusal| refusal.object.as_ref()).collect();
        let read = self.references();
        let kept = before.objects.iter().filter(|placed| {
            let reference = placed.object.reference();
            !read.contains(&reference) && (anything_unread || unread.contains(&reference))
        });
        let kept: Vec<Placed> = kept.cloned().collect();
        self.objects.extend(kept);
    }

    /// Whether an object of `before` is not there any more.
    pub(super) fn lacks(&self, before: &Self) -> bool {
        let mine = self.references();
        before.objects.iter().any(|placed| !mine.contains(&placed.object.reference()))
    }

    fn references(&self) -> BTreeSet<ObjectRef> {
        self.objects.iter().map(|placed| placed.object.reference()).collect()
    }

    /// What of the file cannot be used.
    fn errors(&self) -> impl Iterator<Item = &Refusal> {
        self.refused.iter().filter(|refusal| refusal.severity == Severity::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    const DNS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: dns}\n";

    fn service(placed: &Placed) -> &Arc<k8s_openapi::api::core::v1::Service> {
        let Object::Service(service) = &placed.object else { panic!("{placed:?}") };
        service
    }

    #[test]
    fn a_document_that_stands_unchanged_is_not_read_again_and_its_place_is_the_new_one() {
        let (reading, path) = (Reading::new(|object| object), Path::new("a.yaml"));
        let before = reading.read(path, &format!("{WEB}---\n{DNS}"), &Held::default());
        let after = reading.read(path, &format!("# more\n\n---\n{DNS}---\n{WEB}spec: {{}}\n"), &before);
        assert!(Arc::ptr_eq(service(&before.objects[1]), service(&after.objects[0])));
        assert!(!Arc::ptr_eq(service(&before.objects[0]), service(&after.objects[1])));
        let lines: Vec<u32> = after.objects.iter().map(|placed| placed.location(path).line).collect();
        assert_eq!(lines, [4, 8]);
        let anew =
            reading.read(path, &format!("# more\n\n---\n{DNS}---\n{WEB}spec: {{}}\n"), &Held::default());
        assert_eq!(anew, after, "as if nothing had been known");
    }

    #[test]
    fn what_is_wrong_with_an_unchanged_document_is_told_again() {
        let (reading, path) = (Reading::new(|object| object), Path::new("a.yaml"));
        let text = format!("{WEB}spec: {{colour: red}}\n");
        let before = reading.read(path, &text, &Held::default());
        assert!(before.is_good() && before.refused.len() == 1, "a warning: {before:?}");
        let after = reading.read(path, &format!("\n{text}"), &before);
        assert_eq!(after.refused.len(), 1);
        assert_eq!(after.refused[0].location.as_ref().map(|place| place.line), Some(5));
    }
}
