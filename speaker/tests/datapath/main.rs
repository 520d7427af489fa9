// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The data path with real traffic: a client, nodes and pods in network namespaces of their own. The client is told
//! by hand which node carries the virtual IPs; everything behind that is what this tests.

mod rig;

mod datapath {
    mod endings;
    mod kube_proxy;
    mod machine;
    mod refusals;
    mod translation;
    mod updates;
}
