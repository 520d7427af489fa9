// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Flows that the kernel goes on treating as before a change of the rules.
//!
//! Only the first packet of a flow meets nat rules. A UDP flow that began before its port was translated would be
//! forwarded untranslated, and one whose endpoint is gone be sent there, for as long as its client keeps sending.
//! TCP heals the second by itself, because the endpoint's node or the client resets the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::condition::Condition;
use super::model::{DataPath, Frontend, Protocol};

/// What was translated before a change: the endpoints as far as they are known.
pub(crate) type Translated = BTreeMap<Frontend, BTreeSet<SocketAddr>>;

/// What `data_path` translates.
pub(crate) fn translated(data_path: &DataPath) -> Translated {
    data_path
        .ports
        .iter()
        .map(|(frontend, backends)| {
            let same_family = |endpoint: &&SocketAddr| endpoint.is_ipv4() == frontend.address.is_ipv4();
            (*frontend, backends.endpoints.iter().filter(same_family).copied().collect::<BTreeSet<_>>())
        })
        .filter(|(_, endpoints)| !endpoints.is_empty())
        .collect()
}

/// The flows that a change leaves behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stale {
    /// Ports that were not translated before: every flow that is not going to an endpoint of theirs.
    begun_before: Translated,
    /// UDP ports that lost endpoints: the flows to those.
    endpoint_gone: Translated,
}

impl Stale {
    /// What the change from `before` to `now` leaves behind.
    pub(crate) fn between(before: &Translated, now: &Translated) -> Self {
        let mut stale = Stale::default();
        for (frontend, endpoints) in now {
            match before.get(frontend) {
                None => {
                    stale.begun_before.insert(*frontend, endpoints.clone());
                }
                Some(had) if frontend.protocol == Protocol::Udp => {
                    stale.note_gone(*frontend, had.difference(endpoints).copied().collect());
                }
                Some(_) => {}
            }
        }
        for (frontend, had) in before {
            if frontend.protocol == Protocol::Udp && !now.contains_key(frontend) {
                stale.note_gone(*frontend, had.clone());
            }
        }
        stale
    }

    fn note_gone(&mut self, frontend: Frontend, endpoints: BTreeSet<SocketAddr>) {
        if !endpoints.is_empty() {
            self.endpoint_gone.insert(frontend, endpoints);
        }
    }

    fn holds(&self, flow: &Flow) -> bool {
        let frontend = &flow.frontend;
        self.begun_before.get(frontend).is_some_and(|endpoints| !goes_to(endpoints, flow.answers))
            || self.endpoint_gone.get(frontend).is_some_and(|endpoints| goes_to(endpoints, flow.answers))
    }

    /// The parts of the connection table that can hold such flows.
    fn parts(&self) -> BTreeSet<(bool, Protocol)> {
        self.begun_before
            .keys()
            .chain(self.endpoint_gone.keys())
            .map(|frontend| (frontend.address.is_ipv4(), frontend.protocol))
            .collect()
    }

    /// Deletes these flows; their next packets meet the rules anew. Returns how many were found.
    ///
    /// # Errors
    /// If `conntrack` cannot be run, or does not do it.
    pub(crate) async fn delete(&self) -> Result<usize, Condition> {
        let mut deleted = 0;
        for (is_ipv4, protocol) in self.parts() {
            // Collected first: deleting while the kernel walks its table could make it skip entries.
            for flow in self.find(is_ipv4, protocol).await? {
                delete(&flow).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn find(&self, is_ipv4: bool, protocol: Protocol) -> Result<Vec<Flow>, Condition> {
        let mut child = Command::new("conntrack")
            .args(["-L", "-f", family(is_ipv4), "-p", protocol.as_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Condition::ConntrackMissing(error.to_string()))?;
        let mut found = Vec::new();
        // Line by line, as a busy router holds millions of flows.
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await.map_err(failed)? {
                found.extend(Flow::parse(&line, protocol).filter(|flow| self.holds(flow)));
            }
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() { Ok(found) } else { Err(failed(status)) }
    }
}

/// Whether `answers` is one of the endpoints. This node itself answers by any address of its own.
fn goes_to(endpoints: &BTreeSet<SocketAddr>, answers: SocketAddr) -> bool {
    let here = |endpoint: &SocketAddr| endpoint.ip().is_unspecified() && endpoint.port() == answers.port();
    endpoints.contains(&answers) || endpoints.iter().any(here)
}

async fn delete(flow: &Flow) -> Result<(), Condition> {
    let Frontend { address, protocol, port } = flow.frontend;
    let output = Command::new("conntrack")
        .args(["-D", "-f", family(address.is_ipv4()), "-p", protocol.as_str()])
        .args([
            "--orig-src",
            &flow.client.ip().to_string(),
            "--orig-port-src",
            &flow.client.port().to_string(),
        ])
        .args(["--orig-dst", &address.to_string(), "--orig-port-dst", &port.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Condition::ConntrackMissing(error.to_string()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    // None found is a failure to the tool; to us the flow has ended by itself.
    if output.status.success() || complaint.contains("0 flow entries have been deleted") {
        Ok(())
    } else {
        Err(failed(complaint.lines().next().unwrap_or("no explanation")))
    }
}

fn failed(why: impl std::fmt::Display) -> Condition {
    Condition::ConntrackFailed(why.to_string())
}

fn family(is_ipv4: bool) -> &'static str {
    if is_ipv4 { "ipv4" } else { "ipv6" }
}

/// A flow of the kernel's connection table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flow {
    client: SocketAddr,
    frontend: Frontend,
    /// Who is expected to answer: the endpoint, or the frontend itself in a flow without translation.
    answers: SocketAddr,
}

impl Flow {
    /// Reads a line of `conntrack -L`: the original direction's addresses and ports, then those of the reply.
    fn parse(line: &str, protocol: Protocol) -> Option<Self> {
        let values = |key: &'static str| {
            line.split_ascii_whitespace().filter_map(move |word| {
                word.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value)
            })
        };
        let (mut source, mut destination) = (values("src"), values("dst"));
        let (mut source_port, mut destination_port) = (values("sport"), values("dport"));
        let client = SocketAddr::new(source.next()?.parse().ok()?, source_port.next()?.parse().ok()?);
        let address: IpAddr = destination.next()?.parse().ok()?;
        let port = destination_port.next()?.parse().ok()?;
        let answers = SocketAddr::new(source.next()?.parse().ok()?, source_port.next()?.parse().ok()?);
        Some(Flow { client, frontend: Frontend { address, protocol, port }, answers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontend(protocol: Protocol) -> Frontend {
        Frontend { address: "192.0.2.1".parse().unwrap(), protocol, port: 53.try_into().unwrap() }
    }

    fn with(protocol: Protocol, endpoints: &[&str]) -> Translated {
        [(frontend(protocol), endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect())].into()
    }

    fn flow(answers: &str) -> Flow {
        let client = "198.51.100.9:4000".parse().unwrap();
        Flow { client, frontend: frontend(Protocol::Udp), answers: answers.parse().unwrap() }
    }

    #[test]
    fn a_line_of_the_connection_table_is_read() {
        let line = "udp      17 28 src=198.51.100.9 dst=192.0.2.1 sport=4000 dport=53 [UNREPLIED] \
                    src=10.244.1.2 dst=198.51.100.9 sport=5353 dport=4000 mark=0 use=1";
        assert_eq!(Flow::parse(line, Protocol::Udp), Some(flow("10.244.1.2:5353")));
        assert_eq!(Flow::parse("udp 17 28 src=198.51.100.9 dst=", Protocol::Udp), None);
    }

    #[test]
    fn a_new_port_makes_every_flow_stale_that_does_not_go_to_its_endpoints() {
        let stale = Stale::between(&Translated::new(), &with(Protocol::Udp, &["10.0.0.1:53"]));
        assert!(stale.holds(&flow("192.0.2.1:53")));
        assert!(!stale.holds(&flow("10.0.0.1:53")));
    }

    #[test]
    fn a_lost_endpoint_makes_udp_flows_to_it_stale_and_leaves_tcp_alone() {
        let stale = |protocol| {
            Stale::between(
                &with(protocol, &["10.0.0.1:53", "10.0.0.2:53"]),
                &with(protocol, &["10.0.0.2:53"]),
            )
        };
        assert!(stale(Protocol::Udp).holds(&flow("10.0.0.1:53")));
        assert!(!stale(Protocol::Udp).holds(&flow("10.0.0.2:53")));
        assert_eq!(stale(Protocol::Tcp), Stale::default());
    }

    #[test]
    fn a_removed_port_makes_udp_flows_to_its_endpoints_stale() {
        let stale = Stale::between(&with(Protocol::Udp, &["10.0.0.1:53"]), &Translated::new());
        assert!(stale.holds(&flow("10.0.0.1:53")));
    }
}
