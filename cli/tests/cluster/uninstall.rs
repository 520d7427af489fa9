// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb uninstall` over a real API server: by who may, and by who may not.

use std::path::Path;
use std::process::Command;

use ferrolb_control_plane::{Account, ControlPlane, Options, install};

const HELD: &str = "
apiVersion: ferrolb.io/v1beta1
kind: VirtualIP
metadata: {name: 198.51.100.100, finalizers: [ferrolb.io/in-use, example.com/theirs]}
spec: {address: 198.51.100.100, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}
";

fn uninstall(kubeconfig: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    let output =
        command.arg("uninstall").env("KUBECONFIG", kubeconfig).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn only_our_finalizer_is_taken_off_and_who_may_not_is_told_so() {
    let reader = Account::user("reader", &[]);
    let plane =
        ControlPlane::start(Options { accounts: vec![reader.clone()], ..Options::default() }).unwrap();
    let admin = plane.kubeconfig(&Account::admin()).unwrap();
    let (code, answer, complaint) = uninstall(&admin);
    assert_eq!((code, answer.as_str()), (Some(1), ""), "{complaint}");
    assert!(complaint.contains("their definition is not installed"), "{complaint}");

    install(plane.kubectl()).unwrap();
    plane.kubectl().apply(HELD).unwrap();
    let finalizers = || {
        let field = "jsonpath={.metadata.finalizers}";
        plane.kubectl().run(&["get", "virtualip", "198.51.100.100", "-o", field]).unwrap()
    };
    let kinds = "--resource=addresspools,l2advertisements,virtualips,speakers,services,nodes,namespaces";
    for more in [
        &["clusterrole", "reads", "--verb=get,list,watch", kinds][..],
        &["clusterrolebinding", "reads", "--clusterrole=reads", "--user=reader"],
    ] {
        plane.kubectl().run(&[&["create"], more].concat()).unwrap();
    }
    let (code, answer, complaint) = uninstall(&plane.kubeconfig(&reader).unwrap());
    assert_eq!(code, Some(1), "{answer}{complaint}");
    assert!(answer.starts_with("0 of 1 VirtualIPs let go of.\nStill held"), "{answer}");
    assert!(answer.contains("198.51.100.100: ") && answer.contains("cannot update"), "{answer}");
    assert_eq!(finalizers(), r#"["ferrolb.io/in-use","example.com/theirs"]"#);

    let (code, answer, complaint) = uninstall(&admin);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{answer}");
    assert!(answer.starts_with("1 of 1 VirtualIPs let go of.\nNo VirtualIP is held"), "{answer}");
    assert_eq!(finalizers(), r#"["example.com/theirs"]"#);
    assert!(uninstall(&admin).1.starts_with("0 of 1 VirtualIPs let go of.\nNo VirtualIP is held"));
}
