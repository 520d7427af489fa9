// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Carries out what operators ask for (`ferrolb move`): that an address which this node owns goes to another one.
//!
//! A request names the claim that should end, so that nothing has to be remembered of those that were carried out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::address::parse_virtual_ip_name;
use ferrolb_config::api::VirtualIP;
use ferrolb_config::{MoveRequest, Objects};
use ferrolb_layer2::{GroupId, GroupState, NodeId};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::intent::differences;
use crate::layer2::{Ended, Layer2, Observed};
use crate::status::Known;

/// A node that could not take an address is asked again after this, until the request is void.
const AGAIN: Duration = Duration::from_secs(1);

/// Who carries requests out.
pub(crate) struct Mover<'a> {
    /// The node's name.
    pub(crate) node: &'a str,
    /// The cluster's name.
    pub(crate) cluster: &'a str,
    pub(crate) layer2: &'a Layer2,
    pub(crate) objects: watch::Receiver<Arc<Objects>>,
    pub(crate) known: watch::Receiver<Arc<Known>>,
}

impl Mover<'_> {
    /// Works until dropped.
    ///
    /// # Errors
    /// The layer-2 thread, or the source of objects, has ended.
    pub(crate) async fn run(mut self) -> Result<Infallible, Ended> {
        let mut observed = self.layer2.observed();
        let (mut wishes, mut before) = (Wishes::default(), Arc::<Objects>::default());
        loop {
            let view = Arc::clone(&self.objects.borrow_and_update());
            for (name, why) in wishes.follow(&before, &view) {
                warn!("VirtualIP {name}, annotation ferrolb.io/move: {why}; it is not moved");
            }
            before = view;
            let due = {
                // Whoever tells must not wait for us.
                let (known, observed) =
                    (Arc::clone(&self.known.borrow()), Arc::clone(&observed.borrow_and_update()));
                let group = |name: &str| {
                    let address = parse_virtual_ip_name(name)?;
                    known.intent.vips.get(&address).map(|vip| vip.group.id())
                };
                wishes.due(self.node, group, &owned(&observed, self.id(self.node)), now())
            };
            for (group, to) in due {
                let name = self.known.borrow().names.group(group);
                info!("asked to move {name} to {}", to.as_deref().unwrap_or("the best other node"));
                self.layer2.hand_over(group, to.map(|node| self.id(&node))).await?;
            }
            let waits = !wishes.0.is_empty();
            let again = Instant::now() + AGAIN;
            tokio::select! {
                changed = self.objects.changed() => changed.map_err(|_| Ended)?,
                changed = observed.changed(), if waits => changed.map_err(|_| Ended)?,
                () = sleep_until(again), if waits => {}
            }
        }
    }

    fn id(&self, node: &str) -> NodeId {
        NodeId::of(self.cluster, node)
    }
}

fn now() -> (Timestamp, Instant) {
    (Timestamp::now(), Instant::now())
}

/// The terms under which this node owns groups, and may be asked to hand them over; one group may be owned on several
/// segments. What is being handed over already is left out.
fn owned(observed: &Observed, me: NodeId) -> Vec<(GroupId, u64)> {
    let groups = observed.segments.values().flat_map(|report| &report.view.groups);
    let idle =
        groups.filter(|group| group.owner == Some(me) && !matches!(group.state, GroupState::Offering(_)));
    idle.map(|group| (group.id, group.term.0)).collect()
}

/// The requests that are not void yet, by the names of the VirtualIPs.
#[derive(Debug, Default)]
struct Wishes(BTreeMap<String, Wish>);

#[derive(Debug)]
struct Wish {
    request: MoveRequest,
    tried: Option<Instant>,
}

impl Wishes {
    /// Takes what differs between two views; answers with the requests that cannot be read, and why.
    fn follow(&mut self, before: &Objects, now: &Objects) -> Vec<(String, String)> {
        let mut unreadable = Vec::new();
        for difference in differences(&before.virtual_ips, &now.virtual_ips) {
            let name = difference.name;
            match difference.now.and_then(|object| MoveRequest::of(&object.metadata)) {
                Some(Ok(request)) => {
                    if self.0.get(name).is_none_or(|wish| wish.request != request) {
                        self.0.insert(name.clone(), Wish { request, tried: None });
                    }
                }
                Some(Err(why)) => {
                    let is_told = |before: &VirtualIP, now: &VirtualIP| {
                        before.metadata.annotations == now.metadata.annotations
                    };
                    if !difference.is_void(is_told) {
                        unreadable.push((name.clone(), why));
                    }
                    self.0.remove(name);
                }
                None => drop(self.0.remove(name)),
            }
        }
        unreadable
    }

    /// What has to be handed over now, and to whom. What is void is forgotten.
    fn due(
        &mut self,
        node: &str,
        group: impl Fn(&str) -> Option<GroupId>,
        owned: &[(GroupId, u64)],
        (time, now): (Timestamp, Instant),
    ) -> BTreeMap<GroupId, Option<String>> {
        self.0.retain(|_, wish| time < wish.request.until);
        let mut due = BTreeMap::new();
        for (name, wish) in &mut self.0 {
            let recently = wish.tried.is_some_and(|tried| now.saturating_duration_since(tried) < AGAIN);
            let Some(id) = group(name).filter(|_| !recently) else { continue };
            let mut claims = owned.iter().filter(|(owned, _)| *owned == id);
            if claims.any(|(_, term)| wish.request.ends(node, *term, time)) {
                wish.tried = Some(now);
                due.insert(id, wish.request.to.clone());
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_config::ClaimRef;
    use ferrolb_config::api::{AddressMode, VirtualIPSpec, annotation};

    use super::*;

    const NAME: &str = "192.0.2.10";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn objects(annotated: Option<&str>) -> Objects {
        let spec = VirtualIPSpec {
            address: NAME.to_owned(),
            pool: "lan".to_owned(),
            consumers: Vec::new(),
            sharing_key: None,
            group: None,
            mode: AddressMode::ReplyOnly,
            released_at: None,
        };
        let mut object = VirtualIP::new(NAME, spec);
        object.metadata.annotations =
            annotated.map(|text| BTreeMap::from([(annotation::MOVE.to_owned(), text.to_owned())]));
        let mut objects = Objects::default();
        objects.insert(ferrolb_config::Object::VirtualIP(Arc::new(object)));
        objects
    }

    fn request(term: u64, until: i64) -> String {
        let from = vec![ClaimRef { node: "n1".to_owned(), term }];
        let request = MoveRequest { to: Some("n2".to_owned()), until: at(until), from };
        request.to_text().expect("a JSON form")
    }

    fn group(name: &str) -> Option<GroupId> {
        (name == NAME).then_some(GroupId(9))
    }

    #[test]
    fn a_request_is_carried_out_for_the_claim_that_it_names_and_void_for_a_later_one_or_too_late() {
        let (mut wishes, start) = (Wishes::default(), Instant::now());
        assert!(wishes.follow(&Objects::default(), &objects(Some(&request(7, 100)))).is_empty());
        let mut due = |term: u64, second: i64, later: u64| {
            let now = (at(second), start + Duration::from_secs(later));
            wishes.due("n1", group, &[(GroupId(9), term), (GroupId(8), 7)], now)
        };
        let to_n2 = BTreeMap::from([(GroupId(9), Some("n2".to_owned()))]);
        assert!(due(6, 10, 0).is_empty() && due(8, 10, 0).is_empty());
        assert_eq!(due(7, 10, 1), to_n2);
        assert!(due(7, 10, 1).is_empty(), "it was asked a moment ago");
        assert_eq!(due(7, 12, 3), to_n2, "nobody took it: once more");
        assert!(due(8, 14, 5).is_empty(), "it went away and came back");
        assert!(due(7, 100, 9).is_empty());
        assert!(wishes.0.is_empty(), "what is void is forgotten");
    }

    #[test]
    fn a_request_that_is_taken_back_or_cannot_be_read_moves_nothing() {
        let mut wishes = Wishes::default();
        let (none, asked, nonsense) =
            (objects(None), objects(Some(&request(7, 100))), objects(Some("to n2, please")));
        wishes.follow(&Objects::default(), &asked);
        assert_eq!(wishes.0.len(), 1);
        wishes.follow(&asked, &none);
        assert!(wishes.0.is_empty());
        wishes.follow(&none, &asked);
        assert_eq!(wishes.follow(&asked, &nonsense).len(), 1);
        assert!(wishes.0.is_empty());
        assert!(wishes.follow(&nonsense, &objects(Some("to n2, please"))).is_empty(), "told once");
    }
}
