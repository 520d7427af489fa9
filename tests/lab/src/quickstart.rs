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
