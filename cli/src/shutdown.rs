// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The first signal asks the parts of the process to hand over and end; a second one ends it at once.

use std::future::Future;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// The wish that the process end.
#[derive(Clone)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// Wished by SIGTERM or SIGINT. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers cannot be put in place.
    pub fn on_signal() -> anyhow::Result<Self> {
        let mut signals = Signals {
            terminate: signal(SignalKind::terminate()).context("installing the handler for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("installing the handler for SIGINT")?,
        };
        let shutdown = Self(watch::Sender::new(false));
        let wish = shutdown.clone();
        tokio::spawn(async move {
            let name = signals.next().await;
            info!("{name}: ending in good order; a second signal ends the process at once");
            wish.begin();
            let name = signals.next().await;
            warn!("{name} again: ending at once");
            std::process::exit(1);
        });
        Ok(shutdown)
    }

    /// Becomes `true` when the process is to end.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Runs `part`; when it ends, for whatever reason, the others are to end too.
    pub async fn together<T>(&self, part: impl Future<Output = T>) -> T {
        let result = part.await;
        self.begin();
        result
    }

    fn begin(&self) {
        self.0.send_replace(true);
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_fails_ends_the_others() {
        let shutdown = Shutdown(watch::Sender::new(false));
        let mut wish = shutdown.subscribe();
        let fails = shutdown.together(async { Err::<(), _>("disk full") });
        let works = shutdown.together(async move { wish.wait_for(|end| *end).await.map(|_| "handed over") });
        let (failed, worked) = tokio::join!(fails, works);
        assert_eq!(failed, Err("disk full"));
        assert_eq!(worked.unwrap(), "handed over");
    }
}
