// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A document as it stands in the file: every key and value with its place, whatever its kind.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::field::Step;

/// A place in a file: line and column, both 1-based; (0, 0) when unknown.
pub(super) type Place = (u32, u32);

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Null, a boolean, a number or a string.
    Scalar(serde_json::Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The value under `key`, when this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The entries of a mapping; none for other values.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => scalar.as_str(),
            _ => None,
        }
    }

    /// Whether it says nothing: null, an empty list, an empty mapping.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.is_null(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// The same without places.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) => scalar.clone(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect())
            }
        }
    }

    /// Where `steps` lead: the place of the key of the last field (of the element, for a list); when the file does not
    /// have that field, the place of the nearest one around it.
    pub(super) fn locate(&self, steps: &[Step<'_>]) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in steps {
            let next = match (&node.value, step) {
                (Value::Map(entries), Step::Key(key)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| (&entry.node, entry.key_place))
                }
                (Value::List(items), Step::Index(index)) => items.get(*index).map(|item| (item, item.place)),
                _ => None,
            };
            let Some(next) = next else { break };
            (node, place) = next;
        }
        place
    }

    /// The way to the innermost value that stands at `place` or whose key does, and that value.
    pub(super) fn innermost_at(&self, place: Place) -> Option<(Vec<Step<'_>>, &Self)> {
        let inner = match &self.value {
            Value::Scalar(_) => None,
            Value::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| item.innermost_at(place).map(|found| (Step::Index(index), found))),
            Value::Map(entries) => entries.iter().find_map(|entry| {
                let own = || (entry.key_place == place).then(|| (Vec::new(), &entry.node));
                entry.node.innermost_at(place).or_else(own).map(|found| (Step::Key(&entry.key), found))
            }),
        };
        match inner {
            Some((step, (mut steps, node))) => {
                steps.insert(0, step);
                Some((steps, node))
            }
            None => (self.place == place).then(|| (Vec::new(), self)),
        }
    }

    /// The way to the outermost mapping that stands at `place`. A block mapping stands where its first key does.
    pub(super) fn outermost_map_at(&self, place: Place) -> Option<Vec<Step<'_>>> {
        if self.place == place && matches!(self.value, Value::Map(_)) {
            return Some(Vec::new());
        }
        let (step, mut steps) = match &self.value {
            Value::Scalar(_) => None,
            Value::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                item.outermost_map_at(place).map(|steps| (Step::Index(index), steps))
            }),
            Value::Map(entries) => entries.iter().find_map(|entry| {
                entry.node.outermost_map_at(place).map(|steps| (Step::Key(&entry.key), steps))
            }),
        }?;
        steps.insert(0, step);
        Some(steps)
    }

    /// Moves every place down by `lines`.
    pub(super) fn shift(&mut self, lines: u32) {
        self.place.0 += lines;
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(lines)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_place.0 += lines;
                entry.node.shift(lines);
            }),
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { place: place(spanned.referenced), value: spanned.value }
    }
}

/// A parser's location as a place.
pub(super) fn place(location: serde_saphyr::Location) -> Place {
    let number = |number: u64| u32::try_from(number).unwrap_or(0);
    (number(location.line()), number(location.column()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Scalar(serde_json::Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let node = access.next_value::<Spanned<Value>>()?.into();
            entries.push(Entry { key_place: place(key.referenced), key: key.value, node });
        }
        Ok(Value::Map(entries))
    }
}
