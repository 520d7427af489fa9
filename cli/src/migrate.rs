// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! `ferrolb migrate`: moves Services away from what Kubernetes gives up.

use std::io::{self, Write};

use anyhow::Context;
use ferrolb_config::snapshot::Scope;
use ferrolb_controller::migrate::{Migration, Progress};
use ferrolb_source::kube::KubeOptions;

use crate::arguments::MigrateArguments;

/// Makes a Service with external addresses one of type LoadBalancer, tells of it on standard error, and writes what has to
/// stand in its manifest to standard output.
///
/// # Errors
/// The addresses are not FerroLB's to move, or something on the way fails; see [`Migration`].
pub fn external_ips(arguments: MigrateArguments) -> anyhow::Result<()> {
    let MigrateArguments { service, dry_run, load_balancer_class, read_metallb_objects, cluster } = arguments;
    let options = KubeOptions { metallb_namespace: read_metallb_objects, ..cluster.into() };
    let scope = load_balancer_class.map_or(Scope::Ours, Scope::Class);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let manifest = runtime.context("starting the runtime")?.block_on(async {
        let migration = Migration::prepare(options, &service, &scope).await?;
        let manifest = migration.decided().manifest();
        if dry_run {
            writeln!(io::stderr(), "{service} can be moved; nothing was written")?;
            return anyhow::Ok(manifest);
        }
        let mut told = Ok(());
        let tell = |progress| {
            let text = match progress {
                Progress::Asked => "is of type LoadBalancer",
                Progress::Shown => "shows its addresses in its status",
                Progress::Done => "has no external addresses any more",
            };
            told = writeln!(io::stderr(), "{service} {text}");
        };
        migration.carry_out(tell).await?;
        told?;
        Ok(manifest)
    })?;
    Ok(io::stdout().lock().write_all(manifest.as_bytes())?)
}
