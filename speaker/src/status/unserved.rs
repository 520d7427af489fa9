// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the addresses of Services do not serve: a Service that no carrier of its address may serve, a port that the data
//! path cannot translate.

use std::net::IpAddr;

use ferrolb_config::ServiceName;
use ferrolb_config::api::UnservedService;
use ferrolb_config::reason::Refusal;

use crate::intent::{Intent, Obstacle, VipIntent};

/// Services, or ports of them, that their addresses do not serve.
#[derive(Debug, Default)]
pub(crate) struct Unserved {
    /// The first ones, in the order of their addresses.
    pub(crate) told: Vec<UnservedService>,
    /// How many more there are.
    pub(crate) left_out: usize,
}

impl Unserved {
    /// What `intent` leaves unserved; at most `most` are told.
    pub(crate) fn of(intent: &Intent, most: usize) -> Self {
        let services = intent.vips.iter().flat_map(|(address, vip)| {
            beyond_the_refusal(vip).map(|(name, obstacle)| of_service(*address, name, obstacle))
        });
        let ports = intent
            .refused
            .iter()
            .flat_map(|(address, refused)| refused.iter().map(|refusal| of_port(*address, refusal)));
        let mut unserved = Self::default();
        // Of thousands most are only counted.
        for one in services.chain(ports) {
            if unserved.told.len() < most {
                unserved.told.push(one);
            } else {
                unserved.left_out = unserved.left_out.saturating_add(1);
            }
        }
        unserved
    }
}

/// The Services of an address that none of its candidates serves, but for the one that speaks for an address that this
/// node does not carry.
fn beyond_the_refusal(vip: &VipIntent) -> impl Iterator<Item = (&ServiceName, &Obstacle)> {
    let told = vip.here.as_ref().err();
    vip.unserved.iter().map(|(name, obstacle)| (name, obstacle)).filter(move |(_, it)| Some(*it) != told)
}

fn of_service(
    address: IpAddr,
    service: &ServiceName,
    Obstacle { reason, message }: &Obstacle,
) -> UnservedService {
    UnservedService {
        address: address.to_string(),
        service: service.to_string(),
        reason: reason.to_string(),
        message: message.to_string(),
    }
}

fn of_port(address: IpAddr, refusal: &Refusal) -> UnservedService {
    let object = refusal.object.as_ref();
    let namespace = object.and_then(|object| object.namespace.as_deref()).unwrap_or_default();
    let name = object.map_or("", |object| &object.name);
    let message = match &refusal.remedy {
        Some(remedy) => format!("{}. {remedy}", refusal.message),
        None => refusal.message.clone(),
    };
    UnservedService {
        address: address.to_string(),
        service: format!("{namespace}/{name}"),
        reason: refusal.reason.to_string(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrolb_config::ObjectRef;
    use ferrolb_config::reason::Reason;

    use super::*;
    use crate::intent::{Carriage, InterfaceRule};

    fn name(name: &str) -> ServiceName {
        ServiceName { namespace: "default".into(), name: name.into() }
    }

    fn obstacle(message: &str) -> Obstacle {
        Obstacle { reason: Reason::NoEndpoints, message: message.into() }
    }

    fn intent(here: Result<(), Obstacle>, unserved: &[&str]) -> Intent {
        let vip = VipIntent {
            group: "default/web".into(),
            candidates: Arc::default(),
            preferences: Default::default(),
            here,
            interfaces: InterfaceRule::OnLink,
            tcp_port: None,
            unserved: unserved.iter().map(|text| (name(text), obstacle(text))).collect(),
            carriage: Carriage::Service,
            checks: Box::default(),
        };
        let vips = Arc::new([(IpAddr::from([192, 0, 2, 1]), Arc::new(vip))].into());
        Intent { vips, ..Intent::default() }
    }

    fn told(intent: &Intent) -> Vec<(String, String)> {
        let told = Unserved::of(intent, 100).told.into_iter();
        told.map(|it| (it.service, format!("{}: {}", it.reason, it.message))).collect()
    }

    #[test]
    fn a_service_that_nobody_serves_is_told_once_however_it_is_refused() {
        let says = |text: &str| (format!("default/{text}"), format!("NoEndpoints: {text}"));
        assert_eq!(told(&intent(Ok(()), &["web"])), [says("web")]);
        assert_eq!(told(&intent(Err(obstacle("web")), &["web", "api"])), [says("api")]);
        assert_eq!(told(&intent(Err(obstacle("web")), &["web"])), []);
    }

    #[test]
    fn a_port_that_the_data_path_cannot_serve_is_told_with_its_remedy() {
        let mut intent = intent(Ok(()), &[]);
        let object = ObjectRef::namespaced("Service", &name("web"));
        let refusal = Refusal::error(Reason::UnsupportedProtocol, object, "port 7 is SCTP");
        let refusal = refusal.remedy("The data path translates TCP and UDP only.");
        intent.refused.insert(IpAddr::from([192, 0, 2, 1]), vec![refusal]);
        let message = "UnsupportedProtocol: port 7 is SCTP. The data path translates TCP and UDP only.";
        assert_eq!(told(&intent), [("default/web".to_owned(), message.to_owned())]);
    }

    #[test]
    fn of_many_the_first_are_told_and_the_others_counted() {
        let unserved = Unserved::of(&intent(Ok(()), &["a", "b", "c"]), 2);
        assert_eq!((unserved.told.len(), unserved.left_out), (2, 1));
    }
}
