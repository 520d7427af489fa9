// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the intent comes to for each router, with the gates as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_config::reason::Reason;

use super::super::Wish;
use crate::gates::Gates;
use crate::intent::{Carried, Intent, Obstacle, Router};
use crate::routers;

/// The routers that this node speaks to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spoken {
    /// By the name of their BGPPeer.
    pub(crate) routers: BTreeMap<String, Told>,
    /// Those that it cannot speak to as things are, likewise.
    pub(crate) blocked: BTreeMap<String, Obstacle>,
    /// This node is about to carry nothing any more.
    pub(crate) leaving: bool,
}

/// A router, and what it shall know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) router: Arc<Router>,
    pub(crate) wish: Arc<Wish>,
}

/// Follows what is decided and how the gates are. What is carried is found anew only where one of both is another.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    found: Option<(Arc<Intent>, Gates, Carried)>,
}

impl Speech {
    /// Routes are told of addresses whose gates are open alone.
    pub(crate) fn of(&mut self, intent: &Arc<Intent>, gates: &Gates) -> Spoken {
        let before = self.found.take();
        let carried = before
            .filter(|(decided, looked, _)| decided.carries_as(intent) && looked == gates)
            .map_or_else(|| intent.carried(|ip, vip| gates.obstacle(ip, vip).is_none()), |(_, _, same)| same);
        let spoken = Spoken::of(intent, &carried);
        self.found = Some((Arc::clone(intent), gates.clone(), carried));
        spoken
    }
}

impl Spoken {
    fn of(intent: &Intent, carried: &Carried) -> Self {
        let leaving = intent.leaving.is_some();
        // Routers that the same advertisements select are told the same, so a hundred routers cost hardly more than one.
        let mut wishes: BTreeMap<Vec<&str>, Arc<Wish>> = BTreeMap::new();
        let told = |(name, router): (&String, &Result<Arc<Router>, _>)| {
            let router = Arc::clone(router.as_ref().ok()?);
            let selecting = intent.advertisements.iter().filter(|(_, asker)| asker.selects_peer(name));
            let wish =
                wishes.entry(selecting.map(|(name, _)| name.as_ref()).collect()).or_insert_with(|| {
                    Arc::new(routers::wish(&carried.routes_to(name, &intent.advertisements), leaving))
                });
            Some((name.clone(), Told { router, wish: Arc::clone(wish) }))
        };
        let blocked = |(name, router): (&String, &Result<_, Obstacle>)| {
            let obstacle =
                router.as_ref().err().filter(|obstacle| obstacle.reason != Reason::NodeNotSelected)?;
            Some((name.clone(), obstacle.clone()))
        };
        Self {
            routers: intent.routers.iter().filter_map(told).collect(),
            blocked: intent.routers.iter().filter_map(blocked).collect(),
            leaving,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ferrolb_config::Objects;
    use ferrolb_config::manifest::Manifest;

    use super::*;
    use crate::datapath::{self, Mode};
    use crate::intent::Follower;

    const GROUND: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: AddressPool, metadata: {name: lan}, spec: {addresses: [192.0.2.0/24]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: all}, spec: {addressPools: [lan]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: BGPAdvertisement, metadata: {name: wide},
 spec: {addressPools: [lan], aggregationLength: 28, peers: [third]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}
---
{apiVersion: ferrolb.io/v1beta1, kind: VirtualIP, metadata: {name: 192.0.2.1},
 spec: {address: 192.0.2.1, pool: lan, consumers: [{kind: Service, namespace: default, name: web}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web, labels: {kubernetes.io/service-name: web}},
 addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [10.1.0.1], nodeName: n1, conditions: {ready: true}}]}
";

    #[test]
    fn stat_011_stat_015_a_secret_or_a_double_is_told_by_the_nodes_that_it_concerns() {
        let because = |reason| Err(Obstacle { reason, message: "why".into() });
        let routers = [
            ("a", because(Reason::PasswordNotUsable)),
            ("b", because(Reason::NodeNotSelected)),
            ("c", because(Reason::DuplicateObject)),
        ];
        let routers = routers.into_iter().map(|(name, router)| (name.to_owned(), router)).collect();
        let intent = Arc::new(Intent { routers, ..Intent::default() });
        let spoken = Speech::default().of(&intent, &Gates::default());
        let told: Vec<_> = spoken.blocked.iter().map(|(name, it)| (name.as_str(), it.reason)).collect();
        assert_eq!(told, [("a", Reason::PasswordNotUsable), ("c", Reason::DuplicateObject)]);
        assert!(spoken.routers.is_empty());
    }

    #[test]
    fn routers_that_the_same_advertisements_select_share_what_they_are_told() {
        let peer = |name: &str, last: u8| {
            format!(
                "---\n{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: {name}}}, \
                 spec: {{myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.{last}}}}}\n"
            )
        };
        let text = [GROUND, &peer("first", 1), &peer("second", 2), &peer("third", 3)].concat();
        let manifest = Manifest::parse(Path::new("test.yaml"), &text);
        assert_eq!(manifest.refused, []);
        let mut objects = Objects::default();
        manifest.documents.into_iter().for_each(|document| objects.insert(document.object));
        let mut follower = Follower::new("n1", Mode::KubeProxy);
        follower.follow(&Arc::new(objects));
        let intent = follower.intent();
        let data_path = datapath::Observed {
            serving: Some(Arc::new(intent.data_path())),
            ..datapath::Observed::default()
        };
        let spoken = Speech::default().of(intent, &Gates { data_path, ..Gates::default() });
        let told = |name: &str| &spoken.routers.get(name).expect("a router").wish;
        let routes = |name: &str| told(name).routes.keys().map(ToString::to_string).collect::<Vec<String>>();
        assert!(Arc::ptr_eq(told("first"), told("second")));
        assert_eq!(routes("first"), ["192.0.2.1/32"]);
        assert_eq!(routes("third"), ["192.0.2.0/28", "192.0.2.1/32"]);
    }
}
