// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions with routers, by the name of the BGPPeer.

use std::fmt;

use ferrolb_bfd::{SessionView, State};
use ferrolb_bgp::Kind;
use ferrolb_config::api::SessionState;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::bgp::{Picture, Seen, View};

/// A number of each session.
type OfSession = (&'static str, &'static str, MetricType, fn(&View) -> u64);
/// A number of each path that is watched.
type OfPath = (&'static str, &'static str, MetricType, fn(&SessionView) -> u64);

const SESSIONS: [OfSession; 10] = [
    ("bgp_sessions", "Sessions that were set up", MetricType::Counter, |view| view.peer.counts.sessions),
    ("bgp_failures", "Attempts that led to no session", MetricType::Counter, |view| {
        view.peer.counts.failures
    }),
    ("bgp_updates_sent", "UPDATE messages sent with routes", MetricType::Counter, |view| {
        view.routes.messages
    }),
    ("bgp_routes_announced", "Routes that the router was told", MetricType::Gauge, |view| {
        count(view.routes.sent)
    }),
    ("bgp_routes_wanted", "Routes that the router shall know", MetricType::Gauge, |view| {
        count(view.routes.wished.unwrap_or_default())
    }),
    ("bgp_routes_waiting", "Routes that wait to be sent or withdrawn", MetricType::Gauge, |view| {
        count(view.routes.waiting)
    }),
    ("bgp_routes_unsendable", "Routes that the session cannot carry", MetricType::Gauge, |view| {
        count(view.routes.unsendable)
    }),
    ("bgp_routes_received", "Routes that the router announced; none is kept", MetricType::Counter, |view| {
        view.peer.counts.routes_announced
    }),
    ("bgp_routes_withdrawn_by_peer", "Routes that the router withdrew", MetricType::Counter, |view| {
        view.peer.counts.routes_withdrawn
    }),
    ("bgp_attribute_faults", "Wrong attributes that a session survived", MetricType::Counter, |view| {
        view.peer.counts.attribute_faults
    }),
];

const PATHS: [OfPath; 6] = [
    ("bfd_session_up", "Whether the path to the router is up", MetricType::Gauge, |path| {
        u64::from(path.state == State::Up)
    }),
    ("bfd_session_ups", "How often the path came up", MetricType::Counter, |path| path.counts.ups),
    ("bfd_session_downs", "How often the path went down", MetricType::Counter, |path| path.counts.downs),
    ("bfd_packets_sent", "BFD packets sent", MetricType::Counter, |path| path.counts.sent),
    ("bfd_packets_received", "BFD packets received and taken", MetricType::Counter, |path| {
        path.counts.received
    }),
    ("bfd_packets_discarded", "BFD packets received and not taken", MetricType::Counter, |path| {
        path.counts.discarded
    }),
];

pub(super) fn encode(to: &mut DescriptorEncoder<'_>, routers: &Picture) -> fmt::Result {
    up(to, routers)?;
    let views: Vec<(&str, View)> = routers.values().filter_map(view).collect();
    for (name, help, kind, number) in SESSIONS {
        each(to, (name, help, kind), views.iter().map(|(peer, view)| (*peer, number(view))))?;
    }
    messages(to, ("bgp_messages_received", "Messages received, by type"), &views, |view, kind| {
        view.peer.counts.received(kind)
    })?;
    messages(
        to,
        ("bgp_messages_sent", "Messages sent that carry no routes, by type"),
        &views,
        |view, kind| view.peer.counts.sent(kind),
    )?;
    let paths: Vec<(&str, SessionView)> = routers.values().filter_map(path).collect();
    for (name, help, kind, number) in PATHS {
        each(to, (name, help, kind), paths.iter().map(|(peer, path)| (*peer, number(path))))?;
    }
    Ok(())
}

fn view(seen: &Seen) -> Option<(&str, View)> {
    Some((&seen.told.peer, seen.live.as_ref()?.view()))
}

fn path(seen: &Seen) -> Option<(&str, SessionView)> {
    Some((&seen.told.peer, seen.live.as_ref()?.path()?.session?))
}

/// Of every router that the node is to speak to, be it that it cannot.
fn up(to: &mut DescriptorEncoder<'_>, routers: &Picture) -> fmt::Result {
    let of = ("bgp_session_up", "Whether there is a session with the router", MetricType::Gauge);
    let up = |seen: &Seen| match &seen.live {
        Some(live) => live.is_established(),
        None => seen.told.state == SessionState::Established,
    };
    each(to, of, routers.values().map(|seen| (seen.told.peer.as_str(), u64::from(up(seen)))))
}

fn each<'a>(
    to: &mut DescriptorEncoder<'_>,
    (name, help, kind): (&str, &str, MetricType),
    values: impl Iterator<Item = (&'a str, u64)>,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, kind)?;
    for (peer, value) in values {
        let labels = [("peer", peer)];
        let to = family.encode_family(&labels)?;
        match kind {
            MetricType::Gauge => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(to)?,
            _ => ConstCounter::new(value).encode(to)?,
        }
    }
    Ok(())
}

fn messages(
    to: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    views: &[(&str, View)],
    number: fn(&View, Kind) -> u64,
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (peer, view) in views {
        for kind in Kind::ALL {
            let labels = [("peer", *peer), ("type", kind.name())];
            ConstCounter::new(number(view, kind)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::api::BGPSession;
    use prometheus_client::collector::Collector;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Shown(Picture);

    impl Collector for Shown {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            super::encode(&mut encoder, &self.0)
        }
    }

    #[test]
    fn met_006_met_007_met_008_messages_waiting_routes_and_the_path_are_counted_by_peer() {
        let told = BGPSession { peer: "rack".to_owned(), ..BGPSession::default() };
        let (live, _shown) = crate::bgp::live_in_tests();
        let picture = Picture::from([("rack".to_owned(), Seen { told: Arc::new(told), live: Some(live) })]);
        let mut registry = Registry::with_prefix("ferrolb");
        registry.register_collector(Box::new(Shown(picture)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "ferrolb_bgp_session_up{peer=\"rack\"} 0\n",
            "ferrolb_bgp_messages_received_total{peer=\"rack\",type=\"NOTIFICATION\"} 3\n",
            "ferrolb_bgp_messages_sent_total{peer=\"rack\",type=\"KEEPALIVE\"} 0\n",
            "ferrolb_bgp_routes_waiting{peer=\"rack\"} 5\n",
            "ferrolb_bfd_session_up{peer=\"rack\"} 1\n",
            "ferrolb_bfd_session_downs_total{peer=\"rack\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
