// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The shape of `ferrolb bgp peers|neighbor -o json|yaml`. Fields may be added; none is renamed or removed within its version.

use ferrolb_config::Objects;
use ferrolb_config::api::BGPSession;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::VERSION;
use crate::status::is_silent;

/// How speakers stand with routers.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionsReport {
    /// The version of the report's shape.
    pub(super) version: String,
    /// When this was read; every age counts from here.
    pub(super) read_at: Time,
    /// By the names of nodes and BGPPeers.
    pub(super) sessions: Vec<SessionReport>,
    /// How many sessions the speakers do not tell of, since they are too many.
    pub(super) left_out: u32,
}

/// One node and one router.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionReport {
    /// The node.
    pub(super) node: String,
    /// Its speaker has been silent for so long that all this may be past.
    pub(super) silent: bool,
    /// As the speaker says.
    #[serde(flatten)]
    pub(super) session: BGPSession,
}

/// The sessions that are asked for, as of `now`.
pub(super) fn sessions(
    objects: &Objects,
    now: Timestamp,
    asked: impl Fn(&SessionReport) -> bool,
) -> SessionsReport {
    let statuses = || objects.speakers.values().filter_map(|speaker| speaker.status.as_ref());
    let sessions = objects.speakers.iter().flat_map(|(node, speaker)| {
        let silent = is_silent(speaker, now);
        let of = speaker.status.iter().flat_map(|status| &status.bgp);
        of.map(move |session| SessionReport { node: node.clone(), silent, session: session.clone() })
    });
    SessionsReport {
        version: VERSION.to_owned(),
        read_at: Time(now),
        sessions: sessions.filter(asked).collect(),
        left_out: statuses().fold(0, |sum, status| sum.saturating_add(status.bgp_left_out)),
    }
}
