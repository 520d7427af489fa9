// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reading the JSON that routers answer with. What is missing reads as null: a test that expects it says so.

use serde_json::Value;

/// The value at a path (RFC 6901).
pub(super) fn at<'a>(answer: &'a Value, path: &str) -> &'a Value {
    answer.pointer(path).unwrap_or(&Value::Null)
}

/// The values of the list there.
pub(super) fn list<'a>(answer: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    at(answer, path).as_array().into_iter().flatten()
}

/// The names and values of the object there.
pub(super) fn fields<'a>(
    answer: &'a Value,
    path: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    at(answer, path).as_object().into_iter().flatten()
}

/// The text there, or none.
pub(super) fn text(answer: &Value, path: &str) -> String {
    at(answer, path).as_str().unwrap_or_default().to_owned()
}

/// The number that this is.
pub(super) fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| number.try_into().ok())
}
