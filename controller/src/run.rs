// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The drivers: they follow a source, and write what each new view of it calls for.

mod cluster;
mod directory;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::watch;
use tracing::info;

pub use cluster::{ClusterOptions, in_cluster};
pub use directory::run;

/// The time to the second, as the API's timestamps have it.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Comes back when `shutdown` holds `true` or its sender is gone.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever wanted the controller to run.
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        info!("nobody holds the controller any more");
    }
}
