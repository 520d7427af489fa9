// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The bodies of writes: pure.

use ferrolb_config::api::{GROUP, Layer2Owner, Speaker, VERSION, VirtualIP, VirtualIPStatus};
use k8s_openapi::api::core::v1::ServiceStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;
use serde_json::{Value, json};

use super::WriteError;

/// The JSON form of `object`.
pub(super) fn of(object: &impl Serialize) -> Result<Value, WriteError> {
    serde_json::to_value(object).map_err(|error| WriteError::Invalid(format!("it has no JSON form: {error}")))
}

/// DeleteOptions: only that very object, and only in that form.
pub(super) fn preconditions(uid: Option<&str>, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid, "resourceVersion": version}})
}

/// A merge patch of what we write of a Service's status; anything else in it is not touched.
pub(super) fn service_status(version: &str, status: Option<&ServiceStatus>) -> Result<Value, WriteError> {
    let conditions = status.and_then(|status| status.conditions.as_ref()).map(of).transpose()?;
    let ingress = status.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let ingress = ingress.map(of).transpose()?;
    // null removes the field (RFC 7396).
    let status = json!({"conditions": conditions, "loadBalancer": {"ingress": ingress}});
    Ok(merge_with_version(version, json!({"status": status})))
}

/// A merge patch of `spec.externalIPs`.
pub(super) fn external_ips(version: &str, external_ips: &[String]) -> Value {
    let list = if external_ips.is_empty() { Value::Null } else { json!(external_ips) };
    merge_with_version(version, json!({"spec": {"externalIPs": list}}))
}

/// A merge patch of one annotation; `None` removes it.
pub(super) fn annotation(key: &str, value: Option<&str>) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

/// A merge patch that is refused unless the object has that resourceVersion.
pub(super) fn merge_with_version(version: &str, mut patch: Value) -> Value {
    if let Value::Object(fields) = &mut patch {
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.insert("resourceVersion".to_owned(), json!(version));
        }
    }
    patch
}

/// A JSON patch (RFC 6902) that puts `status` in the place of the old one, whatever fields that had; refused unless the
/// object has that resourceVersion, if one is given.
pub(super) fn whole_status(version: Option<&str>, status: Value) -> Value {
    let version =
        version.map(|version| json!({"op": "add", "path": "/metadata/resourceVersion", "value": version}));
    let status = if status.is_null() { json!({}) } else { status };
    let status = json!({"op": "add", "path": "/status", "value": status});
    Value::Array(version.into_iter().chain([status]).collect())
}

/// Server-side apply of the owner on one segment, and of the address's readiness with it. Without one, what the segment's
/// manager entered before is removed, unless `virtual_ip` is not the newest form any more.
///
/// Every such body holds a whole condition. So the manager who wrote last has all of its fields, and nothing that another
/// one leaves out tears it.
pub(super) fn layer2_owner(
    virtual_ip: &VirtualIP,
    segment: &str,
    owner: Option<&Layer2Owner>,
    now: Time,
) -> Result<Value, WriteError> {
    let VirtualIP { metadata, status, .. } = virtual_ip;
    let others = status.iter().flat_map(|status| &status.layer2).filter(|shown| shown.segment != segment);
    let layer2 = others.chain(owner).cloned().collect();
    let mut status = VirtualIPStatus { layer2, ..VirtualIPStatus::default() };
    status.judge(metadata.generation, now);
    status.layer2 = owner.cloned().into_iter().collect();
    let version = owner.is_none().then_some(&metadata.resource_version);
    Ok(without_nulls(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "VirtualIP",
        "metadata": {"name": metadata.name, "resourceVersion": version},
        "status": of(&status)?,
    })))
}

/// Server-side apply of one condition of a VirtualIP.
pub(super) fn testimony(virtual_ip: &str, seen: &Condition) -> Result<Value, WriteError> {
    Ok(without_nulls(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "VirtualIP",
        "metadata": {"name": virtual_ip},
        "status": {"conditions": [of(seen)?]},
    })))
}

/// Server-side apply of a Speaker's status.
pub(super) fn speaker_status(speaker: &Speaker) -> Result<Value, WriteError> {
    Ok(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Speaker",
        "metadata": {"name": speaker.metadata.name},
        "status": without_nulls(of(&speaker.status)?),
    }))
}

/// In a patch that is applied a null is a value, and few fields may have it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus};

    use super::*;

    #[test]
    fn a_service_status_names_both_of_our_fields_so_that_what_is_not_given_goes() {
        let ingress =
            LoadBalancerIngress { ip: Some("192.0.2.1".to_owned()), ..LoadBalancerIngress::default() };
        let status = ServiceStatus {
            load_balancer: Some(LoadBalancerStatus { ingress: Some(vec![ingress]) }),
            conditions: None,
        };
        let patch = service_status("7", Some(&status)).unwrap();
        let expected = json!({"metadata": {"resourceVersion": "7"}, "status": {"conditions": null, "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
        assert_eq!(patch, expected);
        let patch = service_status("7", None).unwrap();
        assert_eq!(patch["status"], json!({"conditions": null, "loadBalancer": {"ingress": null}}));
    }

    #[test]
    fn an_empty_list_of_external_ips_removes_the_field() {
        assert_eq!(external_ips("7", &[])["spec"], json!({"externalIPs": null}));
        assert_eq!(external_ips("7", &["192.0.2.1".to_owned()])["metadata"], json!({"resourceVersion": "7"}));
    }

    #[test]
    fn no_null_is_applied() {
        let value = json!({"a": null, "b": [{"c": null, "d": 1}], "e": {}});
        assert_eq!(without_nulls(value), json!({"b": [{"d": 1}], "e": {}}));
    }
}
