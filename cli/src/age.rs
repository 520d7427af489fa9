// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Ages as people say them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The time between two moments as people say it: `12s`, `3m`, `2h5m`, `3d`. A moment to come counts as now.
pub fn age(since: &Time, now: &Time) -> String {
    let seconds = now.0.duration_since(since.0).as_secs().max(0);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400.. => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_the_unit_that_people_would_use() {
        let now: Time = Time("2026-11-21T12:00:00Z".parse().unwrap());
        let ages = [
            ("2026-11-21T12:00:30Z", "0s"),
            ("2026-11-21T11:58:01Z", "119s"),
            ("2026-11-21T11:58:00Z", "2m"),
            ("2026-11-21T09:55:00Z", "2h5m"),
            ("2026-11-18T12:00:00Z", "3d"),
        ];
        for (since, expected) in ages {
            assert_eq!(age(&Time(since.parse().unwrap()), &now), expected, "{since}");
        }
    }
}
