// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What RBAC lets FerroLB's programs do: what they need, and no more.

use std::path::Path;

use ferrolb_control_plane::{DEPLOYMENT, Kubectl, metallb_definitions};

use crate::install::{admin, controller, soon, speaker};

/// Verb, resource, subresource, namespace.
type Right = (&'static str, &'static str, &'static str, &'static str);

fn may(kubectl: &Kubectl, (verb, resource, subresource, namespace): Right) -> bool {
    let subresource = format!("--subresource={subresource}");
    kubectl.run(&["auth", "can-i", verb, resource, &subresource, "-n", namespace, "--quiet"]).is_ok()
}

#[track_caller]
fn check(kubectl: &Kubectl, rights: &[Right], wanted: bool) {
    for right in rights {
        assert_eq!(may(kubectl, *right), wanted, "{right:?}");
    }
}

#[test]
fn the_controller_may_do_what_it_does_and_no_more() {
    check(
        &controller(),
        &[
            ("watch", "services", "", "default"),
            ("patch", "services", "", "default"),
            ("patch", "services", "status", "default"),
            ("watch", "endpointslices.discovery.k8s.io", "", "default"),
            ("create", "virtualips.ferrolb.io", "", "default"),
            ("delete", "virtualips.ferrolb.io", "", "default"),
            ("patch", "virtualips.ferrolb.io", "status", "default"),
            ("use", "addresspools.ferrolb.io", "", "default"),
            ("watch", "floatingips.ferrolb.io", "", "default"),
            ("patch", "floatingips.ferrolb.io", "status", "default"),
            ("patch", "addresspools.ferrolb.io", "status", "default"),
            ("create", "events.events.k8s.io", "", "default"),
            ("update", "leases.coordination.k8s.io/ferrolb-controller", "", "ferrolb-system"),
        ],
        true,
    );
    check(
        &controller(),
        &[
            ("get", "secrets", "", "default"),
            ("get", "secrets", "", "ferrolb-system"),
            ("list", "pods", "", "default"),
            ("create", "services", "", "default"),
            ("update", "services", "", "default"),
            ("delete", "services", "", "default"),
            ("create", "floatingips.ferrolb.io", "", "default"),
            ("update", "floatingips.ferrolb.io", "", "default"),
            ("update", "addresspools.ferrolb.io", "", "default"),
            ("delete", "addresspools.ferrolb.io", "", "default"),
            ("patch", "nodes", "", "default"),
            ("update", "leases.coordination.k8s.io/kube-scheduler", "", "ferrolb-system"),
            ("update", "leases.coordination.k8s.io/ferrolb-controller", "", "kube-system"),
        ],
        false,
    );
}

#[test]
fn a_speaker_may_do_what_it_does_and_no_more() {
    check(
        &speaker(),
        &[
            ("watch", "services", "", "default"),
            ("watch", "virtualips.ferrolb.io", "", "default"),
            ("watch", "floatingips.ferrolb.io", "", "default"),
            ("create", "speakers.ferrolb.io", "", "default"),
            ("patch", "speakers.ferrolb.io", "status", "default"),
            ("patch", "virtualips.ferrolb.io", "status", "default"),
        ],
        true,
    );
    check(
        &speaker(),
        &[
            ("get", "secrets", "", "default"),
            ("patch", "services", "", "default"),
            ("patch", "services", "status", "default"),
            ("patch", "nodes", "", "default"),
            ("create", "virtualips.ferrolb.io", "", "default"),
            ("update", "virtualips.ferrolb.io", "", "default"),
            ("delete", "virtualips.ferrolb.io", "", "default"),
            ("patch", "floatingips.ferrolb.io", "status", "default"),
            ("patch", "speakers.ferrolb.io", "", "default"),
            ("delete", "speakers.ferrolb.io", "", "default"),
            ("use", "addresspools.ferrolb.io", "", "default"),
            ("get", "leases.coordination.k8s.io", "", "ferrolb-system"),
        ],
        false,
    );
}

#[test]
fn metallbs_objects_are_read_by_both_where_the_overlay_is_installed_and_written_by_none() {
    let read = |verb| {
        [
            (verb, "ipaddresspools.metallb.io", "", "metallb-system"),
            (verb, "l2advertisements.metallb.io", "", "metallb-system"),
            (verb, "bgppeers.metallb.io", "", "metallb-system"),
            (verb, "bgpadvertisements.metallb.io", "", "metallb-system"),
            (verb, "bfdprofiles.metallb.io", "", "metallb-system"),
            (verb, "communities.metallb.io", "", "metallb-system"),
        ]
    };
    let overlay = Path::new(DEPLOYMENT).join("../overlays/metallb-objects");
    let rights = overlay.join("rights.yaml");
    admin().apply(&metallb_definitions()).unwrap();
    // kubectl asks for a kind that it has not discovered without its group.
    admin().run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
    for reader in [controller(), speaker()] {
        check(&reader, &["get", "list", "watch"].map(read).concat(), false);
    }
    admin().run(&["apply", "-f", rights.to_str().unwrap()]).unwrap();
    for reader in [controller(), speaker()] {
        soon(|| reader.run(&["auth", "can-i", "watch", "ipaddresspools.metallb.io", "-n", "metallb-system"]));
        check(&reader, &["get", "list", "watch"].map(read).concat(), true);
        let more = ["create", "update", "patch", "delete"].map(read).concat();
        check(&reader, &more, false);
        let elsewhere = [
            ("list", "ipaddresspools.metallb.io", "", "default"),
            ("patch", "ipaddresspools.metallb.io", "status", "metallb-system"),
            ("get", "secrets", "", "default"),
            ("update", "secrets", "", "metallb-system"),
        ];
        check(&reader, &elsewhere, false);
    }
    let password = [("watch", "secrets", "", "metallb-system")];
    check(&speaker(), &password, true);
    check(&controller(), &password, false);
    let manifests = admin().run(&["kustomize", overlay.to_str().unwrap()]).unwrap();
    assert_eq!(
        manifests.matches("--read-metallb-objects").count(),
        2,
        "the controller and the speaker are told"
    );
}
