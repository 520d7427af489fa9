// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Help, version, exit codes, and errors before anything is done.

use std::process::{Command, Stdio};

use super::{ended, ferrolb};

#[test]
fn help_names_every_command_and_each_command_shows_an_example() {
    let help = ferrolb(&["--help"]);
    assert_eq!(help.code, Some(0));
    let commands = [
        "controller",
        "speaker",
        "run",
        "status",
        "bgp",
        "validate",
        "allocate",
        "demo",
        "crds",
        "cleanup",
        "migrate",
        "uninstall",
    ];
    for command in commands {
        assert!(help.answer.contains(&format!("\n  {command} ")), "{command} in {}", help.answer);
        let own = ferrolb(&[command, "--help"]);
        assert_eq!(own.code, Some(0), "{command}");
        assert!(own.answer.contains("\nExample"), "{}", own.answer);
        assert!(
            own.answer.contains(&format!("\n  ferrolb {command}")) || command == "cleanup",
            "{}",
            own.answer
        );
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(ferrolb(&["--version"]).answer, format!("ferrolb {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_definitions_are_a_stream_of_documents_one_for_each_kind() {
    let ended = ferrolb(&["crds"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.answer.matches("---\n").count(),
        ended.answer.matches("kind: CustomResourceDefinition\n").count()
    );
    for kind in [
        "addresspools",
        "bfdprofiles",
        "bgpadvertisements",
        "bgppeers",
        "communities",
        "floatingips",
        "l2advertisements",
        "virtualips",
        "speakers",
    ] {
        assert!(ended.answer.contains(&format!("name: {kind}.ferrolb.io\n")), "{kind}");
    }
}

#[test]
fn the_definitions_that_users_install_are_those_of_the_types() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds/ferrolb.io.yaml");
    let committed = std::fs::read_to_string(committed).unwrap();
    assert!(committed == ferrolb(&["crds"]).answer, "deploy/crds is not what the types say: run `make crds`");
}

#[test]
fn wrong_usage_exits_with_2_and_says_so_on_standard_error() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["stauts"],
        &["status", "-o", "xml"],
        &["validate"],
        &["--no-such-flag"],
        &["migrate", "external-ips", "web"],
    ];
    for wrong in wrong {
        let ended = ferrolb(wrong);
        assert_eq!(ended.code, Some(2), "{wrong:?}");
        assert_eq!(ended.answer, "", "{wrong:?}");
        assert!(ended.complaint.contains("--help"), "{wrong:?}: {}", ended.complaint);
    }
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused_with_an_example() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    let ended = ended(command.args(["validate", "/nonexistent"]).env("RUST_LOG", "ferrolb=loud"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.complaint.contains("RUST_LOG=info"), "{}", ended.complaint);
}

#[test]
fn a_reader_that_has_had_enough_ends_an_answer_without_a_word() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrolb"));
    let mut answering = command.arg("crds").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(answering.stdout.take());
    let output = answering.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(output.stderr, b"");
}

#[test]
fn what_is_done_by_hand_says_which_cluster_it_cannot_use() {
    for command in [&["uninstall"][..], &["migrate", "external-ips", "shop/web"]] {
        let ended = ferrolb(&[command, &["--kubeconfig", "/nowhere"]].concat());
        assert_eq!((ended.code, ended.answer.as_str()), (Some(1), ""), "{command:?}");
        assert!(ended.complaint.contains("cannot use the kubeconfig /nowhere"), "{}", ended.complaint);
    }
}
