// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A lab whose nodes lead to an address by BGP: its newcomer is the router, and its client comes through it.

mod bird;
mod frr;
mod manifests;
mod routes;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use self::frr::node as frr_node;
pub use self::manifests::{Watched, manifests};
pub use self::routes::{Moment, Routes};
use crate::router::Daemon;
use crate::{Lab, Namespace, Place, Process};

/// The address that all nodes lead to.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Its TCP port.
pub const PORT: u16 = 80;
/// What the nodes are, for BGP.
const NODE_AS: u32 = 65_001;
/// What the router is.
const ROUTER_AS: u32 = 65_002;
/// How many BFD packets in a row may be missed.
const MULTIPLIER: u8 = 3;
/// How long routers and speakers may take to come to sessions.
const PATIENCE: Duration = Duration::from_secs(60);

/// A router that speaks to every node of a lab, and puts what they announce into its kernel: all of them side by side (ECMP, by
/// the connection). Dropped before the lab.
#[derive(Debug)]
pub struct Rack {
    processes: Vec<Process>,
    routes: Routes,
    questions: Questions,
    router: Namespace,
}

/// How the router is asked.
#[derive(Debug)]
struct Questions {
    program: &'static str,
    arguments: Vec<String>,
    /// Prints a line for each BFD session, with a word for those that are up.
    bfd: (&'static str, &'static str),
    /// Prints what is known of the sessions.
    story: &'static str,
}

impl Rack {
    /// Makes the lab's newcomer a router: BIRD or FRR, with BFD packets each `interval` to the nodes. `keeps`: their routes stay while
    /// they restart.
    ///
    /// # Errors
    /// It does not start, or there is no recipe for this daemon.
    pub fn build(lab: &Lab, daemon: Daemon, interval: Duration, keeps: bool) -> Result<Self> {
        join(lab)?;
        let router = lab.newcomer.clone();
        let nodes: Vec<Ipv4Addr> = lab.nodes.iter().map(|node| node.place().ipv4()).collect();
        let start = |name: &str, command: Command| lab.start(name, Some(&router), command);
        let routes = Routes::start(&start)?;
        let folder = lab.folder().join("router");
        let (processes, questions) = match daemon {
            Daemon::Bird => bird::start(&folder, &nodes, interval, keeps, &start)?,
            Daemon::Frr => frr::start(&folder, &nodes, interval, keeps, &start)?,
            other => bail!("no recipe for {other:?} with several nodes"),
        };
        Ok(Self { processes, routes, questions, router })
    }

    /// Whether this daemon can run here: FRR needs root, for it gives itself up for a user of its own.
    pub fn is_possible(daemon: Daemon) -> bool {
        daemon != Daemon::Frr || crate::router::frr_is_possible()
    }

    /// Where requests go to.
    pub fn target() -> SocketAddr {
        SocketAddr::from((ADDRESS, PORT))
    }

    /// What became of the address's route.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The nodes that the router's kernel sends requests to.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn next_hops(&self) -> Result<BTreeSet<Ipv4Addr>> {
        let shown = self.ask("ip", &["-o", "route", "show", &ADDRESS.to_string()])?;
        Ok(routes::next_hops(&shown))
    }

    /// Waits until the kernel leads to all these nodes and no others, and as many BFD sessions are up.
    ///
    /// # Errors
    /// That takes longer than a minute.
    pub fn leads_to(&self, nodes: &[Place]) -> Result<()> {
        let wanted: BTreeSet<Ipv4Addr> = nodes.iter().map(|node| node.ipv4()).collect();
        let begun = Instant::now();
        loop {
            let found = self.next_hops()?;
            let watched = self.watched();
            if found == wanted && watched.as_ref().is_ok_and(|count| *count == wanted.len()) {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the router leads to {found:?}, not {wanted:?}; BFD sessions up: {watched:?}\n{}",
                self.story()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many BFD sessions the router finds up.
    ///
    /// # Errors
    /// It does not answer yet.
    pub fn watched(&self) -> Result<usize> {
        let (question, up) = self.questions.bfd;
        Ok(self.question(question)?.lines().filter(|line| line.contains(up)).count())
    }

    /// What the router says about its sessions, for the message of a failure.
    pub fn story(&self) -> String {
        let said = self.question(self.questions.story).unwrap_or_else(|error| format!("{error:#}"));
        let logs = self.processes.iter().map(|process| process.log_end(10)).collect::<Vec<_>>();
        format!("{said}\n{}", logs.join("\n"))
    }

    fn question(&self, question: &str) -> Result<String> {
        let mut arguments: Vec<&str> = self.questions.arguments.iter().map(String::as_str).collect();
        arguments.push(question);
        self.ask(self.questions.program, &arguments)
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        crate::router::ask(&self.router, program, arguments)
    }
}

/// Puts the client behind the newcomer, which forwards.
fn join(lab: &Lab) -> Result<()> {
    let (router, client) = (&lab.newcomer, &lab.client);
    router.sysctl(&[
        ("ipv4/ip_forward", "1"),
        ("ipv4/fib_multipath_hash_policy", "1"),
        ("ipv6/conf/all/forwarding", "1"),
    ])?;
    router.ip(&format!("link add behind type veth peer name front netns {}\n", client.name()))?;
    router.ip("addr add 192.0.2.1/24 dev behind\nlink set behind up\n")?;
    client.ip(&format!(
        "addr add 192.0.2.2/24 dev front\nlink set front up\nroute add {ADDRESS}/32 via 192.0.2.1 src 192.0.2.2\n"
    ))?;
    for node in &lab.nodes {
        let way = format!("route add 192.0.2.0/24 via {}\n", Place::Newcomer.ipv4());
        node.namespace.ip(&way).with_context(|| format!("leading {} to the client", node.name))?;
    }
    Ok(())
}
