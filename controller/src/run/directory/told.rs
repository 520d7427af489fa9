// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tells the log about assignments and refusals, each once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferrolb_config::api::{ConsumerKind, ConsumerName};
use ferrolb_config::reason::{Reason, Refusal};
use tracing::{info, warn};

use crate::plan::{Plan, ServicePlan, sentence};

/// What was told last of each Service and FloatingIP.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<ConsumerName, Verdict>);

#[derive(Debug, Default, PartialEq)]
struct Verdict {
    addresses: Vec<IpAddr>,
    refusal: Option<(Reason, String)>,
}

impl Verdict {
    fn new(addresses: Vec<IpAddr>, refusal: Option<&Refusal>) -> Self {
        Self { addresses, refusal: refusal.map(|refusal| (refusal.reason, sentence(refusal))) }
    }
}

impl Told {
    /// Tells what is new in `plan`.
    pub(super) fn tell(&mut self, plan: &Plan) {
        let mut now = BTreeMap::new();
        for (name, service) in &plan.services {
            let (addresses, refusal) = match service {
                ServicePlan::Ours { addresses, refusal } | ServicePlan::External { addresses, refusal } => {
                    (addresses.clone(), refusal.as_ref())
                }
                ServicePlan::Foreign { refusal } => (Vec::new(), Some(refusal)),
                ServicePlan::Released => continue,
            };
            let consumer = ConsumerName { kind: ConsumerKind::Service, name: name.clone() };
            now.insert(consumer, Verdict::new(addresses, refusal));
        }
        for (name, plan) in &plan.floating_ips {
            let consumer = ConsumerName { kind: ConsumerKind::FloatingIP, name: name.clone() };
            now.insert(consumer, Verdict::new(plan.addresses.clone(), plan.refusal.as_ref()));
        }
        for (consumer, verdict) in &now {
            let before = self.0.get(consumer);
            if before == Some(verdict) {
                continue;
            }
            let object = consumer.object();
            if before.map(|before| &before.addresses).unwrap_or(&Vec::new()) != &verdict.addresses {
                info!(%object, addresses = %list(&verdict.addresses), "addresses assigned");
            }
            match &verdict.refusal {
                Some((reason, message)) if before.is_none_or(|before| before.refusal != verdict.refusal) => {
                    warn!(%object, %reason, "{message}");
                }
                _ => {}
            }
        }
        for (consumer, before) in &self.0 {
            if !now.contains_key(consumer) && !before.addresses.is_empty() {
                info!(object = %consumer.object(), addresses = %list(&before.addresses), "addresses released");
            }
        }
        self.0 = now;
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let list: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(" and ") }
}
