// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whether an address can go where it should, by what the objects say: pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::address::{parse_virtual_ip_name, virtual_ip_name};
use ferrolb_config::api::{Layer2Owner, VirtualIP};
use ferrolb_config::reason::Reason;
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::intent::{Follower, Intent};
use k8s_openapi::jiff::Timestamp;

use crate::status::is_silent;

/// Why something does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct No {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl No {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What a move would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// Nothing: this node carries it.
    There(String),
    /// Something has to move.
    Go(Departure),
}

/// What has to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    /// The name of the VirtualIP.
    pub(super) name: String,
    /// Who carries it elsewhere, one a segment.
    pub(super) owners: Vec<Layer2Owner>,
}

/// What moving `address` to the node `to`, or to the best other one, would do at the time `now`.
pub(super) fn prospect(
    objects: &Arc<Objects>,
    address: IpAddr,
    to: Option<&str>,
    now: Timestamp,
) -> Result<Prospect, No> {
    let name = virtual_ip_name(address);
    let Some(object) = objects.virtual_ips.get(&name) else {
        return Err(No::new(Reason::NotFound, format!("{address} is not in use")));
    };
    let all = owners(object);
    if all.is_empty() {
        let message = format!("nobody carries {address}; ferrolb status says why");
        return Err(No::new(Reason::NotCarried, message));
    }
    let owners: Vec<_> = all.iter().filter(|owner| to != Some(owner.node.as_str())).cloned().collect();
    match to {
        Some(to) if owners.is_empty() => return Ok(Prospect::There(to.to_owned())),
        Some(to) => takes(objects, address, to, now)?,
        None => {
            let intent = intent(objects, "");
            for owner in &owners {
                somebody_else(&intent, address, &owner.node)?;
            }
        }
    }
    Ok(Prospect::Go(Departure { name, owners }))
}

/// The addresses that `node` carries, with its entries.
pub(super) fn carried_by(objects: &Objects, node: &str) -> Vec<(IpAddr, Layer2Owner)> {
    let entries = objects.virtual_ips.iter().flat_map(|(name, object)| {
        let address = parse_virtual_ip_name(name);
        owners(object).iter().filter_map(move |owner| Some((address?, owner.clone())))
    });
    entries.filter(|(_, owner)| owner.node == node).collect()
}

/// Those of `addresses` that no other node than `node` may carry.
pub(super) fn bound_to(
    objects: &Arc<Objects>,
    node: &str,
    addresses: impl Iterator<Item = IpAddr>,
) -> BTreeMap<IpAddr, No> {
    let intent = intent(objects, "");
    addresses.filter_map(|address| Some((address, somebody_else(&intent, address, node).err()?))).collect()
}

pub(super) fn owners(object: &VirtualIP) -> &[Layer2Owner] {
    object.status.as_ref().map_or(&[], |status| &status.layer2)
}

/// What the speaker of `node` makes of the objects. Who leads the traffic plays no part in who may carry an address.
pub(super) fn intent(objects: &Arc<Objects>, node: &str) -> Arc<Intent> {
    let mut follower = Follower::new(node, Mode::KubeProxy);
    follower.follow(objects);
    Arc::clone(follower.intent())
}

fn somebody_else(intent: &Intent, address: IpAddr, node: &str) -> Result<(), No> {
    let candidates = intent.vips.get(&address).map(|vip| &vip.candidates);
    if candidates.is_some_and(|candidates| candidates.iter().any(|candidate| candidate != node)) {
        return Ok(());
    }
    let message = format!("no node but {node} may carry {address}; ferrolb status says why");
    Err(No::new(Reason::NoOtherNode, message))
}

/// Whether the node may carry the address, and its speaker says nothing else.
fn takes(objects: &Arc<Objects>, address: IpAddr, node: &str, now: Timestamp) -> Result<(), No> {
    if let Some(Err(obstacle)) = intent(objects, node).vips.get(&address).map(|vip| &vip.here) {
        return Err(No::new(obstacle.reason, &*obstacle.message));
    }
    // Machines that share no state folder know nothing of each other's speakers.
    let Some(speaker) = objects.speakers.get(node) else { return Ok(()) };
    if is_silent(speaker, now) {
        return Err(No::new(
            Reason::SpeakerSilent,
            format!("the speaker of {node} is silent; is it running?"),
        ));
    }
    let status = speaker.status.as_ref();
    match status.and_then(|status| status.refusals.get(&address.to_string())) {
        // As speakers write it: the reason, and what is behind it.
        Some(why) => Err(No::new(Reason::DataPathNotReady, format!("{node} cannot carry it: {why}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests;
