// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Events (`events.k8s.io/v1`): what people see under `kubectl describe`.
//!
//! Telling never waits and never fails. The same thing told again is counted, not written anew; what is told faster
//! than the API server should be bothered with is dropped, the oldest first, and counted.

mod queue;
mod record;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::ObjectRef;
use k8s_openapi::api::core::v1::ObjectReference;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

pub(crate) use record::record;

/// How many events may wait for the task that writes them.
const QUEUE: usize = 1024;
/// How many events may be written at once after a rest, and how long each takes to be allowed again.
const PACE: (u32, Duration) = (25, Duration::from_millis(100));

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// It is.
    Normal,
    /// Somebody should look.
    Warning,
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        })
    }
}

/// One thing that happened to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The object.
    pub object: ObjectRef,
    /// Its apiVersion: `v1`, `ferrolb.io/v1beta1`.
    pub api_version: String,
    /// Its uid, by which `kubectl describe` finds the event.
    pub uid: Option<String>,
    /// Whether somebody should look.
    pub tone: Tone,
    /// What happened, in CamelCase: a [`Reason`](ferrolb_config::reason::Reason), or `Assigned`.
    pub reason: String,
    /// What was being done, in CamelCase: `Allocate`.
    pub action: &'static str,
    /// What happened, in a sentence.
    pub note: String,
}

impl Event {
    fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.clone()),
            kind: Some(self.object.kind.clone()),
            namespace: self.object.namespace.clone(),
            name: Some(self.object.name.clone()),
            uid: self.uid.clone(),
            ..ObjectReference::default()
        }
    }
}

/// What becomes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fate {
    fate: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    Written,
    Repeated,
    Dropped,
    Failed,
}

impl prometheus_client::encoding::EncodeLabelValue for Word {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        fmt::Write::write_str(
            encoder,
            match self {
                Self::Written => "written",
                Self::Repeated => "repeated",
                Self::Dropped => "dropped",
                Self::Failed => "failed",
            },
        )
    }
}

/// Counts events by what became of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Family<Fate, Counter>);

impl Counts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("events", "Events told, by what became of them", self.0.clone());
    }

    fn add(&self, fate: Word, count: u64) {
        self.0.get_or_create(&Fate { fate }).inc_by(count);
    }
}

/// Tells events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<Event>,
    counts: Arc<Counts>,
}

impl Recorder {
    fn new(counts: Arc<Counts>) -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender, counts }, receiver)
    }

    /// Tells `event`, or drops it when too much is told at once.
    pub fn tell(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.counts.add(Word::Dropped, 1);
        }
    }
}
