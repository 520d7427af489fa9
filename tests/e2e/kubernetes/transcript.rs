// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a person does on the first day: install, make a Service, look, ask, pull a cable, ask again. To read it:
//! `cargo test -p ferrolb --test e2e-kubernetes transcript -- --nocapture`

use std::process::Command;

use anyhow::{Result, ensure};
use ferrolb_control_plane::{Cluster, DEPLOYMENT, Installation, ProxyMode};
use ferrolb_lab::rights::within;

use crate::patience::{SLOWLY, eventually, expect};
use crate::start::{alone, binary};

/// Services and endpoints of the quickstart.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/quickstart");

/// A person at the keyboard of the administrator's machine.
struct Person<'a> {
    installation: &'a Installation,
}

impl Person<'_> {
    fn types(&self, arguments: &[&str]) -> Result<String> {
        let answer = self.installation.kubectl().run(arguments)?;
        let line = arguments
            .join(" ")
            .replace(DEPLOYMENT, "deploy/base")
            .replace(EXAMPLE, "deploy/examples/quickstart");
        println!("$ kubectl {line}\n{answer}");
        Ok(answer)
    }

    /// curl, from the client.
    fn asks(&self, address: &str) -> Result<String> {
        let lab = self.installation.lab();
        let answer = eventually("curl has an answer", SLOWLY, || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--max-time", "2", &format!("http://{address}/")]);
            lab.output(&lab.client, curl)
        });
        let answer = answer.map_err(|error| error.context(self.installation.logs()))?;
        println!("client$ curl http://{address}/\n{answer}");
        Ok(answer)
    }

    /// Looks at the VirtualIP until it names a carrying node other than `not`.
    fn looks(&self, address: &str, not: &str) -> Result<String> {
        let seen = eventually("kubectl get vip names a node", SLOWLY, || {
            let node = self.installation.reported_owner(address.parse()?)?;
            ensure!(node != not, "still {node}");
            Ok(node)
        });
        let node = seen.map_err(|error| error.context(self.installation.logs()))?;
        let shown = self.types(&["get", "vip"])?;
        ensure!(shown.contains(address) && shown.contains(&node), "{shown}");
        Ok(node)
    }
}

#[test]
fn a_person_installs_makes_a_service_and_pulls_a_cable() {
    within(|| {
        let _turn = alone();
        let mut installation = Installation::prepare(Cluster::build(3, ProxyMode::NFTables)?, binary())?;
        let person = Person { installation: &installation };
        person.types(&["apply", "-k", DEPLOYMENT])?;
        person.types(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
        // As the kubelets do with the Deployment and the DaemonSet.
        installation.launch()?;
        let person = Person { installation: &installation };
        person.types(&["apply", "-f", &format!("{EXAMPLE}/pool.yaml")])?;
        person.types(&["apply", "-f", &format!("{EXAMPLE}/services.yaml")])?;
        person.types(&["apply", "-f", &format!("{EXAMPLE}/endpoints.yaml")])?;
        let address = eventually("web has an address", SLOWLY, || installation.address_of("web", true));
        let address = address.map_err(|error| error.context(installation.logs()))?.to_string();
        person.types(&["get", "service", "web"])?;
        person.types(&["wait", "--for=condition=Ready", &format!("vip/{address}"), "--timeout=60s"])?;
        let owner = person.looks(&address, "")?;
        person.types(&["get", "pools,l2advertisements,speakers"])?;
        person.asks(&address)?;

        println!("(the cable of {owner} is pulled)\n");
        let dead = installation.lab().node(&owner)?;
        installation.lab().cut(dead)?;
        person.looks(&address, &owner)?;
        person.asks(&address)?;

        println!("(Kubernetes finds that {owner} is not ready)\n");
        installation.cluster().report_node(dead.place(), false)?;
        let speaker =
            ["get", "speaker", &owner, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"];
        let known = eventually("its Speaker is not called ready", SLOWLY, || {
            expect(&installation.kubectl().run(&speaker)?, &"Unknown".to_owned())
        });
        known.map_err(|error| error.context(installation.logs()))?;
        let shown = person.types(&["get", "vip,pools,speakers"])?;
        let story = |line: &str| {
            line.starts_with(&format!("speaker.ferrolb.io/{owner} ")) && line.contains("Unknown")
        };
        ensure!(shown.lines().any(story), "{shown}");
        person.types(&["get", "events", "--field-selector", "involvedObject.name=web"])?;
        Ok(())
    });
}
