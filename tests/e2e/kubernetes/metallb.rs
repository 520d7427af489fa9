// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FerroLB in MetalLB's place, with MetalLB's objects and the rights of the overlay.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ferrolb_control_plane::{
    Cluster, DEPLOYMENT, Installation, METALLB_NAMESPACE, ProxyMode, metallb_definitions,
};
use ferrolb_lab::backend::ask;
use ferrolb_lab::rights::within;

use crate::patience::{SLOWLY, eventually, expect};
use crate::start::{alone, binary, create, eventually_reported, eventually_served};

/// What MetalLB gave before.
const GIVEN: &str = "198.51.100.105";

const OBJECTS: &str = "\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan, namespace: metallb-system}
spec: {addresses: [198.51.100.100-198.51.100.119]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan, namespace: metallb-system}
spec: {ipAddressPools: [lan]}
";

fn versions(installation: &Installation) -> Result<String> {
    let each = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}";
    let kinds = "ipaddresspools.metallb.io,l2advertisements.metallb.io";
    installation.kubectl().run(&["get", kinds, "-n", METALLB_NAMESPACE, "-o", each])
}

#[test]
fn clients_reach_the_addresses_that_metallb_gave_when_ferrolb_takes_its_place() {
    within(|| {
        let _turn = alone();
        let installation = Installation::prepare(Cluster::build(2, ProxyMode::NFTables)?, binary())?;
        let mut installation = installation.told(&["--read-metallb-objects"]);
        let kubectl = installation.kubectl();
        kubectl.create(&metallb_definitions())?;
        let overlay = Path::new(DEPLOYMENT).join("../overlays/metallb-objects");
        kubectl.run(&["apply", "-k", overlay.to_str().context("a path is text")?])?;
        kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        eventually("MetalLB's objects are taken", SLOWLY, || kubectl.apply(OBJECTS))?;
        create(&installation, &["services.yaml", "endpoints.yaml"])?;
        // As MetalLB's controller left it.
        let status = format!(r#"{{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{GIVEN}"}}]}}}}}}"#);
        kubectl.run(&["patch", "service", "web", "--subresource=status", "--type=merge", "-p", &status])?;
        let before = versions(&installation)?;

        installation.launch()?;
        for service in ["web", "local"] {
            eventually_served(&installation, service)?;
            eventually_reported(&installation, service, "")?;
        }
        let given: IpAddr = GIVEN.parse()?;
        expect(&installation.address_of("web", true)?, &given)?;
        ask(&installation.lab().client, SocketAddr::new(given, 80))
            .map_err(|error| error.context(installation.logs()))?;
        let pool = ["get", "virtualip", GIVEN, "-o", "jsonpath={.spec.pool}"];
        expect(&installation.kubectl().run(&pool)?, &"lan".to_owned())?;
        expect(&versions(&installation)?, &before)?;
        let logs = installation.logs();
        ensure!(!logs.contains("forbidden"), "{logs}");
        Ok(())
    });
}
