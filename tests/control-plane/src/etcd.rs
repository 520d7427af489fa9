// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! etcd: what the API server keeps its objects in. It outlives restarts of the API server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::{Namespace, Process, Site};

use crate::Program;
use crate::patience::{START, until};

/// Starts etcd on the two loopback ports and waits until it is healthy.
///
/// # Errors
/// It ends, or is not healthy in time; what it said is in the message.
pub(crate) fn start(site: &Site, namespace: Option<&Namespace>, client: u16, peer: u16) -> Result<Process> {
    let clients = format!("http://127.0.0.1:{client}");
    let peers = format!("http://127.0.0.1:{peer}");
    let mut command = Command::new(Program::Etcd.file()?);
    command
        .arg("--data-dir")
        .arg(site.folder().join("etcd"))
        // What is kept here need not survive this machine.
        .arg("--unsafe-no-fsync")
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")])
        .args(["--log-level", "warn", "--quota-backend-bytes", &(4u64 << 30).to_string()]);
    let mut process = site.start("etcd", namespace, command)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, client));
    let healthy = until(START, || {
        if !process.is_running() {
            return Ok(false);
        }
        let look = || health(address);
        namespace.map_or_else(look, |namespace| namespace.run(look)).map(|()| true)
    });
    match healthy {
        Ok(true) => Ok(process),
        Ok(false) => bail!("etcd has ended; it said:\n{}", process.log()),
        Err(error) => Err(error.context(format!("etcd is not healthy; it said:\n{}", process.log()))),
    }
}

fn health(address: SocketAddr) -> Result<()> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience).context("connecting to etcd")?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.contains("\"health\":\"true\""), "etcd answers {answer:?}");
    Ok(())
}
