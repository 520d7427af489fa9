// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Names as the API server would accept them. They become file names under the state folder, so nothing else may pass.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};

/// What is wrong with name or namespace, with the field.
pub(super) fn fault(metadata: &ObjectMeta, object: ObjectRef) -> Option<(&'static str, Refusal)> {
    let refuse = |field: &'static str, message: String| {
        let remedy =
            "Use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit.";
        Some((field, Refusal::error(Reason::InvalidValue, object.clone(), message).remedy(remedy)))
    };
    match metadata.name.as_deref() {
        None | Some("") => refuse("metadata.name", "the object has no name".to_owned()),
        Some(name) if !is_subdomain(name) => {
            refuse("metadata.name", format!("\"{}\" cannot be a name", name.escape_debug()))
        }
        Some(_) => match metadata.namespace.as_deref() {
            Some(namespace) if !is_label(namespace) => refuse(
                "metadata.namespace",
                format!("\"{}\" cannot be a namespace", namespace.escape_debug()),
            ),
            _ => None,
        },
    }
}

/// RFC 1123's label, in lower case: up to 63 letters, digits and inner dashes.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_word(text)
}

/// Words with dots between, up to 253 characters in all.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_safe_as_file_names_pass() {
        for name in ["web", "192.0.2.10", "2001-db8-0-0-0-0-0-1", "a.b-c"] {
            assert!(is_subdomain(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "A", "a_b", "-a", "a-", "a..b", "a\0b", &"a".repeat(254)] {
            assert!(!is_subdomain(name), "{name}");
        }
        assert!(!is_label("a.b"));
        assert!(!is_label(&"a".repeat(64)));
    }
}
