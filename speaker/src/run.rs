// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One speaker from start to end: what feeds what.
//!
//! ```text
//! Directory ─────────────> intent ─┬─> data path, health checks ─> gates ─┐
//!                                  └───────────────> wanted <─────────────┴─> placement (with the interfaces) ─> layer-2 thread
//!                                                       └─> spoken ─> sessions with routers
//! what operators ask (annotations) ─> moves ─> layer-2 thread
//! layer-2 thread ─> bound addresses; events ─> log;   observed (and all of the above) ─> status, written aside
//! ```
//!
//! Everything but the layer-2 thread runs on the caller's runtime; nothing that happens on it delays a hello.

mod deciding;
mod decision;
mod serving;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ferrolb_config::Objects;
use ferrolb_layer2::{Budget, ClusterId, Event, NodeId};
use ferrolb_source::kube::{Cluster, ClusterWriter, Interest, KubeOptions};
use ferrolb_source::metrics::{self, Endpoint, Readiness, Registry};
use ferrolb_source::{Directory, Role, StateWriter};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use self::deciding::{Decisions, decide};
use self::serving::{answer, serve};
use crate::answering::Answering;
use crate::bgp::Speaking;
use crate::bound::{BinderThread, LIFETIME};
use crate::datapath::{self, Setup};
use crate::gates::GateKeepers;
use crate::health;
use crate::hello_keys::{self, HelloKeys, KeyState};
use crate::kernel::priority::{self, Shortcoming};
use crate::kernel::{LinkMonitor, rights};
use crate::layer2::{Ended, Identity, Layer2, Refusals, SegmentEvent, Wanted, keep_placed};
use crate::metrics::Metrics;
use crate::moves::Mover;
use crate::names::Names;
use crate::neighbours;
use crate::options::{Options, Source};
use crate::profile::{self, InForce};
use crate::rebalance::Balancer;
use crate::status::{self, About, Desk, Happened, Known, Sources};
use crate::turn::Turn;

/// A log line that is written so much later than what it tells says so.
const LATE: Duration = Duration::from_millis(5);
/// How long the other nodes have to take over before this one ends regardless.
const DRAIN_AT_MOST: Duration = Duration::from_secs(3);
/// How long the last words may take.
const LEAVE_AT_MOST: Duration = Duration::from_secs(1);

/// Carries addresses on this node until `shutdown` becomes true, then hands everything over and returns.
///
/// # Errors
/// A right, a key or a folder is missing, or a part of the speaker ended.
pub async fn run(options: Options, mut shutdown: watch::Receiver<bool>) -> anyhow::Result<()> {
    let setup = options.setup()?;
    if let Err(error) = rights::pass_on_to_tools() {
        warn!(%error, "cannot pass the network rights on to nft and conntrack");
    }
    let shortcomings: Vec<_> = priority::lock_memory().err().into_iter().collect();
    for shortcoming in &shortcomings {
        warn!("{shortcoming}");
    }
    let profile = profile::in_force(options.profile, shortcomings.first());
    match &profile.refusal {
        Some(refusal) => warn!("{refusal}"),
        None => info!(profile = profile.profile.name(), "the times of layer 2"),
    }
    let starting = Speaker::start(options, setup, shortcomings, profile);
    let speaker = tokio::select! {
        speaker = starting => speaker?,
        _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
    };
    speaker.run(shutdown).await
}

/// All parts, running.
struct Speaker {
    options: Options,
    layer2: Layer2,
    events: mpsc::Receiver<SegmentEvent>,
    monitor: LinkMonitor,
    data_path: datapath::Handle,
    gates: GateKeepers,
    bound: BinderThread,
    objects: watch::Receiver<Arc<Objects>>,
    decisions: Decisions,
    speaking: Speaking,
    want: watch::Receiver<Option<Arc<Wanted>>>,
    refusals: watch::Sender<Refusals>,
    happened: watch::Sender<Happened>,
    hello_keys: HelloKeys,
    shown_keys: watch::Sender<KeyState>,
    elsewhere: watch::Sender<usize>,
    status: Status,
    readiness: Readiness,
    _endpoint: Option<Endpoint>,
    _answering: Option<Answering>,
    // Dropped last: the next speaker of this node begins then.
    _turn: Option<Turn>,
}

/// Where the speaker tells what it sees.
enum Office {
    Directory(StateWriter),
    Cluster(ClusterWriter),
}

/// The same at work.
enum Status {
    Directory(Box<status::Directory>),
    Cluster(Box<status::Cluster>),
}

impl Status {
    async fn run(&mut self) -> Result<Infallible, Ended> {
        match self {
            Self::Directory(status) => status.run().await,
            Self::Cluster(status) => status.run().await,
        }
    }

    async fn finish(&mut self) {
        match self {
            Self::Directory(status) => status.finish().await,
            Self::Cluster(status) => status.finish().await,
        }
    }
}

/// In a cluster an update may start the next speaker beside the last; without one, a second speaker is a mistake, which
/// [`open`] refuses.
async fn turn(options: &Options) -> anyhow::Result<Option<Turn>> {
    match &options.source {
        Source::Cluster(KubeOptions { state: Some(state), .. }) => {
            Turn::wait(state, &options.node_name).await.map(Some)
        }
        Source::Cluster(_) | Source::Directory { .. } => Ok(None),
    }
}

/// Opens the source of objects and the way to tell.
async fn open(
    options: &Options,
    registry: &mut Registry,
) -> anyhow::Result<(watch::Receiver<Arc<Objects>>, Office)> {
    match &options.source {
        Source::Directory { source, state } => {
            let role = Role::Speaker(options.node_name.clone());
            let (folder, writers) = (state.clone(), role.clone());
            let writer = spawn_blocking(move || StateWriter::open(&folder, &writers))
                .await
                .context("the task that opens the state folder failed")??;
            let objects = Directory::watch(source.clone(), state.clone(), Some(role)).await?;
            Ok((objects, Office::Directory(writer)))
        }
        Source::Cluster(cluster) => {
            let cluster = Cluster::connect(cluster.clone()).await?;
            let objects = cluster.watch(Interest::Speaker { node: options.node_name.clone() }).await?;
            cluster.register(registry);
            Ok((objects, Office::Cluster(cluster.writer())))
        }
    }
}

impl Speaker {
    async fn start(
        options: Options,
        setup: Setup,
        shortcomings: Vec<Shortcoming>,
        profile: InForce,
    ) -> anyhow::Result<Self> {
        let turn = turn(&options).await?;
        let (path, name) = (options.hello_key_file.clone(), options.cluster.clone());
        let (hello_keys, keys) = spawn_blocking(move || HelloKeys::open(path.as_deref(), &name))
            .await
            .context("the task that reads the hello key failed")??;
        let (shown_keys, keys_shown) = hello_keys::show(&keys);
        let mut registry = Registry::with_prefix(metrics::PREFIX);
        let (objects, office) = open(&options, &mut registry).await?;
        let monitor = LinkMonitor::start().await?;
        let id = NodeId::of(&options.cluster, &options.node_name);
        let cluster = ClusterId::of(&options.cluster);
        let (timing, budget) = (profile.profile.timing(), Budget::per_second(options.announce_rate));
        let identity = Identity { cluster, node: id, keys, timing, budget };
        let bound = BinderThread::start().context("cannot start the thread that binds addresses")?;
        let layer2 = Layer2::start_with(identity, Some(bound.binder()));
        let (layer2, events) = layer2.context("cannot start the layer-2 thread")?;
        let (data_path_sender, desired) = watch::channel(None);
        let data_path = datapath::start(setup, desired);
        let (wanted_sender, want) = watch::channel(None);
        let (spoken_sender, spoken) = watch::channel(None);
        let (known_sender, known) = watch::channel(Arc::default());
        let (refusals, refused) = watch::channel(Refusals::new());
        let (happened, happens) = watch::channel(Happened::new());
        let (check_sender, checks) = watch::channel(Arc::default());
        let gates = GateKeepers {
            data_path: data_path.observed(),
            health: health::start(checks),
            unbindable: bound.unbindable(),
            no_binding: options.no_binding(),
        };
        let (elsewhere, imbalance) = watch::channel(0);
        let speaking = Speaking::new(&options.node_name, spoken, monitor.links(), options.bgp_listen.clone());
        let sources = Sources {
            known,
            layer2: layer2.observed(),
            routers: speaking.picture(),
            gates: gates.clone(),
            links: monitor.links(),
            refusals: refused,
            happened: happens,
            keys: keys_shown,
            imbalance,
        };
        let readiness = Readiness::default();
        let metrics = Metrics {
            known: sources.known.clone(),
            layer2: sources.layer2.clone(),
            routers: sources.routers.clone(),
            data_path: data_path.observed(),
            happened: sources.happened.clone(),
        };
        metrics.register(&mut registry);
        let endpoint = serve(options.metrics_address, registry, &readiness).await;
        let answering = answer(&options, speaking.picture());
        let about = About { node: options.node_name.clone(), id, shortcomings, profile };
        let desk = Desk::new(about, sources);
        let status = match office {
            Office::Directory(state) => {
                Status::Directory(Box::new(status::Directory::new(desk, objects.clone(), state)))
            }
            Office::Cluster(writer) => {
                Status::Cluster(Box::new(status::Cluster::new(desk, objects.clone(), writer)))
            }
        };
        let decisions = Decisions {
            data_path: data_path_sender,
            checks: check_sender,
            wanted: wanted_sender,
            spoken: spoken_sender,
            known: known_sender,
        };
        Ok(Self {
            options,
            layer2,
            events,
            monitor,
            data_path,
            gates,
            bound,
            objects,
            decisions,
            speaking,
            want,
            refusals,
            happened,
            hello_keys,
            shown_keys,
            elsewhere,
            status,
            readiness,
            _endpoint: endpoint,
            _answering: answering,
            _turn: turn,
        })
    }

    async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> anyhow::Result<()> {
        let stop = async {
            if shutdown.wait_for(|stop| *stop).await.is_err() {
                warn!("nobody can ask this speaker to end any more: ending");
            }
            drain(&self.layer2).await;
        };
        let (known, nodes) = (self.decisions.known.subscribe(), self.objects.clone());
        let balancer = Balancer {
            me: NodeId::of(&self.options.cluster, &self.options.node_name),
            cluster: &self.options.cluster,
            mode: self.options.rebalance,
            layer2: &self.layer2,
            known: known.clone(),
            elsewhere: self.elsewhere.clone(),
        };
        let mover = Mover {
            node: &self.options.node_name,
            cluster: &self.options.cluster,
            layer2: &self.layer2,
            objects: self.objects.clone(),
            known: known.clone(),
        };
        tokio::select! {
            ended = decide(&self.options, &self.decisions, &self.readiness, self.objects, self.gates) => match ended? {},
            ended = keep_placed(&self.layer2, self.want, self.monitor.links(), self.refusals) => match ended? {},
            ended = self.speaking.run() => match ended? {},
            ended = mover.run() => match ended? {},
            ended = neighbours::follow(&self.layer2, nodes, &self.options.cluster) => match ended? {},
            ended = self.hello_keys.follow(&self.layer2, &self.shown_keys) => match ended? {},
            ended = balancer.run() => match ended? {},
            ended = tell(&mut self.events, &known, &self.happened) => match ended? {},
            ended = self.status.run() => match ended? {},
            () = stop => {}
        }
        self.speaking.finish().await;
        if let Err(condition) = self.data_path.linger(self.options.linger).await {
            warn!(%condition, "the rules in the kernel stay without limit; ferrolb cleanup removes them");
        }
        match timeout(LEAVE_AT_MOST, self.layer2.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "no last words to the neighbours"),
            Err(_) => warn!("the layer-2 thread does not end"),
        }
        if timeout(LEAVE_AT_MOST, self.bound.finish()).await.is_err() {
            warn!(
                "some addresses are still on an interface; the kernel removes them within {} s",
                LIFETIME.as_secs()
            );
        }
        while let Ok(event) = self.events.try_recv() {
            log(&event, &known.borrow().names);
        }
        self.status.finish().await;
        info!("the speaker has ended");
        Ok(())
    }
}

/// Gives everything to the other nodes.
async fn drain(layer2: &Layer2) {
    match timeout(DRAIN_AT_MOST, layer2.drain()).await {
        Ok(Ok(())) => info!("everything is handed over, or nobody can take the rest"),
        Ok(Err(error)) => warn!(%error, "nothing can be handed over"),
        Err(_) => warn!("some addresses could not be handed over within {} s", DRAIN_AT_MOST.as_secs()),
    }
}

/// Logs and counts what happens on the segments.
async fn tell(
    events: &mut mpsc::Receiver<SegmentEvent>,
    known: &watch::Receiver<Arc<Known>>,
    happened: &watch::Sender<Happened>,
) -> Result<Infallible, Ended> {
    loop {
        let event = events.recv().await.ok_or(Ended)?;
        log(&event, &known.borrow().names);
        happened.send_modify(|happened| {
            let count = happened.entry(counted_as(&event.event)).or_default();
            *count = count.saturating_add(1);
        });
    }
}

/// A line whose time is not that of the event says by how much.
fn log(SegmentEvent { segment, event, at }: &SegmentEvent, names: &Names) {
    let text = names.event(event);
    let late = at.elapsed();
    let late_ms = (late >= LATE).then_some(late.as_secs_f64() * 1000.0);
    match event {
        Event::NobodyTook { .. }
        | Event::ForeignAnswer { .. }
        | Event::InUse { .. }
        | Event::DuplicateIdentity { .. }
        | Event::SteppedAside { .. }
        | Event::Shaky(_)
        | Event::Stalled(_) => warn!(segment, late_ms, "{text}"),
        _ => info!(segment, late_ms, "{text}"),
    }
}

fn counted_as(event: &Event) -> &'static str {
    match event {
        Event::Claimed { .. } => "claims",
        Event::Announcing { .. } => "quietEnded",
        Event::Yielded { .. } => "yields",
        Event::NobodyTook { .. } => "nobodyTook",
        Event::PeerUp(_) => "peersUp",
        Event::PeerDown(..) => "peersDown",
        Event::ForeignAnswer { .. } => "foreignAnswers",
        Event::InUse { .. } => "addressesInUse",
        Event::DuplicateIdentity { .. } => "duplicateIdentities",
        Event::SteppedAside { .. } => "steppedAside",
        Event::Shaky(_) => "penalties",
        Event::Stalled(_) => "ownStalls",
    }
}
