// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Installing.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrolb_control_plane::{
    Account, Answer, ControlPlane, DEPLOYMENT, Kubectl, install, metallb_definitions, shared,
};
use serde_json::Value;

/// What kubectl said when it installed FerroLB.
static SAID: OnceLock<Answer> = OnceLock::new();

/// The control plane of these tests with FerroLB's objects in it. No program of ours runs.
pub(crate) fn installed() -> &'static ControlPlane {
    let plane = shared().unwrap();
    SAID.get_or_init(|| install(plane.kubectl()).unwrap());
    plane
}

/// kubectl as the administrator.
pub(crate) fn admin() -> &'static Kubectl {
    installed().kubectl()
}

/// kubectl as FerroLB's controller.
pub(crate) fn controller() -> Kubectl {
    installed().kubectl_as(&Account::controller()).unwrap()
}

/// kubectl as a speaker.
pub(crate) fn speaker() -> Kubectl {
    installed().kubectl_as(&Account::speaker()).unwrap()
}

/// What was stored a moment ago (a policy, a right) comes into force a moment later.
pub(crate) fn soon<T>(mut look: impl FnMut() -> Result<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match look() {
            Ok(found) => return found,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_installation_is_taken_without_a_warning() {
    installed();
    assert_eq!(SAID.get().map(|said| said.warnings.as_str()), Some(""));
}

#[test]
fn an_installation_upon_itself_changes_nothing() {
    let plane = installed();
    let versions = || {
        let each = "{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}";
        plane.kubectl().run(&["get", "-k", DEPLOYMENT, "-o", &format!("jsonpath={each}")]).unwrap()
    };
    let before = versions();
    assert_eq!(install(plane.kubectl()).unwrap().warnings, "");
    assert_eq!(versions(), before);
}

#[test]
fn every_overlay_is_taken_without_a_warning() {
    let overlays = Path::new(DEPLOYMENT).join("../overlays");
    // Where MetalLB's objects are read, there is MetalLB's namespace.
    admin().apply(&metallb_definitions()).unwrap();
    let mut count = 0;
    for overlay in fs::read_dir(overlays).unwrap() {
        let overlay = overlay.unwrap().path();
        let said = admin().feed(&["apply", "--dry-run=server", "-k", overlay.to_str().unwrap()], "").unwrap();
        assert_eq!(said.warnings, "", "{}", overlay.display());
        count += 1;
    }
    assert!(count >= 2, "{count} overlays");
}

#[test]
fn every_definition_is_established_and_what_its_rules_cost_is_within_the_limit() {
    let crds: Value = admin().get(&["crd"]).unwrap();
    let ours: Vec<&Value> =
        crds["items"].as_array().unwrap().iter().filter(|crd| crd["spec"]["group"] == "ferrolb.io").collect();
    assert!(ours.len() >= 4, "{} definitions", ours.len());
    for crd in ours {
        let conditions = crd["status"]["conditions"].as_array().unwrap();
        // NonStructuralSchema, and rules over the limit, show as conditions of other types.
        for condition in conditions {
            let is_good = ["Established", "NamesAccepted"].contains(&condition["type"].as_str().unwrap());
            assert!(is_good && condition["status"] == "True", "{}: {condition}", crd["metadata"]["name"]);
        }
    }
}
