// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The CustomResourceDefinitions of every kind of ours.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::core::CustomResourceExt;

use super::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP,
};

/// The CustomResourceDefinitions, in the order of their names.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        AddressPool::crd(),
        BFDProfile::crd(),
        BGPAdvertisement::crd(),
        BGPPeer::crd(),
        Community::crd(),
        FloatingIP::crd(),
        L2Advertisement::crd(),
        Speaker::crd(),
        VirtualIP::crd(),
    ];
    let schemas =
        crds.iter_mut().flat_map(|crd| &mut crd.spec.versions).flat_map(|version| &mut version.schema);
    for schema in schemas.flat_map(|schema| &mut schema.open_api_v3_schema) {
        for_each_part(schema, &|part| {
            // The API server warns of formats that it does not know, of `uint16` and its like; the bounds stay.
            part.format.take_if(|format| format.starts_with("uint"));
            // Whoever may write an object must not thereby run programs on nodes.
            if let Some(properties) = &mut part.properties {
                properties.remove("exec");
            }
        });
    }
    crds
}

/// Changes a schema and every schema in it.
fn for_each_part(schema: &mut JSONSchemaProps, change: &impl Fn(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        for_each_part(property, change);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        for_each_part(items, change);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        for_each_part(values, change);
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

    #[test]
    fn no_schema_of_a_cluster_lets_anybody_run_a_command() {
        for crd in crds() {
            let text = serde_json::to_string(&crd).unwrap();
            assert!(!text.contains("exec\"") && !text.contains("\"command\""), "{}", crd.spec.names.kind);
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
