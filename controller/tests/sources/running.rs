// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A controller that runs, whatever its source is.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A controller that runs until it is stopped.
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub fn start<F>(controller: impl FnOnce(watch::Receiver<bool>) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(controller(stopped)) }
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        (&mut self.task).await.unwrap().unwrap();
    }
}
