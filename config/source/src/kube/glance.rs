// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A look at a cluster, once: for those who ask and go.

use std::fmt;
use std::time::Duration;

use ::kube::Client;
use ferrolb_config::Objects;
use ferrolb_config::reason::Refusal;
use futures::future::join_all;
use tokio::time::sleep;

use super::connection::Connection;
use super::kind::{self, Kind, Scope};
use super::prune::Reader;
use super::query::Query;
use super::store::Listing;
use super::trouble::Trouble;

/// How often an API server that asks for patience is given it, and the longest that it gets at once.
const PATIENCE: (u32, Duration) = (5, Duration::from_secs(3));

/// Why a cluster could not be read. The text names every kind that is missing, and what to do.
#[derive(Debug)]
pub struct ReadError {
    server: String,
    troubles: Vec<(Kind, Trouble)>,
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read from {}: ", self.server)?;
        let forbidden = self.troubles.iter().filter_map(|(kind, trouble)| match trouble {
            Trouble::Forbidden(why) => Some((kind.plural(), why)),
            _ => None,
        });
        let (forbidden, reasons): (Vec<_>, Vec<_>) = forbidden.unzip();
        // Of what is not about one kind, one stands for all: it is about the server.
        let other = self.troubles.iter().find(|(_, trouble)| !matches!(trouble, Trouble::Forbidden(_)));
        match (other, reasons.first()) {
            (Some((kind, trouble @ Trouble::NotInstalled)), _) => match trouble.refusal(*kind) {
                Some(Refusal { message, remedy, .. }) => {
                    write!(f, "{message}. {}", remedy.unwrap_or_default())
                }
                None => write!(f, "{trouble}"),
            },
            (Some((_, trouble)), _) => write!(f, "{trouble}"),
            (None, Some(why)) => {
                write!(f, "may not list {}: {why}. Whoever may ", forbidden.join(", "))?;
                f.write_str("view the cluster may read them all (ClusterRoles view and ferrolb-view).")
            }
            (None, None) => f.write_str("nothing was asked for"),
        }
    }
}

/// Lists what is `wanted`, all kinds at once.
pub(super) async fn glance(
    connection: &Connection,
    reader: Reader,
    wanted: Vec<(Kind, Scope)>,
) -> Result<Objects, ReadError> {
    let (client, _) = connection.client();
    let listings = wanted.into_iter().map(|(kind, scope)| {
        let (query, client) = (Query::new(kind, reader, &scope), client.clone());
        async move { (kind, patiently(&query, &client).await) }
    });
    let (mut objects, mut troubles) = (Objects::default(), Vec::new());
    for (kind, listing) in join_all(listings).await {
        match listing {
            Ok(mut listing) => {
                kind::swap(&mut objects, &mut listing.objects, kind);
                objects.refused.extend(listing.broken.into_iter().map(|broken| broken.refusal));
            }
            Err(trouble) => troubles.push((kind, trouble)),
        }
    }
    if troubles.is_empty() {
        Ok(objects)
    } else {
        Err(ReadError { server: connection.server().to_owned(), troubles })
    }
}

/// Everything of one kind. A server that was told of the kind a moment ago, or is overrun, says when to come back.
async fn patiently(query: &Query, client: &Client) -> Result<Listing, Trouble> {
    for _ in 0..PATIENCE.0 {
        match query.list(client).await {
            Err(Trouble::Busy(asked)) => sleep(asked.unwrap_or(PATIENCE.1).min(PATIENCE.1)).await,
            answer => return answer,
        }
    }
    query.list(client).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(troubles: Vec<(Kind, Trouble)>) -> String {
        ReadError { server: "https://192.0.2.1:6443/".to_owned(), troubles }.to_string()
    }

    #[test]
    fn a_server_that_is_away_is_told_once() {
        let away = || Trouble::Unreachable("connection refused".to_owned());
        assert_eq!(
            told(vec![(Kind::AddressPool, away()), (Kind::Service, away())]),
            "cannot read from https://192.0.2.1:6443/: the API server cannot be reached: connection refused"
        );
    }

    #[test]
    fn what_may_not_be_read_is_all_named_and_what_is_not_installed_has_its_remedy() {
        let forbidden = || Trouble::Forbidden("services is forbidden".to_owned());
        let text = told(vec![(Kind::Service, forbidden()), (Kind::VirtualIP, forbidden())]);
        assert!(text.contains("may not list services, virtualips: services is forbidden. "), "{text}");
        let text = told(vec![(Kind::AddressPool, Trouble::NotInstalled), (Kind::Service, forbidden())]);
        assert!(text.contains("does not know the kind AddressPool. Install the Custom"), "{text}");
    }
}
