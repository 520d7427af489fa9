// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From manifests to traffic, and what edits do.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::backend::ask;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};
use ferrolb_lab::{Place, quickstart as example};

use crate::cluster::quickstart;
use crate::patience::{SLOWLY, eventually, expect};

#[test]
fn a_folder_of_manifests_becomes_traffic() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let installation = &ferrolb.installation;
        let client = &ferrolb.lab().client;
        for (service, ipv4) in [("default/web", true), ("default/dual", true), ("default/dual", false)] {
            let target = SocketAddr::new(installation.address_of(service, ipv4)?, 80);
            let (_, seen) = ask(client, target).with_context(|| installation.logs())?;
            assert_ne!(
                seen,
                IpAddr::V4(Place::Client.ipv4()),
                "{service}: another node's pod answers to the carrying node"
            );
        }
        let local = SocketAddr::new(installation.address_of("default/local", true)?, 80);
        let (node, seen) = ask(client, local).with_context(|| installation.logs())?;
        assert_eq!(seen, IpAddr::V4(Place::Client.ipv4()), "Local keeps the client's address");
        let status = installation.status()?;
        let carrier =
            status.addresses.iter().find(|found| found.address == local.ip()).map(|found| &found.carriers);
        assert!(
            carrier.is_some_and(|carriers| carriers.iter().all(|carrier| carrier.node == node)),
            "{status:?}"
        );
        Ok(())
    });
}

const ANOTHER: &str = "\
apiVersion: v1
kind: Service
metadata: {namespace: default, name: another}
spec: {type: LoadBalancer, ports: [{name: http, port: 8000, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: default, name: another, labels: {kubernetes.io/service-name: another}}
addressType: IPv4
endpoints: [{addresses: [10.244.2.10], nodeName: n2, conditions: {ready: true}}]
ports: [{name: http, protocol: TCP, port: 8080}]
";

#[test]
fn edits_are_followed() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let (installation, client) = (&ferrolb.installation, &ferrolb.lab().client);
        installation.write("another.yaml", ANOTHER)?;
        let address = eventually("the new Service has an address", SLOWLY, || {
            installation.address_of("default/another", true)
        })?;
        let answers = |pod: &str| -> Result<()> {
            expect(&ask(client, SocketAddr::new(address, 8000))?.0, &pod.to_owned())
        };
        eventually("the new Service is served", SLOWLY, || answers("n2"))?;

        installation
            .write("another.yaml", &ANOTHER.replace("10.244.2.10", "10.244.3.10").replace("n2", "n3"))?;
        eventually("its new endpoint answers", SLOWLY, || answers("n3"))?;

        installation.write("another.yaml", "")?;
        eventually("its address is free again", SLOWLY, || {
            ensure!(installation.address_of("default/another", true).is_err(), "{:?}", installation.status());
            ensure!(ask(client, SocketAddr::new(address, 8000)).is_err(), "{address} still answers");
            Ok(())
        })
    });
}

#[test]
fn a_file_that_stops_parsing_keeps_its_last_good_form_and_is_named() {
    within(|| {
        let ferrolb = quickstart(3)?;
        let installation = &ferrolb.installation;
        let owner = trial::settled_owner(&ferrolb)?;
        let good =
            example::MANIFESTS.iter().find(|(name, _)| *name == "services.yaml").map(|(_, text)| *text);
        let good = good.context("the quickstart has a services.yaml")?;

        installation.write("services.yaml", &format!("{good}---\nkind: [unclosed\n"))?;
        eventually("the broken file is named", SLOWLY, || {
            let said = installation.status_text()?;
            ensure!(said.contains("services.yaml"), "{said}");
            Ok(())
        })?;
        assert_eq!(trial::settled_owner(&ferrolb)?, owner, "everything goes on");
        ask(&ferrolb.lab().client, SocketAddr::new(installation.address_of("default/web", true)?, 80))?;

        installation.write("services.yaml", good)?;
        eventually("the mended file is no longer named", SLOWLY, || {
            let said = installation.status_text()?;
            ensure!(!said.contains("services.yaml"), "{said}");
            Ok(())
        })
    });
}
