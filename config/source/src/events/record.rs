// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The task that writes events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kube::Api;
use ::kube::api::{Patch, PatchParams, PostParams};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::{Event as ApiEvent, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tracing::debug;

use super::queue::{Next, Offered, Queue};
use super::{Counts, Event, Recorder, Word};
use crate::kube::connection::Connection;

/// How long one write may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The controller's name in events.
const CONTROLLER: &str = "ferrolb.io/controller";
/// Where events of cluster-scoped objects are kept.
const DEFAULT_NAMESPACE: &str = "default";
/// How many octets a note may have.
const LONGEST_NOTE: usize = 1024;
/// How many octets the reporter's instance may have.
const LONGEST_INSTANCE: usize = 128;

/// Starts the task; it ends when the last recorder is gone and everything is written.
pub(crate) fn record(connection: Arc<Connection>, instance: &str, counts: Counts) -> Recorder {
    let counts = Arc::new(counts);
    let (recorder, told) = Recorder::new(Arc::clone(&counts));
    let instance = shortened(instance, LONGEST_INSTANCE).to_owned();
    tokio::spawn(Scribe { connection, instance, counts, queue: Queue::new(Instant::now()) }.run(told));
    recorder
}

struct Scribe {
    connection: Arc<Connection>,
    instance: String,
    counts: Arc<Counts>,
    queue: Queue,
}

impl Scribe {
    async fn run(mut self, mut told: mpsc::Receiver<Event>) {
        let mut is_open = true;
        loop {
            let now = Instant::now();
            let wake = self.queue.next_deadline(now);
            if !is_open && wake.is_none() {
                return;
            }
            tokio::select! {
                event = told.recv(), if is_open => match event {
                    Some(event) => self.offer(event),
                    None => is_open = false,
                },
                () = sleep_until(wake.unwrap_or(now).into()), if wake.is_some() => {
                    if let Some(next) = self.queue.next(Instant::now()) {
                        self.write(next).await;
                    }
                }
            }
        }
    }

    fn offer(&mut self, event: Event) {
        match self.queue.offer(event, Instant::now()) {
            Offered::Waiting => {}
            Offered::Repeated => self.counts.add(Word::Repeated, 1),
            Offered::InsteadOf(dropped) => self.counts.add(Word::Dropped, dropped),
        }
    }

    async fn write(&mut self, next: Next) {
        let (event, written) = match next {
            Next::New(event) => {
                let written = self.create(&event).await;
                (event, written)
            }
            Next::Repeated { event, name, count } => {
                let written = self.update(&event, &name, count).await;
                (event, written)
            }
        };
        match written {
            Ok(name) => {
                self.counts.add(Word::Written, 1);
                self.queue.written(&event, name);
            }
            Err(error) => {
                debug!(object = %event.object, error, "cannot write an event");
                self.counts.add(Word::Failed, 1);
                self.queue.failed(&event);
            }
        }
    }

    async fn create(&self, event: &Event) -> Result<String, String> {
        // As client-go names them: unique enough, and the object's name comes first.
        let name = format!("{}.{:016x}", event.object.name, fastrand::u64(..));
        let object = self.object(event, &name);
        let created = timeout(ANSWER, self.api(event).create(&PostParams::default(), &object)).await;
        created.map_err(|error| error.to_string())?.map(|_| name).map_err(|error| error.to_string())
    }

    async fn update(&self, event: &Event, name: &str, count: u32) -> Result<String, String> {
        let series = EventSeries {
            count: i32::try_from(count).unwrap_or(i32::MAX),
            last_observed_time: MicroTime(Timestamp::now()),
        };
        let patch = Patch::Merge(json!({ "series": series }));
        let api = self.api(event);
        let updated = timeout(ANSWER, api.patch(name, &PatchParams::default(), &patch)).await;
        updated
            .map_err(|error| error.to_string())?
            .map(|_| name.to_owned())
            .map_err(|error| error.to_string())
    }

    fn api(&self, event: &Event) -> Api<ApiEvent> {
        let (client, _) = self.connection.client();
        Api::namespaced(client, event.object.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))
    }

    fn object(&self, event: &Event, name: &str) -> ApiEvent {
        let namespace = event.object.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        ApiEvent {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            action: Some(event.action.to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(shortened(&event.note, LONGEST_NOTE).to_owned()),
            reason: Some(event.reason.clone()),
            regarding: Some(event.reference()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(event.tone.to_string()),
            ..ApiEvent::default()
        }
    }
}

/// The beginning of `text` that has at most `most` octets.
fn shortened(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("añb", 2), "a");
        assert_eq!(shortened("añb", 3), "añ");
        assert_eq!(shortened("añb", 9), "añb");
    }
}
