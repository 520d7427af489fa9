// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What Prometheus is told, read at each scrape from what the parts of the speaker publish anyway.

mod routers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use ferrolb_source::metrics::Registry;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::bgp::Picture;
use crate::datapath;
use crate::layer2::{Observed, SegmentReport, Traffic};
use crate::report;
use crate::status::{Happened, Known};

/// Reads the speaker's parts.
pub(crate) struct Metrics {
    pub(crate) known: watch::Receiver<Arc<Known>>,
    pub(crate) layer2: watch::Receiver<Arc<Observed>>,
    pub(crate) routers: watch::Receiver<Picture>,
    pub(crate) data_path: watch::Receiver<datapath::Observed>,
    pub(crate) happened: watch::Receiver<Happened>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn register(self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("speaker").register_collector(Box::new(self));
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let to = &mut encoder;
        let (known, layer2) = (Arc::clone(&self.known.borrow()), Arc::clone(&self.layer2.borrow()));
        gauge(to, "virtual_ips", "Addresses in use, as far as this node knows", known.intent.vips.len())?;
        let candidates = known.intent.vips.values().filter(|vip| vip.here.is_ok()).count();
        gauge(to, "candidate_virtual_ips", "Addresses that this node may carry", candidates)?;
        let ready =
            self.data_path.borrow().serving.as_ref().map_or(0, |serving| serving.candidates().count());
        gauge(to, "ready_virtual_ips", "Addresses that it may carry and whose data path is in place", ready)?;
        gauge(
            to,
            "data_path_problems",
            "What is wrong with the data path",
            self.data_path.borrow().conditions.len(),
        )?;
        segments(to, &layer2)?;
        unreachable(to, &layer2)?;
        let picture = self.routers.borrow().clone();
        routers::encode(to, &picture)?;
        counter(to, "events_dropped", "Happenings that were not told in time", layer2.events_dropped)?;
        let happened = self.happened.borrow().clone();
        let name = ("happenings", "Happenings on the segments, by kind");
        let mut family = to.encode_descriptor(name.0, name.1, None, MetricType::Counter)?;
        for (kind, count) in &happened {
            ConstCounter::new(*count).encode(family.encode_family(&[("kind", *kind)])?)?;
        }
        Ok(())
    }
}

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    value.encode(to.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(to.encode_descriptor(name, help, None, MetricType::Counter)?)
}

/// Addresses that this node asked for in vain, or that somebody else answers for, too.
fn unreachable(to: &mut DescriptorEncoder<'_>, layer2: &Observed) -> fmt::Result {
    let (name, help) = (
        "unreachable_virtual_ips",
        "Addresses that this node asked for and that did not answer as they should",
    );
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (interface, segment) in &layer2.segments {
        let mut counts: BTreeMap<Reason, i64> = BTreeMap::new();
        for reason in segment.testimonies.iter().filter_map(|testimony| report::reason(&testimony.verdict)) {
            let count = counts.entry(reason).or_default();
            *count = count.saturating_add(1);
        }
        for (reason, count) in counts {
            let labels = [("interface", interface.as_str()), ("reason", &reason.to_string())];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// A number of each segment.
type Number = fn(&SegmentReport) -> u64;
/// A number of what went through a segment's sockets.
type Count = fn(&Traffic) -> u64;

const TRAFFIC: [(&str, &str, Count); 10] = [
    ("hellos_received", "Hellos read, good or not", |traffic| traffic.hellos_received),
    ("hellos_carried_in", "Hellos read that came in frames, past a filter", |traffic| {
        traffic.carried_received
    }),
    ("hellos_carried_out", "Hellos sent in frames", |traffic| traffic.carried_sent),
    ("hellos_sent", "Hellos sent", |traffic| traffic.hellos_sent),
    ("frames_received", "ARP and neighbour discovery frames read", |traffic| traffic.frames_received),
    ("frames_sent", "ARP and neighbour discovery frames sent", |traffic| traffic.frames_sent),
    ("frames_dropped", "Frames that came faster than they were read", |traffic| traffic.frames_dropped),
    ("send_errors", "Hellos and frames that could not be sent", |traffic| traffic.send_errors),
    ("receive_errors", "Errors while reading", |traffic| traffic.receive_errors),
    ("join_errors", "Failures to join solicited-node groups", |traffic| traffic.join_errors),
];

const COUNTS: [(&str, &str, Number); 7] = [
    ("hellos_believed", "Hellos of neighbours that were believed", |segment| {
        segment.view.counters.hellos_heard
    }),
    ("answers", "Requests for addresses that were answered", |segment| segment.view.counters.answers),
    ("announcements", "Announcements sent", |segment| segment.view.counters.announcements),
    ("probes", "Probes sent", |segment| segment.view.counters.probes),
    ("witness_questions", "Questions for addresses that others carry", |segment| segment.questions),
    ("stalls", "How often the process stood still", |segment| segment.view.counters.stalls),
    ("duplicates", "Answers of others for addresses carried here", |segment| {
        segment.view.counters.duplicates
    }),
];

fn segments(to: &mut DescriptorEncoder<'_>, layer2: &Observed) -> fmt::Result {
    let peers: Number = |segment| u64::try_from(segment.view.peers.len()).unwrap_or(u64::MAX);
    by_interface(
        to,
        layer2,
        MetricType::Gauge,
        ("neighbours", "Speakers that are heard, by interface", peers),
    )?;
    for count in COUNTS {
        by_interface(to, layer2, MetricType::Counter, count)?;
    }
    for (name, help, count) in TRAFFIC {
        let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (interface, segment) in &layer2.segments {
            let labels = [("interface", interface.as_str())];
            ConstCounter::new(count(&segment.traffic)).encode(family.encode_family(&labels)?)?;
        }
    }
    let name = ("hellos_rejected", "Hellos that were not believed, by interface and reason");
    let mut family = to.encode_descriptor(name.0, name.1, None, MetricType::Counter)?;
    for (interface, segment) in &layer2.segments {
        for (reason, count) in segment.view.counters.rejections.iter() {
            let labels = [("interface", interface.as_str()), ("reason", reason.as_str())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn by_interface(
    to: &mut DescriptorEncoder<'_>,
    layer2: &Observed,
    kind: MetricType,
    (name, help, number): (&str, &str, Number),
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, kind)?;
    for (interface, segment) in &layer2.segments {
        let labels = [("interface", interface.as_str())];
        let to = family.encode_family(&labels)?;
        match kind {
            MetricType::Gauge => {
                ConstGauge::new(i64::try_from(number(segment)).unwrap_or(i64::MAX)).encode(to)?
            }
            _ => ConstCounter::new(number(segment)).encode(to)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrolb_config::api::BGPSession;

    use super::*;
    use crate::bgp::Seen;

    #[test]
    fn what_the_parts_publish_is_what_a_scrape_shows() {
        let (_known, known) = watch::channel(Arc::default());
        let traffic = Traffic { hellos_sent: 7, ..Traffic::default() };
        let observed = crate::report::tests::on_a_segment("eth0", traffic);
        let (_layer2, layer2) = watch::channel(Arc::new(observed));
        let (_data_path, data_path) = watch::channel(datapath::Observed::default());
        let (_happened, happened) = watch::channel(Happened::from([("claims", 3)]));
        let mut registry = Registry::with_prefix("ferrolb");
        let blocked = BGPSession { peer: "rack".to_owned(), ..BGPSession::default() };
        let blocked = Seen { told: Arc::new(blocked), live: None };
        let (_routers, routers) = watch::channel(Picture::from([("rack".to_owned(), blocked)]));
        Metrics { known, layer2, routers, data_path, happened }.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "ferrolb_speaker_virtual_ips 0\n",
            "ferrolb_speaker_hellos_sent_total{interface=\"eth0\"} 7\n",
            "ferrolb_speaker_bgp_session_up{peer=\"rack\"} 0\n",
            "ferrolb_speaker_neighbours{interface=\"eth0\"} 0\n",
            "ferrolb_speaker_happenings_total{kind=\"claims\"} 3\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
