// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The manifests of `deploy/examples/quickstart`, which the lab's addresses are made for.

/// File names and texts.
pub const MANIFESTS: [(&str, &str); 4] = [
    ("pool.yaml", include_str!("../../../deploy/examples/quickstart/pool.yaml")),
    ("nodes.yaml", include_str!("../../../deploy/examples/quickstart/nodes.yaml")),
    ("services.yaml", include_str!("../../../deploy/examples/quickstart/services.yaml")),
    ("endpoints.yaml", include_str!("../../../deploy/examples/quickstart/endpoints.yaml")),
];

/// The Service that probers speak to: UDP echo on [`ECHO_UDP`], HTTP and TCP echo on [`ECHO_TCP`].
pub const ECHO: &str = "default/echo";
/// Its UDP port.
pub const ECHO_UDP: u16 = 9000;
/// Its TCP port.
pub const ECHO_TCP: u16 = 80;

/// The manifests for a lab with fewer than three nodes: without the Node objects and endpoints of those that are not there.
pub fn manifests_for(nodes: u8) -> Vec<(&'static str, String)> {
    MANIFESTS.iter().map(|(name, text)| (*name, without(text, nodes))).collect()
}

fn without(text: &str, nodes: u8) -> String {
    let absent = || nodes + 1..=3;
    let documents =
        text.split("---\n").filter(|text| !absent().any(|node| text.contains(&format!("  name: n{node}\n"))));
    let documents: Vec<String> = documents
        .map(|document| {
            // An endpoint is three lines, of which the second names its node.
            let lines: Vec<&str> = document.lines().collect();
            let names_absent = |line: Option<&&str>| {
                line.is_some_and(|line| absent().any(|node| line.trim() == format!("nodeName: n{node}")))
            };
            let kept = lines.iter().enumerate().filter(|(at, _)| {
                let about = [at.checked_add(1), Some(*at), at.checked_sub(1)];
                !about.into_iter().flatten().any(|at| names_absent(lines.get(at)))
            });
            kept.map(|(_, line)| format!("{line}\n")).collect()
        })
        .collect();
    documents.join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_lab_has_only_its_own_nodes_and_endpoints() {
        for (name, text) in manifests_for(2) {
            assert!(!text.contains("n3") && !text.contains("10.244.3."), "{name}:\n{text}");
            assert!(name != "nodes.yaml" || text.contains("name: n2"), "{text}");
            assert!(name != "endpoints.yaml" || text.matches("nodeName: n2").count() == 5, "{text}");
        }
        for ((_, whole), (_, same)) in MANIFESTS.iter().zip(manifests_for(3)) {
            assert_eq!(*whole, same);
        }
    }
}
