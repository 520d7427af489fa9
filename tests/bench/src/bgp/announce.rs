// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! From the API server to the router: a Service is created, gets its address, is announced, and is deleted again. A real API server,
//! our controller, one speaker, a real kube-proxy, and BIRD, whose kernel says when it has the route.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use ferrolb_control_plane::{Account, Cluster, Installation, ProxyMode, install};
use ferrolb_lab::Place;
use ferrolb_lab::figures::milliseconds;
use ferrolb_lab::rack::{self, Moment, PORT, Rack, Watched};
use ferrolb_lab::router::Daemon;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::burst::cluster::{Sightings, client};
use crate::markdown::{head, or_dash, row};
use crate::quantiles::Quantiles;
use crate::report::{Book, Budget};

/// With BFD, as slow as it is by default.
const WATCHED: Watched = Watched { interval: Duration::from_millis(300), graceful_restart: false };
/// Between two looks at what the kernel said; it says the time itself.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two changes, so that the next meets programs at rest; some of it is drawn.
const PAUSE: Duration = Duration::from_millis(700);
const PAUSE_MORE: u64 = 300;

/// What takes longer is told with what the programs said.
const SLOW: Duration = Duration::from_secs(1);

/// How often.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many Services come and go, one by one
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    services: u32,
}

/// Milliseconds, each from before the request is sent, unless it says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// From the creation until the API server has answered it.
    created: Quantiles,
    /// From the creation until a watch shows the address in the status.
    address: Quantiles,
    /// From the creation until the router's kernel has the route.
    route: Quantiles,
    /// From the address in the status until the route; below zero where the route was first.
    address_to_route: Quantiles,
    /// From the deletion until the API server has answered it.
    deleted: Quantiles,
    /// From the deletion until the router's kernel has lost the route.
    withdrawn: Quantiles,
    /// Sessions that ended meanwhile, by the speaker's own record: what came after waited for a new one.
    sessions_ended: usize,
}

/// What one Service took.
#[derive(Clone, Copy, Debug)]
struct Round {
    created: Duration,
    address: Duration,
    route: Duration,
    deleted: Duration,
    withdrawn: Duration,
}

/// Measures it, if it is not in the book yet.
pub(crate) fn run(binary: &Path, arguments: &Arguments, budget: Budget, book: &mut Book) -> Result<()> {
    if !book.report.announce.is_empty() || budget.is_spent() {
        return Ok(());
    }
    println!("BGP: {} Services at a real API server, one by one.", arguments.services);
    let mut installation = Installation::prepare(Cluster::build(1, ProxyMode::NFTables)?, binary)?;
    let rack = Rack::build(installation.lab(), Daemon::Bird, WATCHED.interval, WATCHED.graceful_restart)?;
    install(installation.kubectl())?;
    for (file, text) in rack::manifests(1, WATCHED) {
        if ["ground.yaml", "router.yaml"].contains(&file) {
            installation.kubectl().apply(&text)?;
        }
    }
    installation.launch()?;
    let plane = installation.cluster().plane();
    let kubeconfig = plane.kubeconfig(&Account::admin())?;
    let namespace = plane.namespace().context("the API server has a namespace")?;
    // The threads of the runtime are in the namespace, since the thread that starts them is.
    let rounds = namespace.run(|| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let client = client(kubeconfig).await?;
            let services = Api::default_namespaced(client.clone());
            let seen = Sightings::of(services.clone()).await?;
            let mut stage = Stage { rack: &rack, services, slices: Api::default_namespaced(client), seen };
            // Until somebody leads, and the sessions stand.
            stage.first().await?;
            let mut rounds = Vec::new();
            for number in 0..arguments.services {
                let round = stage.round(&format!("s{number}")).await?;
                if round.route.max(round.withdrawn) > SLOW {
                    println!("  slow: {round:?}\n{}", installation.logs());
                }
                rounds.push(round);
            }
            Ok(rounds)
        })
    });
    let rounds = rounds.with_context(|| format!("{}\n{}", rack.story(), installation.logs()))?;
    let said = installation.speaker("n1")?.log();
    let ended = said.lines().filter(|line| line.contains("session ended")).count();
    let figures = figures(&rounds, ended).context("nothing was measured")?;
    println!("  {figures:?}");
    book.report.announce.push(figures);
    book.save()
}

fn figures(rounds: &[Round], sessions_ended: usize) -> Option<Figures> {
    let of = |pick: fn(&Round) -> Duration| Quantiles::of(rounds.iter().map(pick));
    let difference = |one: &Round| milliseconds(one.route) - milliseconds(one.address);
    Some(Figures {
        created: of(|one| one.created)?,
        address: of(|one| one.address)?,
        route: of(|one| one.route)?,
        address_to_route: Quantiles::of_milliseconds(rounds.iter().map(difference))?,
        deleted: of(|one| one.deleted)?,
        withdrawn: of(|one| one.withdrawn)?,
        sessions_ended,
    })
}

struct Stage<'a> {
    rack: &'a Rack,
    services: Api<Service>,
    slices: Api<EndpointSlice>,
    seen: Sightings,
}

impl Stage<'_> {
    /// A Service that is not counted.
    async fn first(&mut self) -> Result<()> {
        self.endpoint("first").await?;
        self.services.create(&PostParams::default(), &service("first")?).await?;
        tokio::task::block_in_place(|| self.rack.leads_to(&[Place::Node(1)]))?;
        self.delete("first").await.map(drop)
    }

    async fn round(&mut self, name: &str) -> Result<Round> {
        self.endpoint(name).await?;
        pause().await;
        let (begun, moment) = (Instant::now(), Moment::now());
        self.services.create(&PostParams::default(), &service(name)?).await?;
        let created = begun.elapsed();
        let (_, at) = self.seen.next_of(|seen| seen == name).await?;
        let address = at.duration_since(begun);
        let route = self.route(moment, true).await?;
        pause().await;
        let (deleted, withdrawn) = self.delete(name).await?;
        Ok(Round { created, address, route, deleted, withdrawn })
    }

    /// Makes the one endpoint of a Service to come.
    async fn endpoint(&self, name: &str) -> Result<()> {
        self.slices.create(&PostParams::default(), &slice(name)?).await.map(drop).context("an EndpointSlice")
    }

    /// How long until that is answered, and until the route is gone.
    async fn delete(&self, name: &str) -> Result<(Duration, Duration)> {
        let (begun, moment) = (Instant::now(), Moment::now());
        self.services.delete(name, &DeleteParams::default()).await?;
        let deleted = begun.elapsed();
        Ok((deleted, self.route(moment, false).await?))
    }

    /// How long after `begun` the router's kernel had the route, or had it no more.
    async fn route(&self, begun: Moment, wanted: bool) -> Result<Duration> {
        let patient = Instant::now();
        loop {
            let changes = self.rack.routes().changes(begun);
            if let Some((after, _)) = changes.iter().find(|(_, to)| to.is_empty() != wanted) {
                return Ok(*after);
            }
            ensure!(patient.elapsed() < PATIENCE, "the router's kernel said {changes:?} only");
            sleep(LOOK).await;
        }
    }
}

async fn pause() {
    sleep(PAUSE + Duration::from_millis(fastrand::u64(..PAUSE_MORE))).await;
}

fn service(name: &str) -> Result<Service> {
    let service = json!({
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"name": "http", "port": PORT}]},
    });
    Ok(serde_json::from_value(service)?)
}

fn slice(service: &str) -> Result<EndpointSlice> {
    let slice = json!({
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": PORT}],
        "endpoints": [{"addresses": ["10.244.1.10"], "nodeName": "n1", "conditions": {"ready": true, "serving": true}}],
    });
    Ok(serde_json::from_value(slice)?)
}

/// The figures as Markdown.
pub(crate) struct Table<'a>(pub(crate) &'a [Figures]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(figures) = self.0.last() else { return Ok(()) };
        let Figures { created, address, route, address_to_route, deleted, withdrawn, .. } = figures;
        writeln!(f, "### From the API server to the router\n")?;
        head(f, &format!("{} Services, one by one", route.count), &["ms: min / median / max".to_owned()])?;
        for (label, figure) in [
            ("creation to its answer", created),
            ("creation to the address in the status", address),
            ("creation to the route in the router's kernel", route),
            ("address in the status to the route", address_to_route),
            ("deletion to its answer", deleted),
            ("deletion to no route in the router's kernel", withdrawn),
        ] {
            row(f, label, &[or_dash(Some(*figure))])?;
        }
        writeln!(f, "\nSessions that ended: {}.\n", figures.sessions_ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_is_there_before_its_address_shows_counts_below_zero() {
        let [created, address, route] = [5, 20, 18].map(Duration::from_millis);
        let round = Round { created, address, route, deleted: created, withdrawn: route };
        let figures = figures(&[round], 0).expect("a round");
        assert_eq!(figures.address_to_route.median, -2.0);
        assert_eq!(figures.withdrawn.max, 18.0);
        assert!(super::figures(&[], 0).is_none());
    }
}
