// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The CustomResourceDefinitions of every kind of ours.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::CustomResourceExt;

use super::{AddressPool, L2Advertisement, Speaker, VirtualIP};

/// The CustomResourceDefinitions, in the order of their names.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![AddressPool::crd(), L2Advertisement::crd(), Speaker::crd(), VirtualIP::crd()]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_definition_is_as_reviewed() {
        for crd in crds() {
            let name = crd.spec.names.plural.clone();
            insta::assert_snapshot!(name, serde_saphyr::to_string(&crd).unwrap());
        }
    }

    /// The API server multiplies the cost of a CEL rule by the largest size that the schema lets a value have.
    #[test]
    fn every_list_and_string_of_a_spec_is_bounded() {
        for crd in crds() {
            let schema = serde_json::to_value(&crd).unwrap();
            let schema = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            let mut unbounded = Vec::new();
            find_unbounded(schema, &mut vec!["spec".to_owned()], &mut unbounded);
            assert_eq!(unbounded, [""; 0], "{}", crd.spec.names.kind);
        }
    }

    fn find_unbounded(schema: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
        let bound = match schema["type"].as_str() {
            Some("array") => "maxItems",
            // The API server knows how long a time can be.
            Some("string") if schema["format"] == "date-time" => "format",
            Some("string") if schema.get("enum").is_none() => "maxLength",
            _ => "type",
        };
        if schema.get(bound).is_none() {
            found.push(path.join("."));
        }
        // A label selector's own schema is Kubernetes'; no rule of ours looks into one.
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if name != "matchExpressions" && name != "matchLabels" {
                path.push(name.clone());
                find_unbounded(inner, path, found);
                path.pop();
            }
        }
        if let Some(items) = schema.get("items") {
            path.push("[]".to_owned());
            find_unbounded(items, path, found);
            path.pop();
        }
    }
}
