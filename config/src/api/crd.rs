// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The CustomResourceDefinitions of every kind of ours.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::core::CustomResourceExt;

use super::{AddressPool, L2Advertisement, Speaker, VirtualIP};

/// The CustomResourceDefinitions, in the order of their names.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![AddressPool::crd(), L2Advertisement::crd(), Speaker::crd(), VirtualIP::crd()];
    let schemas =
        crds.iter_mut().flat_map(|crd| &mut crd.spec.versions).flat_map(|version| &mut version.schema);
    schemas.flat_map(|schema| &mut schema.open_api_v3_schema).for_each(forget_formats_of_rust);
    crds
}

/// The API server warns of formats that it does not know, of `uint16` and its like; the bounds of such a number stay.
fn forget_formats_of_rust(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(forget_formats_of_rust);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        forget_formats_of_rust(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forget_formats_of_rust(values);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

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
