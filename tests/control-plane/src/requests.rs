// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Requests counted at the API server (`apiserver_request_total`), since it started.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `services`, `virtualips`, …
    pub resource: String,
    /// `status`, or nothing.
    pub subresource: String,
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`.
    pub verb: String,
    /// The status of HTTP.
    pub code: u16,
}

impl Request {
    /// Whether it asks for a change.
    pub fn writes(&self) -> bool {
        ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&self.verb.as_str())
    }
}

/// How many requests of each kind there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<Request, u64>);

impl Requests {
    /// Reads the text of `/metrics`.
    pub(crate) fn read(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for (request, count) in metrics.lines().filter_map(read_line) {
            *counts.entry(request).or_default() += count;
        }
        Self(counts)
    }

    /// What came since `earlier`, of the same run of the server.
    #[must_use]
    pub fn since(&self, earlier: &Requests) -> Requests {
        let more = self.0.iter().filter_map(|(request, count)| {
            let more = count.saturating_sub(earlier.0.get(request).copied().unwrap_or_default());
            (more > 0).then(|| (request.clone(), more))
        });
        Requests(more.collect())
    }

    /// How many there were of the kinds that `which` picks.
    pub fn count(&self, which: impl Fn(&Request) -> bool) -> u64 {
        self.0.iter().filter(|(request, _)| which(request)).map(|(_, count)| count).sum()
    }

    /// How many asked for a change of anything but leases. (The API server renews one of its own.)
    pub fn writes(&self) -> u64 {
        self.count(|request| request.writes() && request.resource != "leases")
    }
}

/// One line a kind, for a failure's message.
impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Request { resource, subresource, verb, code }, count) in &self.0 {
            let slash = if subresource.is_empty() { "" } else { "/" };
            writeln!(f, "{count:>7} {verb} {resource}{slash}{subresource} -> {code}")?;
        }
        Ok(())
    }
}

/// `apiserver_request_total{code="200",…,verb="GET"} 12`; the values of these labels hold no quotes.
fn read_line(line: &str) -> Option<(Request, u64)> {
    let (labels, count) = line.strip_prefix("apiserver_request_total{")?.split_once("} ")?;
    let label = |name: &str| {
        let value = labels.split("\",").find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
        value.map(|value| value.trim_end_matches('"').to_owned())
    };
    let request = Request {
        resource: label("resource")?,
        subresource: label("subresource")?,
        verb: label("verb")?,
        code: label("code")?.parse().ok()?,
    };
    // Prometheus' text holds floating-point numbers: 1.234e+06.
    let count: f64 = count.parse().ok()?;
    Some((request, count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# HELP apiserver_request_total …
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 12
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 1.5e+02
apiserver_request_total{code="0",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 3
other_total{code="200"} 7
"#;

    #[test]
    fn requests_are_counted_by_kind_and_leases_are_no_writes_of_interest() {
        let requests = Requests::read(METRICS);
        assert_eq!(requests.count(|request| request.code == 409), 2);
        assert_eq!(requests.count(|request| request.resource == "leases"), 150);
        assert_eq!(requests.writes(), 14);
        assert!(requests.to_string().contains("     12 PATCH services/status -> 200\n"), "{requests}");
    }

    #[test]
    fn only_what_came_since_is_counted() {
        let later = METRICS.replace("} 12", "} 20");
        let since = Requests::read(&later).since(&Requests::read(METRICS));
        assert_eq!((since.writes(), since.0.len()), (8, 1));
    }
}
