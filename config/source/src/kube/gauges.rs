// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the source tells Prometheus about itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::events::Counts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfKind {
    pub(crate) kind: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfWrite {
    pub(crate) verb: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) outcome: &'static str,
}

/// The metrics of one cluster. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) objects: Family<OfKind, Gauge>,
    pub(crate) refused: Gauge,
    pub(crate) heard: Family<OfKind, Gauge>,
    pub(crate) lists: Family<OfKind, Counter>,
    pub(crate) stale: Gauge,
    pub(crate) unknown: Gauge,
    pub(crate) writes: Family<OfWrite, Counter>,
    pub(crate) unsaved: Counter,
    pub(crate) events: Counts,
}

impl Gauges {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let source = registry.sub_registry_with_prefix("source");
        source.register("objects", "Objects in the view, by kind", self.objects.clone());
        source.register("refused", "Kinds and objects that cannot be read", self.refused.clone());
        source.register(
            "heard_timestamp_seconds",
            "When the API server was last heard of, by kind watched, in Unix time",
            self.heard.clone(),
        );
        source.register("lists", "How often everything of a kind was listed", self.lists.clone());
        source.register("stale", "1 while the API server is out of reach", self.stale.clone());
        source.register("unknown_kinds", "Kinds of which nothing could be read yet", self.unknown.clone());
        source.register(
            "snapshot_failures",
            "How often the view could not be saved to the disk",
            self.unsaved.clone(),
        );
        registry.register(
            "api_writes",
            "Writes to the API server, by verb, resource and outcome",
            self.writes.clone(),
        );
        self.events.register(registry);
    }
}
