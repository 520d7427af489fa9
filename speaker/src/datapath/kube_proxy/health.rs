// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Asks kube-proxy how it is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::http_status::status_of;

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many complaints in a row are believed: moving every address of a node for one would be worse than it.
const COMPLAINTS: u32 = 3;

/// Where kube-proxy says how it is: `127.0.0.1:10256/healthz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthz {
    address: SocketAddr,
    path: String,
}

impl Healthz {
    /// kube-proxy's own default.
    pub const DEFAULT: &str = "127.0.0.1:10256/healthz";
}

impl fmt::Display for Healthz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, self.path)
    }
}

/// A text that names no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is not ADDRESS:PORT/PATH, as {default} is", default = Healthz::DEFAULT)]
pub struct HealthzError(String);

impl FromStr for Healthz {
    type Err = HealthzError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, path) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, "/healthz"),
        };
        let refuse = || HealthzError(text.to_owned());
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(refuse());
        }
        Ok(Self { address: address.parse().map_err(|_| refuse())?, path: path.to_owned() })
    }
}

/// How kube-proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It was not asked yet.
    Unknown,
    /// It is well, or nobody wants to know.
    Well,
    /// It says that it is not, repeatedly.
    Unwell(String),
    /// Nothing that is known to be kube-proxy answers.
    Silent(String),
}

/// Asks until nobody listens any more; `None`: it is not asked and counts as well.
pub(super) fn watch(healthz: Option<Healthz>) -> watch::Receiver<Health> {
    let first = if healthz.is_some() { Health::Unknown } else { Health::Well };
    let (tell, health) = watch::channel(first);
    tokio::spawn(async move {
        let Some(healthz) = healthz else { return tell.closed().await };
        let mut complaints = 0;
        let ask = async {
            loop {
                let answer = ask(&healthz).await;
                tell.send_if_modified(|health| {
                    let now = believed(health, answer, &mut complaints);
                    let changed = *health != now;
                    *health = now;
                    changed
                });
                sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = ask => {}
            () = tell.closed() => {}
        }
    });
    health
}

/// What is believed after `answer`.
fn believed(before: &Health, answer: Health, complaints: &mut u32) -> Health {
    let Health::Unwell(_) = answer else {
        *complaints = 0;
        return answer;
    };
    *complaints = complaints.saturating_add(1);
    match before {
        Health::Well | Health::Silent(_) if *complaints < COMPLAINTS => before.clone(),
        _ => answer,
    }
}

async fn ask(healthz: &Healthz) -> Health {
    let silent = |why: &dyn fmt::Display| Health::Silent(format!("{healthz}: {why}"));
    match timeout(PATIENCE, status_of(healthz.address, &healthz.address.to_string(), &healthz.path)).await {
        Err(_) => silent(&format!("no answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => silent(&error),
        Ok(Ok(200)) => Health::Well,
        Ok(Ok(503)) => {
            Health::Unwell(format!("{healthz} answers 503: its rules lag behind, or the node is going away"))
        }
        Ok(Ok(other)) => silent(&format!("answers {other}, which kube-proxy does not")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_with_or_without_a_path_is_read_and_anything_else_refused() {
        let read = |text: &str| text.parse::<Healthz>().map(|healthz| healthz.to_string());
        assert_eq!(read("127.0.0.1:10256").as_deref(), Ok(Healthz::DEFAULT));
        assert_eq!(read("[::1]:99/livez").as_deref(), Ok("[::1]:99/livez"));
        for wrong in ["", "localhost", "10256", "127.0.0.1:10256/a b", "127.0.0.1:10256/\r\nX: y"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_complaints_in_a_row_are_believed_but_the_first_word_of_all_is() {
        let unwell = || Health::Unwell("503".to_owned());
        let mut complaints = 0;
        let mut health = Health::Well;
        for expected in [Health::Well, Health::Well, unwell(), unwell()] {
            health = believed(&health, unwell(), &mut complaints);
            assert_eq!(health, expected);
        }
        assert_eq!(believed(&health, Health::Well, &mut complaints), Health::Well);
        assert_eq!(believed(&Health::Well, unwell(), &mut complaints), Health::Well);
        assert_eq!(believed(&Health::Unknown, unwell(), &mut 0), unwell());
    }

    /// What is made of a server that answers `text` to everything.
    async fn asked(text: &'static str) -> Health {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let healthz = Healthz { address: listener.local_addr().unwrap(), path: "/healthz".to_owned() };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(text.as_bytes()).await.unwrap();
        };
        tokio::join!(ask(&healthz), serve).0
    }

    #[tokio::test]
    async fn the_status_of_the_answer_decides() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\n{}").await, Health::Well);
        assert!(matches!(asked("HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Health::Unwell(_)));
        for other in ["HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-OpenSSH", ""] {
            assert!(matches!(asked(other).await, Health::Silent(_)), "{other}");
        }
    }

    #[tokio::test]
    async fn nobody_at_the_port_is_silence() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let healthz = Healthz { address: listener.local_addr().unwrap(), path: "/healthz".to_owned() };
        drop(listener);
        let Health::Silent(why) = ask(&healthz).await else { panic!("nobody listens") };
        assert!(why.contains("refused"), "{why}");
    }
}
