// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A Kubernetes cluster as a source.
//!
//! [`Cluster::watch`] follows the kinds that a program needs and delivers them as [`Objects`], each object pruned to
//! what is read of it. [`ClusterWriter`] writes, and what it wrote shows in the view at once: a watch event older than
//! our own write is not taken. With the API away the last view stays, marked by
//! [`Freshness`](ferrolb_config::Freshness).

pub(crate) mod connection;
mod decode;
mod field_manager;
mod gauges;
mod glance;
mod kept;
mod kind;
mod lines;
pub(crate) mod prune;
mod publish;
mod query;
mod reflect;
mod store;
pub(crate) mod trouble;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ferrolb_config::Objects;
use tokio::sync::{mpsc, watch};

pub use connection::ConnectError;
pub use field_manager::FIELD_MANAGER;
pub use glance::ReadError;
pub use writer::{ClusterWriter, StatusOf, WriteError};

use crate::events::{Recorder, record};
use crate::lease::{Campaign, campaign};
use crate::metrics::Registry;
use connection::Connection;
use gauges::Gauges;
use glance::glance;
use kept::Kept;
use kind::Kind;
use prune::Reader;
use publish::{Message, publish};
use reflect::reflect;
use store::Store;

/// How many messages of watches and writers may wait for the task that owns the view.
const QUEUE: usize = 1024;

/// The namespace that FerroLB is installed in, unless told otherwise.
pub const DEFAULT_NAMESPACE: &str = "ferrolb-system";

/// Which cluster, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeOptions {
    /// A kubeconfig file. `None`: the service account of the pod that the process runs in.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; `None`: its current one.
    pub context: Option<String>,
    /// The namespace that FerroLB is installed in; its Lease and Secrets live there.
    pub namespace: String,
    /// Where the last view is kept for a start with the API away; `None`: nowhere.
    pub state: Option<PathBuf>,
    /// The namespace whose objects of MetalLB's are read beside ours (`--read-metallb-objects`); `None`: none are.
    pub metallb_namespace: Option<String>,
}

impl Default for KubeOptions {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            state: None,
            metallb_namespace: None,
        }
    }
}

/// Who watches, which says what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The controller: every kind but EndpointSlices.
    Controller,
    /// The speaker of the node with this name: every kind but Speakers of other nodes.
    Speaker {
        /// The node's name.
        node: String,
    },
    /// Whoever looks at the outcome: the kinds that tell of addresses, and nothing that says why nodes are chosen.
    Onlooker,
    /// Whoever moves addresses: every kind, and of each what decides on where an address may be carried.
    Operator,
}

impl Interest {
    fn reader(&self) -> Reader {
        match self {
            Self::Controller | Self::Onlooker => Reader::Controller,
            Self::Speaker { .. } | Self::Operator => Reader::Speaker,
        }
    }
}

/// The way to the task that owns the view, and for whom that is pruned, once there is one.
type View = Arc<OnceLock<(mpsc::Sender<Message>, Reader)>>;

/// A cluster that can be watched and written to.
///
/// One task owns the view; it lives until the last receiver is gone.
#[derive(Clone, Debug)]
pub struct Cluster {
    connection: Arc<Connection>,
    options: Arc<KubeOptions>,
    view: View,
    gauges: Gauges,
}

impl Cluster {
    /// Reads how to reach the cluster. Does not wait for the API server: it may be away for now.
    ///
    /// # Errors
    /// When the kubeconfig or the service account cannot be read or used.
    pub async fn connect(options: KubeOptions) -> Result<Self, ConnectError> {
        let connection = Arc::new(Connection::open(&options).await?);
        let (options, view) = (Arc::new(options), Arc::default());
        Ok(Self { connection, options, view, gauges: Gauges::default() })
    }

    /// The options that the cluster was connected with.
    pub fn options(&self) -> &KubeOptions {
        &self.options
    }

    /// Follows the kinds of `interest` until the last receiver is gone. Comes back with the first view: when every
    /// kind has been listed, or is known not to be readable for now (see
    /// [`Freshness::unknown`](ferrolb_config::Freshness)). Where a view is kept on disk, that one stands in after 3 s.
    ///
    /// # Errors
    /// [`ConnectError::Watched`]: a cluster is watched once; clone the receiver for more.
    pub async fn watch(&self, interest: Interest) -> Result<watch::Receiver<Arc<Objects>>, ConnectError> {
        let (messages, inbox) = mpsc::channel(QUEUE);
        let reader = interest.reader();
        self.view.set((messages.clone(), reader)).map_err(|_| ConnectError::Watched)?;
        let (sender, mut receiver) = watch::channel(Arc::new(Objects::default()));
        let wanted = Kind::wanted(&interest, &self.options);
        let kinds: Vec<_> = wanted.iter().map(|(kind, _)| *kind).collect();
        for (kind, scope) in wanted {
            let connection = Arc::clone(&self.connection);
            tokio::spawn(reflect(kind, reader, scope, connection, messages.clone()));
        }
        let kept = self.options.state.as_deref().map(|state| Kept::new(state, self.connection.server()));
        tokio::spawn(publish(Store::new(&kinds), inbox, sender, kept, self.gauges.clone()));
        receiver.changed().await.map_err(|_| ConnectError::Ended)?;
        receiver.mark_changed();
        Ok(receiver)
    }

    /// Reads the kinds of `interest` once.
    ///
    /// # Errors
    /// Some of them cannot be read.
    pub async fn read(&self, interest: &Interest) -> Result<Objects, ReadError> {
        glance(&self.connection, interest.reader(), Kind::wanted(interest, &self.options)).await
    }

    /// Writes to this cluster; what it writes shows in the view of [`Cluster::watch`].
    pub fn writer(&self) -> ClusterWriter {
        ClusterWriter::new(Arc::clone(&self.connection), Arc::clone(&self.view), self.gauges.clone())
    }

    /// Stands for the Lease `name` in the install namespace as `identity`, until `shutdown` holds `true` or its sender
    /// is gone; then the Lease is given back. Stop writing first. Two processes must not have one identity.
    pub fn campaign(&self, name: &str, identity: String, shutdown: watch::Receiver<bool>) -> Campaign {
        campaign(Arc::clone(&self.connection), &self.options.namespace, name, identity, shutdown)
    }

    /// Tells events as `instance`, the name of the pod or host.
    pub fn recorder(&self, instance: &str) -> Recorder {
        record(Arc::clone(&self.connection), instance, self.gauges.events.clone())
    }

    /// Registers the metrics of watches, writes and events.
    pub fn register(&self, registry: &mut Registry) {
        self.gauges.register(registry);
    }
}
