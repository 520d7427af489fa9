// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Stands between a controller and the API server: passes requests on, or does with them what a test wants.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use kube::Client;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on.
    Passed,
    /// It is answered with this status, and not passed on.
    Answered(u16),
    /// It is never answered, and not passed on.
    Lost,
    /// It is passed on and never answered.
    Unanswered,
}

type Judge = dyn Fn(&Asked) -> Fate + Send + Sync;

/// A request, as far as tests tell them apart.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
}

impl Asked {
    /// Whether it writes something other than a lease or an event.
    pub fn writes(&self) -> bool {
        self.method != Method::GET && !self.is_for_the_lease() && !self.path.contains("/events")
    }

    pub fn is_for_the_lease(&self) -> bool {
        self.path.contains("/leases")
    }
}

/// A way to the API server that a test watches over.
pub struct Proxy {
    folder: TempDir,
    unanswered: Arc<Notify>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Gate {
    client: Client,
    judge: Arc<Judge>,
    unanswered: Arc<Notify>,
}

impl Proxy {
    /// Passes requests on with the rights of `client`, as `judge` decides.
    pub async fn start(client: Client, judge: impl Fn(&Asked) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
             users: [{{name: u, user: {{}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        let unanswered = Arc::new(Notify::new());
        let gate = Gate { client, judge: Arc::new(judge), unanswered: Arc::clone(&unanswered) };
        let router = Router::new().fallback(pass).with_state(gate);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, unanswered, task }
    }

    /// Waits until a request was carried out that will not be answered.
    pub async fn left_unanswered(&self) {
        self.unanswered.notified().await;
    }

    /// How a controller finds it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response<Body> {
    let asked = Asked { method: request.method().clone(), path: request.uri().path().to_owned() };
    match (gate.judge)(&asked) {
        Fate::Passed => forward(gate.client, request).await,
        Fate::Answered(code) => {
            let code = StatusCode::from_u16(code).unwrap();
            Response::builder().status(code).header(header::RETRY_AFTER, "1").body(Body::empty()).unwrap()
        }
        Fate::Lost => never().await,
        Fate::Unanswered => {
            forward(gate.client, request).await;
            gate.unanswered.notify_one();
            never().await
        }
    }
}

async fn never() -> Response<Body> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Response::new(Body::empty())
}

async fn forward(client: Client, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut forwarded = axum::http::Request::builder().method(parts.method).uri(parts.uri);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            forwarded = forwarded.header(name, value);
        }
    }
    match client.send(forwarded.body(body.to_vec().into()).unwrap()).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let body = Body::from(error.to_string());
            Response::builder().status(StatusCode::BAD_GATEWAY).body(body).unwrap()
        }
    }
}
