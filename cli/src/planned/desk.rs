// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Where what operators ask for is written, and where its effect is seen: a state folder, or a cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrolb_config::api::{VirtualIP, annotation};
use ferrolb_config::{MoveRequest, Objects};
use ferrolb_source::kube::{Cluster, ClusterWriter, Interest};
use ferrolb_source::{Directory, Role, StateError, StateFile, StateWriter};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::origin::{Origin, OriginArguments};

/// How long the first view may take.
const ANSWER: Duration = Duration::from_secs(20);
/// Another command that writes is waited for so often, …
const TRIES: u32 = 50;
/// … with as much time in between.
const BETWEEN: Duration = Duration::from_millis(100);

/// Where wishes are written and their effect is seen.
pub(super) struct Desk {
    view: watch::Receiver<Arc<Objects>>,
    writer: Writer,
}

enum Writer {
    Folder(PathBuf),
    Cluster(ClusterWriter),
}

impl Desk {
    /// Opens the folders, or the cluster with the rights of whoever asks.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) async fn open(origin: OriginArguments) -> anyhow::Result<Self> {
        match origin.choose() {
            Origin::Folder(folders) => {
                // What is not there is an error for who asks, and nothing to wait for.
                Directory::read(&folders.source, &folders.state)?;
                let view = Directory::watch(folders.source, folders.state.clone(), None).await?;
                Ok(Self { view, writer: Writer::Folder(folders.state) })
            }
            Origin::Cluster(options) => {
                let cluster = Cluster::connect(options).await.context("cannot use the cluster")?;
                let view = timeout(ANSWER, cluster.watch(Interest::Operator)).await;
                let view =
                    view.context("the API server does not answer")?.context("cannot follow the cluster")?;
                let unknown: Vec<&str> = view.borrow().freshness.unknown.iter().copied().collect();
                ensure!(
                    unknown.is_empty(),
                    "objects of the kind {} are not installed, or not readable with your rights (ClusterRole \
                     ferrolb-operator has them)",
                    unknown.join(", ")
                );
                Ok(Self { view, writer: Writer::Cluster(cluster.writer()) })
            }
        }
    }

    /// What is so now.
    pub(super) fn view(&mut self) -> Arc<Objects> {
        Arc::clone(&self.view.borrow_and_update())
    }

    /// Waits for a change; `false` if none comes within `limit`.
    ///
    /// # Errors
    /// The view is not followed any more.
    pub(super) async fn changed(&mut self, limit: Duration) -> anyhow::Result<bool> {
        match timeout(limit, self.view.changed()).await {
            Ok(changed) => changed.context("the objects are not followed any more").map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Waits until `is_so`, at most for `limit`.
    ///
    /// # Errors
    /// The view is not followed any more.
    pub(super) async fn until(
        &mut self,
        limit: Duration,
        is_so: impl Fn(&Objects) -> bool,
    ) -> anyhow::Result<()> {
        let seen = timeout(limit, self.view.wait_for(|view| is_so(view))).await;
        match seen {
            Ok(seen) => seen.map(drop).context("the objects are not followed any more"),
            Err(_) => Ok(()),
        }
    }

    /// Asks the owners of the VirtualIP `name` to hand it over, or takes that back (`None`).
    ///
    /// # Errors
    /// The folder or the cluster does not take it.
    pub(super) async fn ask_to_move(
        &mut self,
        name: &str,
        request: Option<&MoveRequest>,
    ) -> anyhow::Result<()> {
        match &self.writer {
            Writer::Cluster(writer) => {
                let asked = writer.ask_to_move(name, request).await;
                asked.with_context(|| format!("annotating VirtualIP {name}"))
            }
            Writer::Folder(state) => {
                let wish = match request {
                    Some(request) => Some(self.virtual_ip(name, &request.to_text()?)?),
                    None => None,
                };
                let (state, file) = (state.clone(), StateFile::VirtualIp(name.to_owned()));
                written(move |writer| put(writer, &file, wish.as_ref()), state).await
            }
        }
    }

    fn virtual_ip(&self, name: &str, text: &str) -> anyhow::Result<VirtualIP> {
        let view = self.view.borrow();
        let recorded = view.virtual_ips.get(name).with_context(|| format!("VirtualIP {name} is gone"))?;
        let mut object = VirtualIP::new(name, recorded.spec.clone());
        object.metadata.annotations = Some(BTreeMap::from([(annotation::MOVE.to_owned(), text.to_owned())]));
        Ok(object)
    }

    /// Says that a node is drained, or is so no more.
    ///
    /// # Errors
    /// The folder or the cluster does not take it.
    pub(super) async fn set_drained(&mut self, node: &str, drained: bool) -> anyhow::Result<()> {
        match &self.writer {
            Writer::Cluster(writer) => {
                let annotated = writer.drain_node(node, drained).await;
                annotated.with_context(|| format!("annotating Node {node}"))
            }
            Writer::Folder(state) => {
                let metadata = ObjectMeta {
                    name: Some(node.to_owned()),
                    annotations: Some(BTreeMap::from([(annotation::DRAIN.to_owned(), "true".to_owned())])),
                    ..ObjectMeta::default()
                };
                let wish = drained.then(|| Node { metadata, ..Node::default() });
                let (state, file) = (state.clone(), StateFile::Node(node.to_owned()));
                written(move |writer| put(writer, &file, wish.as_ref()), state).await
            }
        }
    }
}

fn put<T: serde::Serialize>(
    writer: &StateWriter,
    file: &StateFile,
    wish: Option<&T>,
) -> Result<(), StateError> {
    match wish {
        Some(wish) => writer.put(file, &[wish]).map(drop),
        None => writer.delete(file).map(drop),
    }
}

/// Writes to the operators' folder, when no other command does.
async fn written(
    write: impl Fn(&StateWriter) -> Result<(), StateError> + Clone + Send + 'static,
    state: PathBuf,
) -> anyhow::Result<()> {
    let mut tries = 0;
    loop {
        let (write, folder) = (write.clone(), state.clone());
        let once = move || write(&StateWriter::open(&folder, &Role::Operator)?);
        match spawn_blocking(once).await.context("the task that writes the state folder failed")? {
            Err(StateError::InUse(_)) if tries < TRIES => {
                tries += 1;
                sleep(BETWEEN).await;
            }
            other => return other.with_context(|| told(&state)),
        }
    }
}

fn told(state: &Path) -> String {
    format!("writing what is asked for to {}", state.display())
}
