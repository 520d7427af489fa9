// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What has to be in place on this node for it to carry an address that it may carry: rules or an interface, and passing
//! health checks. Each closed gate says why.

use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::reason::Reason;
use tokio::sync::watch;

use crate::bound::Unbindable;
use crate::datapath;
use crate::health::{self, Health};
use crate::intent::{Carriage, Obstacle, VipIntent};
use crate::layer2::Ended;

/// The gates at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gates {
    /// What the data path has come to.
    pub data_path: datapath::Observed,
    /// What the health checks have come to.
    pub health: Arc<Health>,
    /// What cannot be bound on this node, though it should be, and why.
    pub unbindable: Unbindable,
    /// Why nothing can be.
    pub no_binding: Option<Arc<str>>,
}

/// The gates as they become.
#[derive(Debug, Clone)]
pub(crate) struct GateKeepers {
    pub(crate) data_path: watch::Receiver<datapath::Observed>,
    pub(crate) health: watch::Receiver<Arc<Health>>,
    pub(crate) unbindable: watch::Receiver<Unbindable>,
    pub(crate) no_binding: Option<Arc<str>>,
}

impl GateKeepers {
    /// The gates as they are.
    pub(crate) fn look(&mut self) -> Gates {
        Gates {
            data_path: self.data_path.borrow_and_update().clone(),
            health: Arc::clone(&self.health.borrow_and_update()),
            unbindable: Arc::clone(&self.unbindable.borrow_and_update()),
            no_binding: self.no_binding.clone(),
        }
    }

    /// Returns when one of them is another one.
    pub(crate) async fn changed(&mut self) -> Result<(), Ended> {
        let changed = tokio::select! {
            changed = self.data_path.changed() => changed,
            changed = self.health.changed() => changed,
            changed = self.unbindable.changed() => changed,
        };
        changed.map_err(|_| Ended)
    }
}

impl Gates {
    /// Why this node does not carry the address, given that it may.
    pub(crate) fn obstacle(&self, address: IpAddr, vip: &VipIntent) -> Option<Obstacle> {
        let led = match vip.carriage {
            Carriage::Bound => self.unbound(address),
            Carriage::Service | Carriage::Ours if self.data_path.is_ready(address) => None,
            Carriage::Service | Carriage::Ours => Some(self.not_led(vip.carriage)),
        };
        led.or_else(|| {
            let why = health::obstacle(&self.health, &vip.checks)?;
            Some(Obstacle { reason: Reason::HealthCheckFailed, message: why.into() })
        })
    }

    fn unbound(&self, address: IpAddr) -> Option<Obstacle> {
        let none = self.no_binding.as_ref().map(|why| (Reason::MissingCapability, Arc::clone(why)));
        let this = || self.unbindable.get(&address).map(|why| (Reason::NotBindable, why.as_str().into()));
        none.or_else(this).map(|(reason, message)| Obstacle { reason, message })
    }

    fn not_led(&self, carriage: Carriage) -> Obstacle {
        match &self.data_path.closed {
            Some(condition) if carriage == Carriage::Service => {
                Obstacle { reason: condition.reason(), message: condition.to_string().into() }
            }
            _ => {
                let message = "the rules that lead its traffic on are not in the kernel yet".into();
                Obstacle { reason: Reason::DataPathNotReady, message }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_config::snapshot::{HealthCheck, Probe};

    use super::*;
    use crate::health::Verdict;
    use crate::intent::InterfaceRule;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn vip(carriage: Carriage, checks: &[Arc<HealthCheck>]) -> VipIntent {
        VipIntent {
            group: "default/web".into(),
            candidates: Arc::new(["n1".to_owned()].into()),
            preferences: Arc::default(),
            here: Ok(()),
            interfaces: InterfaceRule::OnLink,
            tcp_port: None,
            unserved: Box::default(),
            carriage,
            checks: checks.into(),
        }
    }

    #[test]
    fn a_bound_address_waits_for_no_rules_but_for_an_interface_that_takes_it() {
        let mut gates = Gates::default();
        assert_eq!(gates.obstacle(ADDRESS, &vip(Carriage::Bound, &[])), None);
        let ruled = gates.obstacle(ADDRESS, &vip(Carriage::Ours, &[])).map(|it| it.reason);
        assert_eq!(ruled, Some(Reason::DataPathNotReady));
        gates.unbindable = Arc::new([(ADDRESS, "taken".to_owned())].into());
        let taken = gates.obstacle(ADDRESS, &vip(Carriage::Bound, &[])).map(|it| it.reason);
        assert_eq!(taken, Some(Reason::NotBindable));
    }

    #[test]
    fn one_check_that_does_not_pass_closes_and_says_why() {
        let second = std::time::Duration::from_secs(1);
        let check = |port| {
            let probe = Probe::Tcp { port };
            Arc::new(HealthCheck { probe, interval: second, timeout: second, rise: 1, fall: 1 })
        };
        let (one, two) = (check(80), check(443));
        let vip = vip(Carriage::Bound, &[Arc::clone(&one), Arc::clone(&two)]);
        let with = |verdict| {
            let health = [(Arc::clone(&one), Verdict::Passing), (Arc::clone(&two), verdict)].into();
            let gates = Gates { health: Arc::new(health), ..Gates::default() };
            gates.obstacle(ADDRESS, &vip).map(|it| (it.reason, it.message.to_string()))
        };
        assert_eq!(with(Verdict::Passing), None);
        let unknown = "TCP port 443 was not asked yet".to_owned();
        assert_eq!(with(Verdict::Unknown), Some((Reason::HealthCheckFailed, unknown)));
        let since = "2026-11-21T12:00:00Z".parse().unwrap();
        let failing = with(Verdict::Failing { since, error: "refused".to_owned() });
        let message = "TCP port 443 fails since 2026-11-21T12:00:00Z: refused".to_owned();
        assert_eq!(failing, Some((Reason::HealthCheckFailed, message)));
    }
}
