// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who may lead traffic for an address to a Service (CVE-2020-8554).

use ferrolb_control_plane::{Account, ControlPlane, Kubectl, Options, install};

use crate::install::soon;

/// Somebody who may do everything in their namespace.
fn developer() -> Account {
    Account::user("dora", &["developers"])
}

fn service(name: &str, addresses: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: default}}, \
         spec: {{ports: [{{port: 80}}], externalIPs: [{addresses}]}}}}"
    )
}

fn patch(kubectl: &Kubectl, name: &str, spec: &str) -> anyhow::Result<String> {
    kubectl.run(&["patch", "service", name, "--type=merge", "-p", &format!("{{\"spec\":{spec}}}")])
}

/// What must hold whatever pools there are.
fn only_those_who_may_use_pools_add_an_entry(admin: &Kubectl, developer: &Kubectl) {
    developer.create(&service("plain", "")).unwrap();
    let said = developer.refused(&["create", "-f", "-"], &service("thief", "192.0.2.1")).unwrap();
    assert!(said.contains("spec.externalIPs: adding 192.0.2.1 needs the verb use on addresspools"), "{said}");
    let said = patch(developer, "plain", r#"{"externalIPs":["192.0.2.1"]}"#).unwrap_err().to_string();
    assert!(said.contains("adding 192.0.2.1"), "{said}");

    // Entries that are there stay, and may go.
    admin.create(&service("given", "192.0.2.1, 192.0.2.2")).unwrap();
    patch(developer, "given", r#"{"sessionAffinity":"ClientIP"}"#).unwrap();
    let said =
        patch(developer, "given", r#"{"externalIPs":["192.0.2.1","192.0.2.3"]}"#).unwrap_err().to_string();
    assert!(said.contains("adding 192.0.2.3") && !said.contains("adding 192.0.2.1"), "{said}");
    patch(developer, "given", r#"{"externalIPs":["192.0.2.2"]}"#).unwrap();
    patch(developer, "given", r#"{"externalIPs":null}"#).unwrap();
    let said = patch(developer, "given", r#"{"externalIPs":["192.0.2.2"]}"#).unwrap_err().to_string();
    assert!(said.contains("adding 192.0.2.2"), "{said}");
    for name in ["plain", "given"] {
        admin.run(&["delete", "service", name]).unwrap();
    }
}

#[test]
fn external_ips_are_guarded_with_and_without_any_pool() {
    let options = Options { accounts: vec![developer()], ..Options::default() };
    let plane = ControlPlane::start(options).unwrap();
    let (admin, developer) = (plane.kubectl(), plane.kubectl_as(&developer()).unwrap());
    install(admin).unwrap();
    admin.run(&["create", "role", "dev", "--verb=*", "--resource=services"]).unwrap();
    admin.run(&["create", "rolebinding", "dev", "--role=dev", "--group=developers"]).unwrap();
    let rehearse = ["create", "--dry-run=server", "-f", "-"];
    soon(|| developer.feed(&rehearse, &service("plain", "")));
    soon(|| developer.refused(&rehearse, &service("thief", "192.0.2.1")));

    only_those_who_may_use_pools_add_an_entry(admin, &developer);
    admin
        .create("{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: p}, spec: {addresses: [192.0.2.0/24]}}")
        .unwrap();
    only_those_who_may_use_pools_add_an_entry(admin, &developer);
    admin.run(&["delete", "addresspool", "p"]).unwrap();
    only_those_who_may_use_pools_add_an_entry(admin, &developer);

    // The verb is what decides.
    let users = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: users}, \
         rules: [{apiGroups: [ferrolb.io], resources: [addresspools], verbs: [use]}]}";
    admin.create(users).unwrap();
    admin
        .run(&["create", "clusterrolebinding", "users", "--clusterrole=users", "--group=developers"])
        .unwrap();
    soon(|| developer.create(&service("allowed", "192.0.2.9")));
}
