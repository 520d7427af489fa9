// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tables as they stand in docs/benchmarks.md.

use std::fmt;

use crate::quantiles::Quantiles;
use crate::report::Report;

/// A row: what it shows, and a cell for each column.
pub(crate) fn row(f: &mut fmt::Formatter<'_>, label: &str, cells: &[String]) -> fmt::Result {
    writeln!(f, "| {label} | {} |", cells.join(" | "))
}

/// The first two lines of a table.
pub(crate) fn head(f: &mut fmt::Formatter<'_>, label: &str, columns: &[String]) -> fmt::Result {
    row(f, label, columns)?;
    writeln!(f, "|{}", "---|".repeat(columns.len() + 1))
}

/// What was not measured is a dash.
pub(crate) fn or_dash<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The greatest alone.
pub(crate) fn greatest(quantiles: Option<Quantiles>) -> String {
    or_dash(quantiles.map(|quantiles| format!("{:.0}", quantiles.max)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::failover::Table(&self.failover))?;
        write!(f, "{}", crate::partition::Table(&self.partition))?;
        write!(f, "{}", crate::darkness::Table(&self.darkness))?;
        write!(f, "{}", crate::scale::Table(&self.crash_at_scale, &self.hand_over_at_scale))?;
        write!(f, "{}", crate::arp::Table(&self.arp))?;
        write!(f, "{}", crate::crowd::Table(&self.crowd))?;
        write!(f, "{}", crate::quiet::Table(&self.quiet))?;
        write!(f, "{}", crate::idle::Table(&self.idle))?;
        write!(f, "{}", crate::cut::Table(&self.cut))?;
        write!(f, "{}", crate::restart::Table(&self.restart))?;
        write!(f, "{}", crate::calm::Table(&self.calm))?;
        write!(f, "{}", crate::burst::Table(&self.burst))?;
        write!(f, "{}", crate::bgp::routes::Table(&self.routes))?;
        write!(f, "{}", crate::bgp::peers::Table(&self.peers))?;
        write!(f, "{}", crate::bgp::services::Table(&self.services))?;
        write!(f, "{}", crate::bgp::announce::Table(&self.announce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_nothing_says_nothing() {
        assert_eq!(Report::default().to_string(), "");
    }
}
