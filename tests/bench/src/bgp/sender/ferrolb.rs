// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FerroLB: one Service, its EndpointSlice and its VirtualIP for each route, in a folder that a speaker reads.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ferrolb_lab::Process;
use ferrolb_lab::router::{NODE_V4, Wire};
use k8s_openapi::jiff::Timestamp;

use super::super::{Colour, NODE_AS, ROUTER_AS, addresses, router_address};
use super::{Load, Sender};

/// Whether BFD looks after the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bgp) enum Watching {
    No,
    /// 300 ms, three times.
    Bfd,
}

/// A folder of manifests, edited as an editor does: beside, then renamed.
#[derive(Clone, Debug)]
pub(in crate::bgp) struct Folder {
    source: PathBuf,
    beside: PathBuf,
}

pub(in crate::bgp) struct Ferrolb {
    process: Process,
    folder: Folder,
}

impl Folder {
    /// Returns when that was done: just before it shows.
    pub(in crate::bgp) fn write(&self, name: &str, text: &str) -> Result<Timestamp> {
        fs::write(&self.beside, text).with_context(|| format!("writing {}", self.beside.display()))?;
        let (file, now) = (self.source.join(name), Timestamp::now());
        fs::rename(&self.beside, &file).with_context(|| format!("putting {} in place", file.display()))?;
        Ok(now)
    }
}

impl Ferrolb {
    pub(in crate::bgp) fn start(binary: &Path, wire: &Wire, load: Load, watching: Watching) -> Result<Self> {
        let (source, state) = (wire.folder().join("source"), wire.folder().join("state"));
        fs::create_dir_all(&source)?;
        fs::create_dir_all(&state)?;
        let folder = Folder { source: source.clone(), beside: wire.folder().join("beside.yaml") };
        folder.write("ground.yaml", &ground(load.sessions, watching))?;
        folder.write("advertisement.yaml", &advertisement(Colour::First))?;
        let all: Vec<Ipv4Addr> = addresses(load.routes).collect();
        folder.write("services.yaml", &services(&all))?;
        folder.write("virtualips.yaml", &virtual_ips(&all))?;
        let mut command = Command::new(binary);
        command.args(["speaker", "--node-name", "n1", "--source"]).arg(source).arg("--state").arg(state);
        // As in a cluster, where somebody else leads the traffic.
        command.args(["--data-path", "kube-proxy", "--kube-proxy-healthz", "none"]);
        Ok(Self { process: wire.start_at_node("speaker", command)?, folder })
    }

    /// What it reads.
    pub(in crate::bgp) fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Sender for Ferrolb {
    fn process(&self) -> &Process {
        &self.process
    }

    fn paint(&mut self, colour: Colour) -> Result<()> {
        self.folder.write("advertisement.yaml", &advertisement(colour)).map(drop)
    }
}

fn ground(sessions: u8, watching: Watching) -> String {
    let mut text = format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\nstatus: {{addresses: [{{type: InternalIP, address: {NODE_V4}}}]}}\n\
         ---\napiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {{name: lan}}\nspec: {{addresses: [198.18.0.0/15]}}\n\
         ---\napiVersion: ferrolb.io/v1beta1\nkind: BFDProfile\nmetadata: {{name: calm}}\n\
         spec: {{receiveInterval: 300, transmitInterval: 300, detectMultiplier: 3}}\n"
    );
    let watched = match watching {
        Watching::No => "",
        Watching::Bfd => ", bfdProfile: calm",
    };
    for number in 0..sessions {
        let router = router_address(number);
        // Writing to a String does not fail.
        write!(
            text,
            "---\napiVersion: ferrolb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: router-{number}}}\n\
             spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: {router}, connectTime: 1s{watched}}}\n"
        )
        .ok();
    }
    text
}

fn advertisement(colour: Colour) -> String {
    format!(
        "apiVersion: ferrolb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: lan}}\n\
         spec: {{addressPools: [lan], communities: ['{NODE_AS}:{}']}}\n",
        colour.number()
    )
}

/// A Service for each of these addresses, with an endpoint on the node.
pub(in crate::bgp) fn services(addresses: &[Ipv4Addr]) -> String {
    let mut text = String::new();
    for address in addresses {
        let name = name(*address);
        // Writing to a String does not fail.
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{namespace: bench, name: {name}}}\n\
             spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{namespace: bench, name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             endpoints: [{{addresses: [10.244.1.10], nodeName: n1, conditions: {{ready: true}}}}]\nports: [{{port: 8080}}]\n"
        )
        .ok();
    }
    text
}

/// The records of these addresses.
pub(in crate::bgp) fn virtual_ips(addresses: &[Ipv4Addr]) -> String {
    let mut text = String::new();
    for address in addresses {
        let name = name(*address);
        // Writing to a String does not fail.
        write!(
            text,
            "---\napiVersion: ferrolb.io/v1beta1\nkind: VirtualIP\nmetadata: {{name: {address}}}\n\
             spec: {{address: {address}, pool: lan, consumers: [{{kind: Service, namespace: bench, name: {name}, ports: [{{protocol: TCP, port: 80}}]}}]}}\n"
        )
        .ok();
    }
    text
}

fn name(address: Ipv4Addr) -> String {
    format!("s{:x}", u32::from(address))
}
