// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where MetalLB is installed, as far as FerroLB reads it.

/// The namespace that MetalLB's manifests use.
pub const METALLB_NAMESPACE: &str = "metallb-system";

/// MetalLB's namespace and the definitions of the kinds that FerroLB reads, without their schemas, as a YAML stream.
pub fn metallb_definitions() -> String {
    let kinds = [
        ("IPAddressPool", "ipaddresspools", "v1beta1"),
        ("L2Advertisement", "l2advertisements", "v1beta1"),
        ("BGPPeer", "bgppeers", "v1beta2"),
        ("BGPAdvertisement", "bgpadvertisements", "v1beta1"),
        ("BFDProfile", "bfdprofiles", "v1beta1"),
        ("Community", "communities", "v1beta1"),
    ];
    let definition = |(kind, plural, version)| {
        format!(
            "---\n{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, \
             metadata: {{name: {plural}.metallb.io}}, spec: {{group: metallb.io, scope: Namespaced, \
             names: {{kind: {kind}, plural: {plural}}}, versions: [{{name: {version}, served: true, storage: true, \
             subresources: {{status: {{}}}}, schema: {{openAPIV3Schema: {{type: object, \
             x-kubernetes-preserve-unknown-fields: true}}}}}}]}}}}\n"
        )
    };
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {METALLB_NAMESPACE}}}}}\n");
    namespace + &kinds.map(definition).concat()
}
