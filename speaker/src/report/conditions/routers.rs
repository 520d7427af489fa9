// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether the routers know what they shall know.

use ferrolb_config::api::{BGPSession, SessionState};
use ferrolb_config::reason::Reason;

use super::Statement;
use crate::bgp::Picture;

/// Routers that a condition names.
const TOLD: usize = 8;

pub(super) fn of(routers: &Picture) -> impl Iterator<Item = Statement> {
    [
        statement(routers, "RoutersReached", not_reached),
        statement(routers, "RoutesSendable", |session| {
            Some((Reason::RouteNotSendable.to_string(), session.unsendable.clone()?))
        }),
        statement(routers, "PathsWatched", not_watched),
    ]
    .into_iter()
    .flatten()
}

/// What is wrong with some routers, if something is. The first gives the reason.
fn statement(
    routers: &Picture,
    type_: &'static str,
    wrong: impl Fn(&BGPSession) -> Option<(String, String)>,
) -> Option<Statement> {
    let mut found = routers.values().filter_map(|seen| {
        let (reason, message) = wrong(&seen.told)?;
        Some((reason, format!("{}: {message}", seen.told.peer)))
    });
    let (reason, first) = found.next()?;
    let mut told = vec![first];
    told.extend(found.by_ref().take(TOLD - 1).map(|(_, message)| message));
    let more = found.count();
    let more = if more > 0 { format!("; and {more} more, see ferrolb bgp peers") } else { String::new() };
    Some(Statement::fails(type_, &reason, format!("{}{more}", told.join("; "))))
}

/// A session that is tried for the first time has no message yet: that is no failure.
fn not_reached(session: &BGPSession) -> Option<(String, String)> {
    match session.state {
        SessionState::Established => None,
        SessionState::Connecting | SessionState::Blocked => {
            Some((session.reason.clone()?, session.message.clone()?))
        }
    }
}

/// A path that is down ends its session, which is told; one that is not watched does not.
fn not_watched(session: &BGPSession) -> Option<(String, String)> {
    let path = session.bfd.as_ref()?;
    let is_told = session.state == SessionState::Established && path.since.is_none();
    let message = path.message.clone().filter(|_| is_told)?;
    Some((Reason::PathNotWatched.to_string(), format!("the session goes without BFD: {message}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::api::BFDSession;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::bgp::Seen;

    fn session(peer: &str, state: SessionState, why: Option<(Reason, &str)>) -> BGPSession {
        BGPSession {
            peer: peer.to_owned(),
            state,
            reason: why.map(|(reason, _)| reason.to_string()),
            message: why.map(|(_, message)| message.to_owned()),
            ..BGPSession::default()
        }
    }

    fn said(sessions: Vec<BGPSession>) -> Vec<(&'static str, String, String)> {
        let seen = |told: BGPSession| (told.peer.clone(), Seen { told: Arc::new(told), live: None });
        let routers = sessions.into_iter().map(seen).collect();
        of(&routers).map(|it| (it.type_, it.reason, it.message)).collect()
    }

    #[test]
    fn routers_that_are_not_reached_are_named_with_the_reason() {
        let refused = Some((Reason::RouterNotReached, "refused"));
        let secret = Some((Reason::PasswordNotUsable, "there is no Secret key"));
        let told = said(vec![
            session("a", SessionState::Established, None),
            session("b", SessionState::Connecting, refused),
            session("c", SessionState::Connecting, None),
            session("d", SessionState::Blocked, secret),
        ]);
        let message = "b: refused; d: there is no Secret key".to_owned();
        assert_eq!(told, [("RoutersReached", "RouterNotReached".to_owned(), message)]);
        let many =
            (0..20).map(|it| session(&format!("r{it:02}"), SessionState::Connecting, refused)).collect();
        let told = said(many);
        assert!(told[0].2.ends_with("r07: refused; and 12 more, see ferrolb bgp peers"), "{told:?}");
    }

    #[test]
    fn what_is_missing_while_the_session_stands_is_told_too() {
        let path = |since, message: Option<&str>| BFDSession {
            state: "Down".to_owned(),
            since,
            message: message.map(str::to_owned),
            ..BFDSession::default()
        };
        let up = BFDSession { state: "Up".to_owned(), ..path(Some(Time(Timestamp::UNIX_EPOCH)), None) };
        let established = session("a", SessionState::Established, None);
        let told = said(vec![BGPSession {
            unsendable: Some("no IPv6".to_owned()),
            bfd: Some(path(None, Some("the neighbour does not listen for BFD"))),
            ..established.clone()
        }]);
        let types: Vec<_> = told.iter().map(|(type_, reason, _)| (*type_, reason.as_str())).collect();
        assert_eq!(types, [("RoutesSendable", "RouteNotSendable"), ("PathsWatched", "PathNotWatched")]);
        assert!(told[1].2.contains("does not listen"), "{told:?}");
        assert_eq!(said(vec![BGPSession { bfd: Some(up), ..established }]), []);
    }
}
