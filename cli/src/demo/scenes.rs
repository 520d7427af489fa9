// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The scenes of the demo, in the order in which they are shown.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use ferrolb_lab::installation::{Contestant, Installation, Status};
use ferrolb_lab::keepalived::Keepalived;
use ferrolb_lab::probe::{Connections, ConnectionsReport, Connects, ConnectsReport, NewClients, UdpEcho};
use ferrolb_lab::trial::{self, Contender, Event, Trial};
use ferrolb_lab::{Lab, Place, backend, quickstart};

use super::NODES;
use super::stage::Stage;

/// Connections that stay open through a fault.
const LONG_LIVED: usize = 50;
/// How long the switch has no power.
const POWER_CUT: Duration = Duration::from_secs(5);
/// Between two ports that come back.
const PORT_BY_PORT: Duration = Duration::from_millis(400);
/// How long to watch after the last port.
const AFTER_POWER: Duration = Duration::from_secs(3);

/// Three nodes, a client, backends; the quickstart's manifests; who carries what.
pub(super) fn cluster(stage: &Stage) -> Result<Contestant> {
    stage.scene("A cluster: three nodes, a client, a pod behind every node")?;
    let lab = Lab::build(NODES)?;
    let nodes: Vec<String> =
        lab.nodes.iter().map(|node| format!("{} {}", node.name, node.place().ipv4())).collect();
    stage.line(&format!("{}, client {}, all on one switch", nodes.join(", "), Place::Client.ipv4()))?;
    let binary = std::env::current_exe().context("finding this program's own file")?;
    let mut installation = Installation::prepare(lab, &binary, &quickstart::MANIFESTS)?;
    let files: Vec<&str> = quickstart::MANIFESTS.iter().map(|(name, _)| *name).collect();
    stage.line(&format!("deploy/examples/quickstart: {}", files.join(", ")))?;
    stage.line("starting `ferrolb controller`, and `ferrolb speaker` on every node")?;
    installation.start()?;
    stage.line("every Service has its address, and a node carries it:")?;
    stage.text(&carriers(&installation.status()?))?;
    installation.contend(quickstart::ECHO, quickstart::ECHO_UDP)
}

fn carriers(status: &Status) -> String {
    let mut text = format!("{:18} {:20} {:6} {}\n", "ADDRESS", "SERVICE", "NODE", "WHY");
    for address in &status.addresses {
        let (nodes, whys): (Vec<&str>, Vec<&str>) =
            address.carriers.iter().map(|carrier| (carrier.node.as_str(), carrier.why.as_str())).unzip();
        // Writing to a String does not fail.
        writeln!(
            text,
            "{:18} {:20} {:6} {}",
            address.address.to_string(),
            address.services.join(","),
            nodes.join(","),
            whys.join(",")
        )
        .ok();
    }
    text
}

/// The client asks every Service.
pub(super) fn questions(stage: &Stage, ferrolb: &Contestant) -> Result<()> {
    stage.scene("The client asks")?;
    let asked = [
        ("default/web", true, "Cluster: any pod may answer, and sees a node as its client"),
        ("default/dual", true, "dual-stack, IPv4"),
        ("default/dual", false, "dual-stack, IPv6"),
        ("default/local", true, "Local: the carrying node's pod answers, and sees the true client"),
    ];
    for (service, ipv4, remark) in asked {
        let address = ferrolb.installation.address_of(service, ipv4)?;
        let target = SocketAddr::new(address, quickstart::ECHO_TCP);
        let (node, seen) =
            backend::ask(&ferrolb.lab().client, target).with_context(|| ferrolb.installation.logs())?;
        stage.line(&format!(
            "{:21} the pod behind {node} answers; its client is {seen:15} ({remark})",
            url(address)
        ))?;
    }
    Ok(())
}

fn url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("http://{address}/"),
        IpAddr::V6(address) => format!("http://[{address}]/"),
    }
}

/// TCP clients beside the datagrams of a trial.
struct TcpClients {
    connects: Connects,
    connections: Connections,
}

impl TcpClients {
    fn start(ferrolb: &Contestant) -> Result<Self> {
        let target = SocketAddr::new(ferrolb.target().ip(), quickstart::ECHO_TCP);
        let client = &ferrolb.lab().client;
        Ok(Self {
            connects: Connects::start(client, target)?,
            connections: Connections::start(client, target, LONG_LIVED)?,
        })
    }

    fn finish(self) -> Result<(ConnectsReport, ConnectionsReport)> {
        Ok((self.connects.finish()?, self.connections.finish()?))
    }
}

/// The carrier's cable is pulled, again and again.
pub(super) fn crashes(stage: &Stage, ferrolb: &mut Contestant, runs: usize) -> Result<Vec<Trial>> {
    stage.scene("A node dies: the cable of the node that carries the address is pulled")?;
    stage.line(&format!(
        "probing {}: a datagram each ms, an ARP request of a new client each 10 ms, a TCP connect each 20 ms, {LONG_LIVED} open connections",
        ferrolb.target()
    ))?;
    faults(stage, ferrolb, Event::Crash, runs)
}

/// The carrier is asked to leave, again and again.
pub(super) fn hand_overs(stage: &Stage, ferrolb: &mut Contestant, runs: usize) -> Result<Vec<Trial>> {
    stage.scene("A planned move: SIGTERM to the speaker that carries the address")?;
    faults(stage, ferrolb, Event::HandOver, runs)
}

fn faults(stage: &Stage, ferrolb: &mut Contestant, event: Event, runs: usize) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for (run, phase) in trial::phases(runs).into_iter().enumerate() {
        // Once with everything: the other runs measure only what the table shows.
        let tcp = if run == 0 { Some(TcpClients::start(ferrolb)?) } else { None };
        trials.extend(shown(stage, ferrolb, event, phase)?);
        if let Some(tcp) = tcp {
            let (connects, connections) = tcp.finish()?;
            stage.text(&format!(
                "new TCP connections: {} of {} failed, for {} ms at the longest\n\
                 open TCP connections: {} of {} went on, {} were reset (their pod was behind the old node), {} hang",
                connects.failed,
                connects.attempts,
                connects.outage.as_millis(),
                connections.opened - connections.reset - connections.stalled,
                connections.opened,
                connections.reset,
                connections.stalled,
            ))?;
        }
    }
    Ok(trials)
}

fn shown(stage: &Stage, contender: &mut dyn Contender, event: Event, phase: f64) -> Result<Vec<Trial>> {
    let trials = trial::until_it_counts(contender, event, phase, |trial| stage.line(&trial.to_string()))?;
    if !trials.iter().any(Trial::counts) {
        stage.line("the probers themselves stalled each time: this machine is too busy; going on without this figure")?;
    }
    Ok(trials)
}

/// The whole switch loses power, and its ports come back one by one.
pub(super) fn power_cut(stage: &Stage, ferrolb: &Contestant) -> Result<()> {
    stage.scene("The switch reboots: all ports down, then back one by one")?;
    let lab = ferrolb.lab();
    let cached = UdpEcho::start(&lab.client, ferrolb.target())?;
    let new = NewClients::start(&lab.newcomer, ferrolb.target().ip())?;
    lab.all_ports_down()?;
    stage.line(&format!("all ports are down for {} s", POWER_CUT.as_secs()))?;
    thread::sleep(POWER_CUT);
    let mut first_node = None;
    for port in lab.port_names() {
        lab.port_up(&port)?;
        stage.line(&format!("port {port} is up"))?;
        if port == "p-n1" {
            first_node = Some(Instant::now());
        }
        thread::sleep(PORT_BY_PORT);
    }
    thread::sleep(AFTER_POWER);
    let (cached, new) = (cached.finish()?, new.finish()?);
    let served =
        cached.outage_began.map(|began| began + cached.outage).context("the power cut was not noticed")?;
    let after = served.saturating_duration_since(first_node.context("the lab has no n1")?);
    stage.line(&format!(
        "the client is served again {} ms after the first node's port came back",
        after.as_millis()
    ))?;
    let owner = trial::settled_owner(ferrolb)?;
    stage.line(&format!(
        "{} carries the address now, alone; meanwhile two stations answered side by side for {} ms at the longest",
        owner.name(),
        new.two_answered().as_millis()
    ))?;
    stage.text(&carriers(&ferrolb.installation.status()?))
}

/// keepalived through the same faults.
pub(super) fn yardstick(stage: &Stage, keepalived: &mut Keepalived, runs: usize) -> Result<Vec<Trial>> {
    stage.scene("The same faults beside it: keepalived, VRRPv3, adverts each 100 ms, priorities 254/253/252, nopreempt")?;
    let mut trials = Vec::new();
    for phase in trial::phases(runs) {
        for event in [Event::Crash, Event::HandOver] {
            trials.extend(shown(stage, keepalived, event, phase)?);
        }
    }
    Ok(trials)
}

/// How to look inside.
pub(super) fn stay(stage: &Stage, ferrolb: &Contestant) -> Result<()> {
    stage.scene("The cluster stays up until Ctrl-C; to look inside, in another terminal")?;
    let web = ferrolb.installation.address_of("default/web", true)?;
    let (source, state) = (ferrolb.installation.source(), ferrolb.installation.state());
    stage.text(&format!(
        "ferrolb demo exec client -- curl {}\n\
         ferrolb demo exec client -- ip neigh\n\
         ferrolb demo exec n1 -- nft list table inet ferrolb\n\
         ferrolb status --source {} --state {}\n\
         (edit the manifests in {} and see what follows)",
        url(web),
        source.display(),
        state.display(),
        source.display(),
    ))
}
