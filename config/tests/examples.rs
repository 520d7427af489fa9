// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The example for routers, which users copy: it holds no mistake, and what it names is there.

use std::path::Path;

use ferrolb_config::manifest::Manifest;
use ferrolb_config::{Objects, Snapshot, validate};

#[test]
fn the_example_for_routers_is_accepted_as_it_stands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/routers");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| Manifest::parse(path, &std::fs::read_to_string(path).unwrap());
    let manifests: Vec<Manifest> = files.iter().map(read).collect();
    assert_eq!(validate(&manifests), []);
    let mut objects = Objects::default();
    for document in manifests.into_iter().flat_map(|manifest| manifest.documents) {
        objects.insert(document.object);
    }
    let snapshot = Snapshot::build(&objects);
    assert_eq!(
        (snapshot.bgp_peers.len(), snapshot.bgp_advertisements.len(), objects.secrets.len()),
        (2, 2, 1)
    );
    assert!(snapshot.bgp_peers.values().all(|peer| peer.settings.bfd.is_some() && peer.password.is_some()));
}
