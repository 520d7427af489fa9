// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Asks once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ferrolb_config::snapshot::{Probe, StatusRange};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exec;
use crate::http_status::status_of;

/// Whether all is well; if not, what is wrong, in words. An answer may take `patience`.
pub(super) async fn ask(probe: &Probe, patience: Duration) -> Result<(), String> {
    let answer = async {
        match probe {
            Probe::Http { port, path, host, expected } => http(*port, path, host.as_deref(), *expected).await,
            Probe::Tcp { port } => tcp(*port).await,
            Probe::Exec { command } => exec::run(command).await,
        }
    };
    match timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", patience.as_secs_f32())),
    }
}

async fn http(port: u16, path: &str, host: Option<&str>, expected: StatusRange) -> Result<(), String> {
    let mut answer = Ok(0);
    for address in here(port) {
        let name = host.map_or_else(|| address.to_string(), str::to_owned);
        let this = status_of(address, &name, path).await;
        if keep(&mut answer, this) {
            break;
        }
    }
    let status = answer.map_err(|error| error.to_string())?;
    if expected.contains(status) { Ok(()) } else { Err(format!("it answers with status {status}")) }
}

async fn tcp(port: u16) -> Result<(), String> {
    let mut answer = Ok(());
    for address in here(port) {
        let this = TcpStream::connect(address).await.map(drop);
        if keep(&mut answer, this) {
            break;
        }
    }
    answer.map_err(|error| error.to_string())
}

/// This node's own addresses, in turn: a server may listen on one family alone.
fn here(port: u16) -> [SocketAddr; 2] {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .map(|address| SocketAddr::new(address, port))
}

/// Whether `this` is the last word. Where nobody listens, the other family is asked; of two failures the first is told.
fn keep<T>(answer: &mut io::Result<T>, this: io::Result<T>) -> bool {
    let refused = this.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if this.is_ok() || answer.is_ok() {
        *answer = this;
    }
    !refused
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn http_probe(listener: &TcpListener) -> Probe {
        let port = listener.local_addr().unwrap().port();
        let expected = StatusRange::parse("200-399").unwrap();
        Probe::Http { port, path: "/ready".to_owned(), host: Some("web.example".to_owned()), expected }
    }

    /// Answers one request; what was asked comes back.
    async fn answer(listener: &TcpListener, text: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 512];
        let read = stream.read(&mut asked).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&asked[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_status_within_the_expected_ones_is_well_and_another_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probe = http_probe(&listener);
        let (asked, well) =
            tokio::join!(answer(&listener, "HTTP/1.1 204 No Content\r\n\r\n"), ask(&probe, PATIENCE));
        assert_eq!(well, Ok(()));
        assert!(asked.starts_with("GET /ready HTTP/1.1\r\nHost: web.example\r\n"), "{asked}");
        let (_, bad) = tokio::join!(
            answer(&listener, "HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            ask(&probe, PATIENCE)
        );
        assert_eq!(bad, Err("it answers with status 503".to_owned()));
        let (_, odd) = tokio::join!(answer(&listener, "SSH-2.0-something\r\n"), ask(&probe, PATIENCE));
        assert_eq!(odd, Err("the answer is not HTTP".to_owned()));
    }

    #[tokio::test]
    async fn a_port_is_well_on_either_family_while_somebody_listens() {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let probe = Probe::Tcp { port };
        assert_eq!(ask(&probe, PATIENCE).await, Ok(()));
        drop(listener);
        let refused = ask(&probe, PATIENCE).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    }

    #[tokio::test]
    async fn silence_is_a_failure_after_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answer = ask(&http_probe(&listener), Duration::from_millis(200)).await;
        assert_eq!(answer, Err("no answer within 0.2 s".to_owned()));
    }
}
