// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users are told of an address that clients do not reach.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use ferrolb_control_plane::{Kubectl, ProxyMode};
use ferrolb_lab::rights::within;
use serde_json::Value;

use crate::patience::{SLOWLY, eventually};
use crate::start::{alone, create, launched};

/// Type and reason of the events about `kind` `name`.
fn events(kubectl: &Kubectl, kind: &str, name: &str) -> Result<BTreeSet<(String, String)>> {
    let about = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let list: Value = kubectl.get(&["events", "--all-namespaces", "--field-selector", &about])?;
    let items = list.pointer("/items").and_then(Value::as_array).context("a list")?;
    let text = |event: &Value, field| event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(items.iter().map(|event| (text(event, "type"), text(event, "reason"))).collect())
}

#[test]
fn a_filter_before_the_nodes_is_an_event_of_the_service_and_of_the_address_and_so_is_its_end() {
    let _turn = alone();
    within(|| {
        let installation = launched(3, ProxyMode::NFTables)?;
        let (kubectl, lab) = (installation.kubectl(), installation.lab());
        // Before the first claim: of an address that answered, the next check is up to a minute away.
        lab.nodes.iter().try_for_each(|node| lab.inspect_arp(node))?;
        create(&installation, &["services.yaml", "endpoints.yaml"])?;
        let address = eventually("echo has an address", SLOWLY, || installation.address_of("echo", true))?;
        let told = |tone: &str, reason: &str| {
            for (kind, name) in [("VirtualIP", address.to_string()), ("Service", "echo".to_owned())] {
                let wanted = (tone.to_owned(), reason.to_owned());
                let told = eventually(&format!("{kind} {name}: {tone} {reason}"), SLOWLY, || {
                    let seen = events(kubectl, kind, &name)?;
                    ensure!(seen.contains(&wanted), "{seen:?}");
                    Ok(())
                });
                told.map_err(|error| error.context(installation.logs()))?;
            }
            Ok::<_, anyhow::Error>(())
        };
        told("Warning", "NoResponder")?;

        lab.nodes.iter().try_for_each(|node| lab.fill_hole(node))?;
        told("Normal", "Reachable")?;
        Ok(())
    });
}
