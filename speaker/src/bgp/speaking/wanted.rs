// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the intent comes to for each router, with the gates as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_config::reason::Reason;

use super::super::Wish;
use crate::gates::Gates;
use crate::intent::{Intent, Obstacle, Router};
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

impl Spoken {
    /// Routes are told of addresses whose gates are open alone.
    pub(crate) fn of(intent: &Intent, gates: &Gates) -> Self {
        let may_carry =
            |address| intent.vips.get(&address).is_some_and(|vip| gates.obstacle(address, vip).is_none());
        let leaving = intent.leaving.is_some();
        let told = |(name, router): (&String, &Result<Arc<Router>, _>)| {
            let router = Arc::clone(router.as_ref().ok()?);
            let wish = Arc::new(routers::wish(&intent.routes_to(name, may_carry), leaving));
            Some((name.clone(), Told { router, wish }))
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
    use super::*;

    #[test]
    fn stat_011_stat_015_a_secret_or_a_double_is_told_by_the_nodes_that_it_concerns() {
        let because = |reason| Err(Obstacle { reason, message: "why".into() });
        let routers = [
            ("a", because(Reason::PasswordNotUsable)),
            ("b", because(Reason::NodeNotSelected)),
            ("c", because(Reason::DuplicateObject)),
        ];
        let routers = routers.into_iter().map(|(name, router)| (name.to_owned(), router)).collect();
        let spoken = Spoken::of(&Intent { routers, ..Intent::default() }, &Gates::default());
        let told: Vec<_> = spoken.blocked.iter().map(|(name, it)| (name.as_str(), it.reason)).collect();
        assert_eq!(told, [("a", Reason::PasswordNotUsable), ("c", Reason::DuplicateObject)]);
        assert!(spoken.routers.is_empty());
    }
}
