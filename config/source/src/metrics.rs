// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The endpoint for Prometheus and for probes: `/metrics`, `/healthz`, `/readyz`.
//!
//! Each part of the program registers its own metrics in one [`Registry`], which is then served.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{error, info};

pub use prometheus_client::registry::Registry;

/// The port of the endpoint, unless told otherwise.
pub const DEFAULT_PORT: u16 = 7473;
/// What the names of all our metrics begin with.
pub const PREFIX: &str = "ferrolb";

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every address of the machine, at the usual port: where probes look. `[::]` takes IPv4 as well, and cannot be listened
/// on where the kernel has no IPv6.
pub fn everywhere() -> SocketAddr {
    if Path::new("/proc/net/if_inet6").exists() {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT))
    } else {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT))
    }
}

/// Why the endpoint cannot be served.
#[derive(Debug, Error)]
#[error("cannot serve metrics on {address}: {error}; choose another --metrics-address")]
pub struct ServeError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel says.
    pub error: io::Error,
}

/// What `/readyz` answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Result<(), String>>>);

impl Default for Readiness {
    /// Not ready: the program is starting.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Err("starting".to_owned()))))
    }
}

impl Readiness {
    /// The program can do its work, or why it cannot.
    pub fn set(&self, ready: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    /// Whether it can, or why not.
    ///
    /// # Errors
    /// Why it cannot, in words for people.
    pub fn get(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The endpoint; it is closed when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Serves `registry` and `readiness` on `address`; port 0 means any.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(
        address: SocketAddr,
        registry: Registry,
        readiness: Readiness,
    ) -> Result<Self, ServeError> {
        let failed = |error| ServeError { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(Arc::new(registry))
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(ready).with_state(readiness));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                error!(%error, "metrics are not served any more");
            }
        });
        info!(%address, "serving metrics");
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            format!("the metrics cannot be written: {error}"),
        ),
    }
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.get() {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_probes_are_served() {
        let mut registry = Registry::with_prefix(PREFIX);
        let counter: Counter = Counter::default();
        registry.register("things", "Things", counter.clone());
        counter.inc();
        let readiness = Readiness::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::serve(any, registry, readiness.clone()).await.unwrap();
        let metrics = ask(endpoint.address(), "/metrics").await;
        assert!(metrics.contains("ferrolb_things_total 1\n") && metrics.ends_with("# EOF\n"), "{metrics}");
        assert!(ask(endpoint.address(), "/healthz").await.starts_with("HTTP/1.1 200"));
        let starting = ask(endpoint.address(), "/readyz").await;
        assert!(starting.starts_with("HTTP/1.1 503") && starting.ends_with("starting"), "{starting}");
        readiness.set(Ok(()));
        assert!(ask(endpoint.address(), "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(endpoint.address(), "/").await.starts_with("HTTP/1.1 404"));
        let taken = Endpoint::serve(endpoint.address(), Registry::default(), readiness).await;
        assert!(taken.unwrap_err().to_string().contains("--metrics-address"));
    }
}
