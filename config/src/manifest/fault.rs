// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the YAML parser says, in the words of a [`Refusal`].

use serde_saphyr::{DefaultMessageFormatter, DeserializeError, MessageFormatter};

use super::field::{Step, path};
use super::spelling;
use super::tree::{Node, Place, Value, place};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal, Severity};

/// A fault and its place in the chunk of text that was parsed.
pub(super) struct Fault {
    pub(super) refusal: Refusal,
    pub(super) place: Place,
}

/// The text is not YAML.
pub(super) fn syntax(error: &DeserializeError) -> Fault {
    let message = message(error);
    let remedy = if message.contains("tabs") {
        "Indent with spaces."
    } else if message.contains("quote") {
        "Close the quote."
    } else if message.contains("duplicate mapping key") {
        "Keep one of the two."
    } else {
        "Correct the YAML at this place or shortly before it."
    };
    let refusal = Refusal {
        object: None,
        reason: Reason::MalformedDocument,
        severity: Severity::Error,
        field: None,
        message,
        remedy: Some(remedy.to_owned()),
        location: None,
    };
    Fault { refusal, place: error.location().map_or((0, 0), place) }
}

/// The document is YAML but not an object of its kind. `tree` is the same document, with its places unshifted.
pub(super) fn typed(error: &DeserializeError, tree: &Node, object: ObjectRef) -> Fault {
    let error = error.without_snippet();
    let at = error.location().map_or((0, 0), place);
    let refusal = match error {
        DeserializeError::SerdeUnknownField { field, expected, .. } => {
            let whole = tree.innermost_at(at).map_or_else(|| field.clone(), |(steps, _)| path(&steps));
            unknown_field(object, field, expected, Severity::Error).field(whole)
        }
        DeserializeError::SerdeMissingField { field, .. } => {
            let mut steps = tree.outermost_map_at(at).unwrap_or_default();
            steps.push(Step::Key(field));
            let whole = path(&steps);
            Refusal::error(Reason::InvalidValue, object, format!("the field \"{field}\" is missing"))
                .remedy(format!("Add {whole}."))
                .field(whole)
        }
        error => {
            let message = message(error);
            let found = tree.innermost_at(at);
            let said = match found.as_ref().map(|(_, node)| &node.value) {
                Some(Value::Scalar(scalar)) if !message.contains(&scalar.to_string()) => {
                    format!("{scalar} does not fit here: {message}")
                }
                _ => message,
            };
            let refusal = Refusal::error(Reason::InvalidValue, object, said)
                .remedy("Write a value of the type that the field has.");
            match found {
                Some((steps, _)) => refusal.field(path(&steps)),
                None => refusal,
            }
        }
    };
    Fault { refusal, place: at }
}

/// A field that the kind does not have; with the name that was probably meant.
pub(super) fn unknown_field(
    object: ObjectRef,
    field: &str,
    expected: &[&str],
    severity: Severity,
) -> Refusal {
    let kind = object.kind.clone();
    let remedy = match spelling::nearest(field, expected) {
        Some(meant) => format!("Write {meant}."),
        None if expected.is_empty() => "Correct its name or remove it; it has no effect.".to_owned(),
        None => format!("Remove it; the fields here are {}.", expected.join(", ")),
    };
    let message = format!("{kind} has no field \"{field}\" here");
    Refusal { severity, ..Refusal::error(Reason::UnknownField, object, message) }.remedy(remedy)
}

/// The parser's sentence without its "at line …": the place is told by the location.
fn message(error: &DeserializeError) -> String {
    DefaultMessageFormatter
        .format_message(error.without_snippet())
        .escape_debug()
        .to_string()
        .replace("\\\"", "\"")
}
