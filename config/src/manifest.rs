// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Manifests: the text of a file becomes objects, each with the place where it stands.
//!
//! A document that cannot be read is told with file, line, column and what to do, and does not harm the others.

mod fault;
mod field;
mod kind;
mod name;
mod spelling;
mod split;
mod tree;
mod unknown;

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;

use self::kind::{Input, Kind, ReadError};
pub use self::split::{Chunk, documents};
use self::tree::{Entry, Node, Place, Value};
use crate::api;
use crate::defaults;
use crate::name::ObjectRef;
use crate::objects::Object;
use crate::reason::{Location, Reason, Refusal, Severity};

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The objects, in the order of the file, with the API server's defaults applied.
    pub documents: Vec<Document>,
    /// What cannot be used, or is doubtful, each with its place.
    pub refused: Vec<Refusal>,
    /// Documents of kinds that FerroLB has no use for.
    pub foreign: Vec<Foreign>,
}

/// One object and the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object.
    pub object: Object,
    file: PathBuf,
    tree: Node,
}

/// A document of a kind that FerroLB has no use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its apiVersion and kind, `apps/v1 Deployment`.
    pub kind: String,
    /// Where it stands.
    pub location: Location,
}

impl Document {
    /// Where the object begins.
    pub fn location(&self) -> Location {
        at(&self.file, self.tree.place)
    }

    /// Where the field with that path stands, as near as the file has it.
    pub fn locate(&self, field: &str) -> Location {
        at(&self.file, self.tree.locate(&field::steps(field)))
    }
}

fn at(file: &Path, (line, column): Place) -> Location {
    Location { file: file.to_owned(), line, column }
}

impl Manifest {
    /// Reads `text`, which stands in `file`. Total: whatever the text holds, there is a manifest.
    pub fn parse(file: &Path, text: &str) -> Self {
        let mut reader = Reader { file, manifest: Self::default() };
        for chunk in documents(text) {
            reader.chunk(chunk);
        }
        reader.manifest
    }

    /// Reads one document of `file` alone; its places count from the top of the file. What it yields depends on its text
    /// alone, but for its lines.
    pub fn parse_one(file: &Path, chunk: Chunk<'_>) -> Self {
        let mut reader = Reader { file, manifest: Self::default() };
        reader.chunk(chunk);
        reader.manifest
    }
}

struct Reader<'a> {
    file: &'a Path,
    manifest: Manifest,
}

impl Reader<'_> {
    fn chunk(&mut self, chunk: Chunk<'_>) {
        match serde_saphyr::from_str_with_options::<Spanned<Value>>(chunk.text, kind::options()) {
            Ok(spanned) => self.document(Node::from(spanned), chunk),
            Err(error) => {
                let fault = fault::syntax(&error);
                self.refuse(fault.refusal, (fault.place.0 + chunk.lines_before, fault.place.1));
            }
        }
    }

    fn document(&mut self, mut tree: Node, chunk: Chunk<'_>) {
        let whole = Input::Text(chunk.text);
        if let Some(items) = take_items(&mut tree) {
            let header = Header::of(&tree, None);
            for mut item in items {
                item.shift(chunk.lines_before);
                let input = Input::Item(item.to_json());
                self.object(item, &input, 0, header.item());
            }
        } else {
            self.object(tree, &whole, chunk.lines_before, None);
        }
    }

    /// Reads one object; `tree` is moved down by `lines` when the parser's places are no longer needed.
    fn object(&mut self, mut tree: Node, input: &Input<'_>, lines: u32, of_list: Option<Header>) {
        let header = Header::of(&tree, of_list);
        let start = (tree.place.0 + lines, tree.place.1);
        let Some(kind) = Kind::of(&header.api_version, &header.kind) else {
            return self.no_kind_of_ours(&header, start);
        };
        let object = header.reference(&tree, kind);
        let read = match input {
            // The parser is slow, and has been over the text already; its own messages are worth a second time.
            Input::Text(text) if is_plain(text) => {
                kind.read(&Input::Item(tree.to_json())).or_else(|_| kind.read(input))
            }
            Input::Text(_) | Input::Item(_) => kind.read(input),
        };
        match read {
            Ok((mut read, understood)) => {
                tree.shift(lines);
                if let Some((field, refusal)) = name::fault(read.metadata(), object.clone()) {
                    let place = tree.locate(&field::steps(field));
                    return self.refuse(refusal.field(field), place);
                }
                let severity = if kind.is_own() { Severity::Error } else { Severity::Warning };
                let unknown = unknown::fields(&tree, &understood, &object, severity);
                let refused = kind.is_own() && !unknown.is_empty();
                for (refusal, place) in unknown {
                    self.refuse(refusal, place);
                }
                if !refused {
                    defaults::apply(&mut read);
                    let document = Document { object: read, file: self.file.to_owned(), tree };
                    self.manifest.documents.push(document);
                }
            }
            Err(ReadError::Yaml(error)) => {
                let fault = fault::typed(&error, &tree, object);
                self.refuse(fault.refusal, (fault.place.0 + lines, fault.place.1));
            }
            Err(ReadError::Json(error)) => {
                let refusal = Refusal::error(Reason::InvalidValue, object, error.to_string())
                    .remedy("Write the item as a document of its own to learn its line.");
                self.refuse(refusal, start);
            }
        }
    }

    fn no_kind_of_ours(&mut self, header: &Header, start: Place) {
        let group = header.api_version.split_once('/').map(|(group, _)| group);
        if header.kind.is_empty() || header.api_version.is_empty() {
            let message = "the document is no Kubernetes object: it has no apiVersion or no kind".to_owned();
            let remedy = "Add apiVersion and kind, or move the file out of the folder.".to_owned();
            self.refuse(unnamed(Reason::MalformedDocument, message, remedy), start);
        } else if group == Some(api::GROUP) {
            let message = format!("there is no kind \"{}\" in {}", header.kind, header.api_version);
            let meant = spelling::nearest(&header.kind, &kind::OWN);
            let remedy = match meant {
                Some(meant) => format!("Write apiVersion {}/{} and kind {meant}.", api::GROUP, api::VERSION),
                None => format!("The kinds of {}/{} are {}.", api::GROUP, api::VERSION, kind::OWN.join(", ")),
            };
            self.refuse(unnamed(Reason::InvalidValue, message, remedy).field("kind"), start);
        } else {
            let kind = format!("{} {}", header.api_version, header.kind);
            self.manifest.foreign.push(Foreign { kind, location: at(self.file, start) });
        }
    }

    fn refuse(&mut self, refusal: Refusal, place: Place) {
        self.manifest.refused.push(Refusal { location: Some(at(self.file, place)), ..refusal });
    }
}

/// Whether nothing in a document has a type of its own or stands for something elsewhere (YAML 1.2.2, 6.8.2 and 7.1).
fn is_plain(text: &str) -> bool {
    !text.contains(['!', '&', '*'])
}

fn unnamed(reason: Reason, message: String, remedy: String) -> Refusal {
    let severity = Severity::Error;
    Refusal { object: None, reason, severity, field: None, message, remedy: Some(remedy), location: None }
}

/// Takes the items out of a List: `kind: List`, or the list of one kind that the API server sends (`ServiceList`).
fn take_items(tree: &mut Node) -> Option<Vec<Node>> {
    let is_list = tree.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    let Value::Map(entries) = &mut tree.value else { return None };
    let items: &mut Entry = entries.iter_mut().find(|entry| is_list && entry.key == "items")?;
    match &mut items.node.value {
        Value::List(items) => Some(std::mem::take(items)),
        // `items:` with nothing after it.
        _ => Some(Vec::new()),
    }
}

/// apiVersion and kind of a document.
#[derive(Clone)]
struct Header {
    api_version: String,
    kind: String,
}

impl Header {
    /// As the document says, or else as the list that it stands in.
    fn of(tree: &Node, list: Option<Self>) -> Self {
        let text = |key: &str| tree.get(key).and_then(Node::text).map(str::to_owned);
        let (api_version, kind) = list.map(|list| (list.api_version, list.kind)).unzip();
        Self {
            api_version: text("apiVersion").or(api_version).unwrap_or_default(),
            kind: text("kind").or(kind).unwrap_or_default(),
        }
    }

    /// What an item of this list is when it does not say so itself.
    fn item(&self) -> Option<Self> {
        let kind = self.kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(Self { api_version: self.api_version.clone(), kind: kind.to_owned() })
    }

    /// Names the object for messages, as far as the document can be read.
    fn reference(&self, tree: &Node, kind: Kind) -> ObjectRef {
        let metadata = |key: &str| tree.get("metadata").and_then(|metadata| metadata.get(key)?.text());
        let namespaced =
            matches!(kind, Kind::Service | Kind::EndpointSlice | Kind::FloatingIP | Kind::Secret);
        let namespace = metadata("namespace").unwrap_or(crate::objects::DEFAULT_NAMESPACE);
        ObjectRef {
            kind: self.kind.clone(),
            namespace: namespaced.then(|| namespace.to_owned()),
            name: metadata("name").unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
