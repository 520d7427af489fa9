// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses that kube-proxy may not know yet: pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::super::model::{DataPath, Role};

/// kube-proxy takes up a new address within its sync period, a second unless configured otherwise, and later on a busy
/// node.
const GRACE: Duration = Duration::from_secs(5);

/// Since when addresses are known. What is sent to one that kube-proxy does not know yet must not be refused: a client that
/// hears nothing tries again a second later, one that is refused gives up.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    known_since: BTreeMap<IpAddr, Instant>,
}

impl Newcomers {
    /// What the guard shall take the addresses of `desired` for, and when that changes by the mere passing of time.
    pub(super) fn roles(
        &mut self,
        desired: &DataPath,
        now: Instant,
    ) -> (BTreeMap<IpAddr, Role>, Option<Instant>) {
        let mut wakes: Option<Instant> = None;
        let mut known_since = BTreeMap::new();
        let roles = desired.vips.iter().map(|(address, role)| {
            let since = *self.known_since.get(address).unwrap_or(&now);
            known_since.insert(*address, since);
            let known = since + GRACE;
            if known <= now {
                return (*address, *role);
            }
            wakes = Some(wakes.map_or(known, |wakes| wakes.min(known)));
            (*address, Role::Elsewhere)
        });
        let roles = roles.collect();
        self.known_since = known_since;
        (roles, wakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_address_is_not_refused_until_kube_proxy_had_time_to_learn_it() {
        let (old, new): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let of = |addresses: &[IpAddr]| DataPath {
            vips: addresses.iter().map(|address| (*address, Role::Candidate)).collect(),
            ..DataPath::default()
        };
        let begin = Instant::now();
        let mut newcomers = Newcomers::default();
        let (roles, wakes) = newcomers.roles(&of(&[old]), begin);
        assert_eq!((roles[&old], wakes), (Role::Elsewhere, Some(begin + GRACE)));
        let later = begin + GRACE;
        let (roles, wakes) = newcomers.roles(&of(&[old, new]), later);
        assert_eq!((roles[&old], roles[&new]), (Role::Candidate, Role::Elsewhere));
        assert_eq!(wakes, Some(later + GRACE));
        let (roles, wakes) = newcomers.roles(&of(&[old, new]), later + GRACE);
        assert_eq!((roles[&new], wakes), (Role::Candidate, None));
    }

    #[test]
    fn an_address_that_went_is_new_when_it_comes_again() {
        let vips = [("192.0.2.1".parse().unwrap(), Role::Candidate)].into();
        let desired = DataPath { vips, ..DataPath::default() };
        let begin = Instant::now();
        let mut newcomers = Newcomers::default();
        newcomers.roles(&desired, begin);
        newcomers.roles(&DataPath::default(), begin + GRACE);
        let (roles, _) = newcomers.roles(&desired, begin + GRACE);
        assert!(roles.values().all(|role| *role == Role::Elsewhere));
    }
}
