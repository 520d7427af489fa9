// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Fields that a document has and its kind has not: what was read, written out again, does not contain them.

use serde_json::Value as Json;

use super::fault;
use super::field::{Step, path};
use super::tree::{Node, Place, Value};
use crate::name::ObjectRef;
use crate::reason::{Refusal, Severity};

/// The fields of `tree` that are not in `understood`. Fields without content are left out: reading drops them.
pub(super) fn fields(
    tree: &Node,
    understood: &Json,
    object: &ObjectRef,
    severity: Severity,
) -> Vec<(Refusal, Place)> {
    let mut search = Search { object, severity, found: Vec::new() };
    search.descend(tree, understood, &mut Vec::new());
    search.found
}

struct Search<'a> {
    object: &'a ObjectRef,
    severity: Severity,
    found: Vec<(Refusal, Place)>,
}

impl Search<'_> {
    fn descend<'t>(&mut self, node: &'t Node, understood: &Json, way: &mut Vec<Step<'t>>) {
        match (&node.value, understood) {
            (Value::Map(entries), Json::Object(fields)) => {
                for entry in entries.iter().filter(|entry| !entry.node.is_empty()) {
                    way.push(Step::Key(&entry.key));
                    match fields.get(&entry.key) {
                        Some(inner) => self.descend(&entry.node, inner, way),
                        None => {
                            // An object of Kubernetes' own does not show the fields that it could have.
                            let known = fields.keys().map(String::as_str);
                            let known: Vec<&str> =
                                known.filter(|_| self.severity == Severity::Error).collect();
                            let refusal =
                                fault::unknown_field(self.object.clone(), &entry.key, &known, self.severity);
                            self.found.push((refusal.field(path(way)), entry.key_place));
                        }
                    }
                    way.pop();
                }
            }
            (Value::List(items), Json::Array(understood)) => {
                for (index, (item, inner)) in items.iter().zip(understood).enumerate() {
                    way.push(Step::Index(index));
                    self.descend(item, inner, way);
                    way.pop();
                }
            }
            _ => {}
        }
    }
}
