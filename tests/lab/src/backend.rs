// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What runs in the pods: servers that say which node answered and whom they think they speak to.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::addresses::{POD_TCP, POD_UDP};
use crate::probe::{Running, Task, hurry};
use crate::{Lab, Namespace, Node};

/// How long a server's thread may sleep before it looks whether to go on.
const LOOK: Duration = Duration::from_millis(100);

/// A server on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    _task: Task<()>,
}

/// In every pod: UDP echo on [`POD_UDP`], HTTP and TCP echo on [`POD_TCP`], IPv4 and IPv6.
///
/// # Errors
/// A port is taken.
pub fn in_pods(lab: &Lab) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for node in &lab.nodes {
        servers.push(udp_echo(&node.pod, node, (Ipv6Addr::UNSPECIFIED, POD_UDP).into())?);
        servers.push(tcp_echo(&node.pod, node, POD_TCP)?);
    }
    Ok(servers)
}

/// Echoes datagrams on `address`, with the node's index behind each. An address that the namespace does not have (yet) is allowed, so
/// that a server can wait on a virtual IP as one beside keepalived does.
///
/// # Errors
/// The port is taken.
pub fn udp_echo(namespace: &Namespace, node: &Node, address: SocketAddr) -> Result<Server> {
    let index = node.index;
    let task = Task::start(namespace, "udp-server", move |running, ready| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        match address.ip() {
            IpAddr::V4(_) => socket.set_freebind_v4(true)?,
            IpAddr::V6(_) => {
                socket.set_freebind_v6(true)?;
                socket.set_only_v6(false)?;
            }
        }
        socket.bind(&SockAddr::from(address)).with_context(|| format!("listening on {address}"))?;
        socket.set_read_timeout(Some(LOOK))?;
        let socket = UdpSocket::from(socket);
        ready.ready();
        hurry();
        let mut buffer = [0; 2048];
        while running.go_on() {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(reply) = buffer.get_mut(..=length) else { continue };
            if let Some(last) = reply.last_mut() {
                *last = index;
            }
            // The way back may be gone by now; the client counts that.
            drop(socket.send_to(reply, from));
        }
        Ok(())
    })?;
    Ok(Server { _task: task })
}

/// Answers `GET` with one line, `node=<name> client=<address>`, and echoes anything else byte by byte.
///
/// # Errors
/// The port is taken.
pub fn tcp_echo(namespace: &Namespace, node: &Node, port: u16) -> Result<Server> {
    let name = node.name.clone();
    let task = Task::start(namespace, "tcp-server", move |running, ready| {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .with_context(|| format!("listening on port {port}"))?;
        listener.set_nonblocking(true)?;
        ready.ready();
        // Those who serve connections inherit it.
        hurry();
        thread::scope(|scope| {
            while running.go_on() {
                match listener.accept() {
                    Ok((stream, client)) => {
                        let (running, name) = (&running, &name);
                        thread::Builder::new().stack_size(64 * 1024).spawn_scoped(scope, move || {
                            // A client that went away ends its connection, nothing else.
                            drop(serve(&stream, client, name, running));
                        })?;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(2))
                    }
                    Err(error) => return Err(error).context("accepting a connection"),
                }
            }
            Ok(())
        })
    })?;
    Ok(Server { _task: task })
}

fn serve(mut stream: &TcpStream, client: SocketAddr, node: &str, running: &Running) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    let mut buffer = [0; 4096];
    while running.go_on() {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let received = buffer.get(..length).unwrap_or_default();
        if received.starts_with(b"GET ") {
            // A dual-stack listener sees IPv4 clients as IPv4-mapped IPv6 addresses.
            let body = format!("node={node} client={}\n", client.ip().to_canonical());
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
            return Ok(());
        }
        stream.write_all(received)?;
    }
    Ok(())
}

/// Asks a [`tcp_echo`] server, through whatever stands before it, who answers and whom it sees. The returned pair is (node, client).
///
/// # Errors
/// Nobody answers, or not as such a server does.
pub fn ask(namespace: &Namespace, target: SocketAddr) -> Result<(String, IpAddr)> {
    namespace.run(|| {
        let patience = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&target, patience)
            .with_context(|| format!("connecting to {target}"))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).with_context(|| format!("reading the answer of {target}"))?;
        let line = text.lines().last().unwrap_or_default();
        let (node, client) = line
            .strip_prefix("node=")
            .and_then(|rest| rest.split_once(" client="))
            .with_context(|| format!("{target} answered {text:?}"))?;
        Ok((node.to_owned(), client.parse()?))
    })
}
