// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The way to the API server, made anew when its certificates or ours change.

use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use ::kube::{Client, Config};
use thiserror::Error;
use tracing::{info, warn};

use super::KubeOptions;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// How often the client is made anew at most.
const RENEWAL: Duration = Duration::from_secs(2);

/// Why a cluster cannot be used. The text holds the cause, so that one line in a log says it all.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be read or used.
    #[error("cannot use the kubeconfig {path}: {error}", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<KubeconfigError>,
    },
    /// The process runs in no pod, or the pod has no service account.
    #[error(
        "not running in a pod with a service account ({0}): give --kubeconfig, or --source for a folder of manifests"
    )]
    InCluster(Box<InClusterError>),
    /// No client can be made of it: a certificate or key is broken, mostly.
    #[error("cannot make a client for {server}: {error}")]
    Client {
        /// The API server.
        server: String,
        /// What is wrong.
        error: Box<::kube::Error>,
    },
    /// A cluster is watched once.
    #[error("the cluster is watched already")]
    Watched,
    /// The task that follows the cluster ended early.
    #[error("the cluster is not followed any more")]
    Ended,
}

/// A client, and how to make it anew.
pub(crate) struct Connection {
    options: KubeOptions,
    server: String,
    current: RwLock<Current>,
}

struct Current {
    client: Client,
    /// How often the client was made anew.
    generation: u64,
    since: Instant,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the configuration and makes a client of it.
    pub(crate) async fn open(options: &KubeOptions) -> Result<Self, ConnectError> {
        let config = configuration(options).await?;
        let server = config.cluster_url.to_string();
        let client = client(config)?;
        info!(server, "using the cluster");
        let current = RwLock::new(Current { client, generation: 0, since: Instant::now() });
        Ok(Self { options: options.clone(), server, current })
    }

    /// The API server's URL.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The client, and its generation for [`Self::renew`].
    pub(crate) fn client(&self) -> (Client, u64) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.client.clone(), current.generation)
    }

    /// Reads the configuration anew after the client of `generation` failed in a way that new certificates or
    /// credentials may mend. Does nothing if somebody else did so meanwhile, or a moment ago.
    pub(crate) async fn renew(&self, generation: u64) {
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.generation != generation || current.since.elapsed() < RENEWAL {
                return;
            }
            current.since = Instant::now();
        }
        let made = match configuration(&self.options).await {
            Ok(config) => client(config),
            Err(error) => Err(error),
        };
        match made {
            Ok(client) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                current.client = client;
                current.generation += 1;
            }
            Err(error) => warn!("{error}; what was read before stays in use"),
        }
    }
}

async fn configuration(options: &KubeOptions) -> Result<Config, ConnectError> {
    let mut config = match &options.kubeconfig {
        Some(path) => {
            let failed = |error| ConnectError::Kubeconfig { path: path.clone(), error: Box::new(error) };
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            let chosen = KubeConfigOptions { context: options.context.clone(), ..Default::default() };
            Config::from_custom_kubeconfig(kubeconfig, &chosen).await.map_err(failed)?
        }
        None => Config::incluster().map_err(|error| ConnectError::InCluster(Box::new(error)))?,
    };
    config.connect_timeout = Some(CONNECT);
    // Who asked for a write knows best when it is to be tried again.
    config.default_retry = false;
    Ok(config)
}

fn client(config: Config) -> Result<Client, ConnectError> {
    let server = config.cluster_url.to_string();
    Client::try_from(config).map_err(|error| ConnectError::Client { server, error: Box::new(error) })
}
