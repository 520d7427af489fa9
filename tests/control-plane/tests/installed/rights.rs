// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What RBAC lets FerroLB's programs do: what they need, and no more.

use ferrolb_control_plane::Kubectl;

use crate::install::{controller, speaker};

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
            ("patch", "speakers.ferrolb.io", "", "default"),
            ("delete", "speakers.ferrolb.io", "", "default"),
            ("use", "addresspools.ferrolb.io", "", "default"),
            ("get", "leases.coordination.k8s.io", "", "ferrolb-system"),
        ],
        false,
    );
}
