// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The order of the writes.
//!
//! The accepted configuration comes first, and how full the pools are last. An address is recorded for a Service or a
//! FloatingIP before that shows it, and stays recorded until it shows it no more. Where they hand addresses on to each other
//! in a circle, one of them first shows less.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use ferrolb_config::api::{ConsumerKind, ConsumerName, VirtualIPSpec};
use ferrolb_config::{Objects, ServiceName, address};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::reach::consumers;
use super::{Target, Write, render};
use crate::ipam::Unread;
use crate::plan::{Plan, ServicePlan};

/// One write, and the steps that must have been carried out before.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What to write.
    pub write: Write,
    /// Positions of earlier steps in the same list.
    pub after: Vec<usize>,
    /// Whether it may wait.
    pub haste: Haste,
}

/// Whether a write may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It is made as soon as it is possible.
    AtOnce,
    /// It tells what changes all the time: it may be made now and then, for all the changes between.
    Gathered,
}

/// What separates `objects` from `plan`, in an order in which it is safe to stop after any step.
pub fn steps(plan: &Plan, objects: &Objects, target: Target<'_>, now: &Time) -> Vec<Step> {
    let unread = Unread::new(&objects.refused);
    let services = render::services(plan, objects, target, &unread, now);
    let floating_ips = render::floating_ips(plan, objects, target, &unread, now);
    let external_ips = render::lists_of_external_ips(plan, objects, target);
    let records = render::records(plan, objects, target);
    let mut draft = Draft::new(plan, objects, writes_by_node(services, floating_ips, external_ips, records));
    // What is accepted comes first: an address must not be given from ranges that a restart would judge anew.
    let configuration = render::configuration(plan, objects, target, &unread, now);
    let step = |haste| move |write| Step { write, after: Vec::new(), haste };
    draft.steps.extend(configuration.verdicts.into_iter().map(step(Haste::AtOnce)));
    draft.order();
    draft.steps.extend(render::departed(objects, target, now).into_iter().map(step(Haste::AtOnce)));
    draft.steps.extend(configuration.gathered.into_iter().map(step(Haste::Gathered)));
    draft.steps
}

/// A write that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    // Those who show addresses first: they finish what was begun.
    Service(ServiceName),
    FloatingIP(ServiceName),
    ExternalIPs(ServiceName),
    Address(IpAddr),
}

impl Node {
    /// The writes of what shows the addresses of a consumer.
    fn showing(consumer: &ConsumerName) -> Vec<Self> {
        let name = || consumer.name.clone();
        match consumer.kind {
            ConsumerKind::Service => vec![Self::Service(name()), Self::ExternalIPs(name())],
            ConsumerKind::FloatingIP => vec![Self::FloatingIP(name())],
        }
    }
}

type ByName = BTreeMap<ServiceName, Write>;

fn writes_by_node(
    services: ByName,
    floating_ips: ByName,
    external_ips: ByName,
    records: BTreeMap<IpAddr, Write>,
) -> BTreeMap<Node, Write> {
    let services = services.into_iter().map(|(name, write)| (Node::Service(name), write));
    let floating_ips = floating_ips.into_iter().map(|(name, write)| (Node::FloatingIP(name), write));
    let external_ips = external_ips.into_iter().map(|(name, write)| (Node::ExternalIPs(name), write));
    let records = records.into_iter().map(|(ip, write)| (Node::Address(ip), write));
    services.chain(floating_ips).chain(external_ips).chain(records).collect()
}

struct Draft<'a> {
    plan: &'a Plan,
    objects: &'a Objects,
    writes: BTreeMap<Node, Write>,
    /// What each write waits for.
    waits: BTreeMap<Node, BTreeSet<Node>>,
    /// Who waits for each write.
    waited_for: BTreeMap<Node, BTreeSet<Node>>,
    positions: BTreeMap<Node, Vec<usize>>,
    steps: Vec<Step>,
}

impl<'a> Draft<'a> {
    fn new(plan: &'a Plan, objects: &'a Objects, writes: BTreeMap<Node, Write>) -> Self {
        let mut draft = Self {
            plan,
            objects,
            writes,
            waits: BTreeMap::new(),
            waited_for: BTreeMap::new(),
            positions: BTreeMap::new(),
            steps: Vec::new(),
        };
        let addresses: Vec<_> = draft
            .writes
            .keys()
            .filter_map(|node| if let Node::Address(ip) = node { Some(*ip) } else { None })
            .collect();
        for ip in addresses {
            let now = objects.virtual_ips.get(&address::virtual_ip_name(ip));
            let now = now.map(|object| holders(&object.spec)).unwrap_or_default();
            let then = plan.virtual_ips.get(&ip).map(holders).unwrap_or_default();
            for joining in then.difference(&now) {
                for status in Node::showing(joining) {
                    draft.wait(status, Node::Address(ip));
                }
            }
            for leaving in now.difference(&then) {
                if draft.shows(leaving, ip) {
                    for status in Node::showing(leaving) {
                        draft.wait(Node::Address(ip), status);
                    }
                }
            }
        }
        draft
    }

    fn shows(&self, consumer: &ConsumerName, ip: IpAddr) -> bool {
        let ConsumerName { kind, name } = consumer;
        let shown = match kind {
            ConsumerKind::Service => self.objects.services.get(name).map(|object| render::in_sight(object)),
            ConsumerKind::FloatingIP => {
                self.objects.floating_ips.get(name).map(|object| render::floating_addresses(object))
            }
        };
        shown.is_some_and(|shown| shown.contains(&ip))
    }

    /// Lets `later` wait for `earlier`, if both are to be written.
    fn wait(&mut self, later: Node, earlier: Node) {
        if self.writes.contains_key(&later) && self.writes.contains_key(&earlier) {
            self.waits.entry(later.clone()).or_default().insert(earlier.clone());
            self.waited_for.entry(earlier).or_default().insert(later);
        }
    }

    fn order(&mut self) {
        let is_free = |node: &&Node| !self.waits.contains_key(node);
        let mut ready: VecDeque<_> = self.writes.keys().filter(is_free).cloned().collect();
        loop {
            while let Some(node) = ready.pop_front() {
                let Some(write) = self.writes.remove(&node) else { continue };
                self.emit(&node, write);
                self.let_go(&node, &mut ready);
            }
            let Some((node, write)) = self.circle() else { break };
            self.emit(&node, write);
            self.let_go(&node, &mut ready);
        }
    }

    /// A consumer in a circle of moves, and the write that takes it out: it shows only what it keeps.
    fn circle(&self) -> Option<(Node, Write)> {
        self.writes.keys().find_map(|node| {
            self.waited_for.get(node)?;
            let write = match node {
                Node::Service(name) => {
                    let service = self.objects.services.get(name)?;
                    let kept = match self.plan.services.get(name) {
                        Some(ServicePlan::Ours { addresses, .. }) => addresses.iter().copied().collect(),
                        _ => BTreeSet::new(),
                    };
                    let kept = render::shown(service).intersection(&kept).copied().collect();
                    render::only_addresses(service, &kept)
                }
                Node::FloatingIP(name) => {
                    let object = self.objects.floating_ips.get(name)?;
                    let planned = self.plan.floating_ips.get(name).map(|plan| plan.addresses.as_slice());
                    let planned = planned.unwrap_or_default().iter().copied().collect();
                    let kept = render::floating_addresses(object).intersection(&planned).copied().collect();
                    render::only_floating_addresses(object, &kept)
                }
                Node::ExternalIPs(name) => {
                    let service = self.objects.services.get(name)?;
                    let planned = self.plan.external_ips.get(name)?;
                    let kept = render::external_ips(service).into_iter().filter(|ip| planned.contains(ip));
                    render::put_external_ips(service, &kept.collect::<Vec<_>>())
                }
                Node::Address(_) => return None,
            };
            Some((node.clone(), write))
        })
    }

    fn emit(&mut self, node: &Node, write: Write) {
        let after = self.positions.remove(node).unwrap_or_default();
        self.steps.push(Step { write, after, haste: Haste::AtOnce });
    }

    /// Lets those go on who waited for the step that was just emitted for `node`.
    fn let_go(&mut self, node: &Node, ready: &mut VecDeque<Node>) {
        let position = self.steps.len().saturating_sub(1);
        for later in self.waited_for.remove(node).unwrap_or_default() {
            self.positions.entry(later.clone()).or_default().push(position);
            if let Some(waits) = self.waits.get_mut(&later) {
                waits.remove(node);
                if waits.is_empty() {
                    self.waits.remove(&later);
                    // Next, so that a Service is done with before another one is begun.
                    ready.push_front(later);
                }
            }
        }
    }
}

/// Who may show the address of a record; nobody may show one that was released.
fn holders(spec: &VirtualIPSpec) -> BTreeSet<ConsumerName> {
    if spec.released_at.is_some() { BTreeSet::new() } else { consumers(spec) }
}
