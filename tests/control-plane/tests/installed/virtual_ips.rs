// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Only the controller writes what a VirtualIP records.

use crate::install::{admin, controller, soon, speaker};

fn virtual_ip(address: &str) -> String {
    format!(
        "{{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {{name: {address}, finalizers: [ferrolb.io/in-use]}}, \
         spec: {{address: {address}, pool: p, consumers: [{{kind: Service, namespace: default, name: web}}]}}}}"
    )
}

#[test]
fn nobody_but_the_controller_changes_a_record_not_even_an_administrator() {
    controller().create(&virtual_ip("192.0.2.210")).unwrap();
    let spec = ["patch", "virtualip", "192.0.2.210", "--type=merge", "-p", r#"{"spec":{"pool":"mine"}}"#];
    let mut rehearsal = spec.to_vec();
    rehearsal.push("--dry-run=server");
    let said = soon(|| admin().refused(&rehearsal, ""));
    assert!(said.contains("written by FerroLB's controller only"), "{said}");
    let changed = virtual_ip("192.0.2.210").replace("pool: p", "pool: mine");
    controller().feed(&["replace", "-f", "-"], &changed).unwrap();

    // Words beside the record are anybody's who may write the object, and so is clearing it away.
    admin().run(&["label", "virtualip", "192.0.2.210", "note=mine"]).unwrap();
    admin()
        .run(&[
            "patch",
            "virtualip",
            "192.0.2.210",
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .unwrap();
    admin().run(&["delete", "virtualip", "192.0.2.210", "--timeout=20s"]).unwrap();
}

#[test]
fn a_backup_is_restored_by_those_who_may() {
    admin().create(&virtual_ip("192.0.2.211")).unwrap();
    let said = speaker().refused(&["create", "-f", "-"], &virtual_ip("192.0.2.212")).unwrap();
    assert!(said.contains("cannot create resource \"virtualips\""), "{said}");
}

#[test]
fn a_speaker_reports_in_the_status_and_nowhere_else() {
    controller().create(&virtual_ip("192.0.2.213")).unwrap();
    let entry = "{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 192.0.2.213}, status: {layer2: \
        [{segment: 192.0.2.0/24, node: n1, term: 1, since: '2026-01-01T00:00:00Z', cause: test, interface: eth0}]}}";
    let apply =
        ["apply", "--server-side", "--subresource=status", "--field-manager=ferrolb-speaker/192.0.2.0/24"];
    speaker().feed(&[&apply[..], &["-f", "-"]].concat(), entry).unwrap();
    let said = speaker()
        .refused(&["patch", "virtualip", "192.0.2.213", "--type=merge", "-p", r#"{"spec":{"pool":"x"}}"#], "")
        .unwrap();
    assert!(said.contains("cannot patch resource \"virtualips\""), "{said}");
}
