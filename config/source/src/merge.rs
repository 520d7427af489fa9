// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What people wrote, what the controller recorded, what the speakers observe and what operators ask for, brought together
//! as one [`Objects`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_config::api::{Layer2Owner, SILENT_AFTER, Speaker, VirtualIP, VirtualIPStatus, annotation};
use ferrolb_config::condition::{self, REACHABLE};
use ferrolb_config::reason::{Location, Reason, Refusal};
use ferrolb_config::{Object, ObjectRef, Objects, defaults};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::files::{Held, Placed};
use crate::state::{CONTROLLER, OPERATOR, SPEAKER_PREFIX, STATUS};

/// What one merge yields.
pub(crate) struct Merged {
    pub(crate) objects: Objects,
    /// When the result changes by the mere passing of time: when the next speaker falls silent.
    pub(crate) expires: Option<Duration>,
}

/// Merges the files of the source with those of the state folder `state`.
pub(crate) fn merge<'a>(
    source: impl Iterator<Item = (&'a Path, &'a Held)> + Clone,
    state: &Path,
    state_files: impl Iterator<Item = (&'a Path, &'a Held)>,
    now: Timestamp,
) -> Merged {
    let mut objects = Objects::default();
    take_source(&mut objects, source);
    let mut recorded = Recorded::default();
    for (path, held) in state_files {
        objects.refused.extend(held.refused.iter().cloned());
        recorded.take(path.strip_prefix(state).unwrap_or(path), held);
    }
    let expires = recorded.add_to(&mut objects, now);
    defaults::complete(&mut objects);
    Merged { objects, expires }
}

fn take_source<'a>(objects: &mut Objects, files: impl Iterator<Item = (&'a Path, &'a Held)> + Clone) {
    for (path, held) in files.clone() {
        objects.refused.extend(held.refused.iter().cloned());
        for placed in &held.objects {
            let object = &placed.object;
            let refusal = if matches!(object, Object::Speaker(_)) {
                let why = "speakers report about themselves";
                Refusal::error(Reason::InvalidValue, object.reference(), why).remedy("Remove the document.")
            } else if objects.has_like(object) {
                let message = match first_place(files.clone(), &object.reference()) {
                    Some(first) => format!("the object stands at {first} already"),
                    None => "the object stands elsewhere already".to_owned(),
                };
                Refusal::error(Reason::DuplicateObject, object.reference(), message)
                    .remedy("Remove one of the two; the first one is used.")
            } else {
                objects.insert(object.clone());
                continue;
            };
            objects.refused.push(Refusal { location: Some(placed.location(path)), ..refusal });
        }
    }
}

fn first_place<'a>(
    mut files: impl Iterator<Item = (&'a Path, &'a Held)>,
    reference: &ObjectRef,
) -> Option<Location> {
    files.find_map(|(path, held)| {
        let first = held.objects.iter().find(|placed| placed.object.reference() == *reference)?;
        Some(first.location(path))
    })
}

/// The state folder's objects, by their writer.
#[derive(Default)]
struct Recorded<'a> {
    virtual_ips: Vec<&'a Arc<VirtualIP>>,
    statuses: Vec<&'a Object>,
    wishes: Vec<&'a Object>,
    speakers: BTreeMap<String, Observed<'a>>,
}

/// What one speaker wrote.
#[derive(Default)]
struct Observed<'a> {
    speaker: Option<&'a Arc<Speaker>>,
    virtual_ips: Vec<&'a VirtualIP>,
}

impl<'a> Recorded<'a> {
    fn take(&mut self, path: &Path, held: &'a Held) {
        let mut parts = path.iter().map(|part| part.to_string_lossy());
        let (writer, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let observed = writer
            .strip_prefix(SPEAKER_PREFIX)
            .map(|node| (node.to_owned(), self.speakers.entry(node.to_owned()).or_default()));
        match observed {
            Some((node, observed)) => {
                for Placed { object, .. } in &held.objects {
                    match object {
                        Object::Speaker(speaker) if speaker.metadata.name.as_ref() == Some(&node) => {
                            observed.speaker = Some(speaker);
                        }
                        Object::VirtualIP(virtual_ip) => observed.virtual_ips.push(virtual_ip),
                        _ => {}
                    }
                }
            }
            None if writer == CONTROLLER => {
                for Placed { object, .. } in &held.objects {
                    match object {
                        Object::VirtualIP(virtual_ip) if kind != STATUS => self.virtual_ips.push(virtual_ip),
                        object => self.statuses.push(object),
                    }
                }
            }
            None if writer == OPERATOR => {
                self.wishes.extend(held.objects.iter().map(|placed| &placed.object))
            }
            None => {}
        }
    }

    fn add_to(self, objects: &mut Objects, now: Timestamp) -> Option<Duration> {
        for virtual_ip in self.virtual_ips {
            // A record that people distribute with the rest stands above what a controller here once wrote.
            let name = virtual_ip.metadata.name.clone().unwrap_or_default();
            objects.virtual_ips.entry(name).or_insert_with(|| Arc::clone(virtual_ip));
        }
        for object in self.statuses {
            add_status(objects, object);
        }
        for object in self.wishes {
            add_wish(objects, object);
        }
        let mut expires: Option<Duration> = None;
        let mut owners: BTreeMap<(String, String), Layer2Owner> = BTreeMap::new();
        let mut reachable: BTreeMap<String, Condition> = BTreeMap::new();
        for (node, observed) in self.speakers {
            let Some(speaker) = observed.speaker else { continue };
            objects.speakers.insert(node.clone(), Arc::clone(speaker));
            let Some(left) = time_to_live(speaker, now) else { continue };
            expires = Some(expires.map_or(left, |other| other.min(left)));
            for virtual_ip in observed.virtual_ips {
                claim(&mut owners, &node, virtual_ip);
                testify(&mut reachable, virtual_ip);
            }
        }
        for ((name, _), owner) in owners {
            if let Some(virtual_ip) = objects.virtual_ips.get_mut(&name) {
                let virtual_ip = Arc::make_mut(virtual_ip);
                virtual_ip.status.get_or_insert_with(VirtualIPStatus::default).layer2.push(owner);
            }
        }
        for (name, seen) in reachable {
            if let Some(virtual_ip) = objects.virtual_ips.get_mut(&name) {
                let virtual_ip = Arc::make_mut(virtual_ip);
                let status = virtual_ip.status.get_or_insert_with(VirtualIPStatus::default);
                condition::set(&mut status.conditions, seen);
            }
        }
        expires
    }
}

/// How long a speaker still counts as alive; `None` when it is dead.
fn time_to_live(speaker: &Speaker, now: Timestamp) -> Option<Duration> {
    let heartbeat = speaker.status.as_ref()?.heartbeat.as_ref()?.0;
    let left = SILENT_AFTER.checked_sub(now.duration_since(heartbeat))?;
    // A heartbeat from a clock that is ahead must not keep a speaker alive for longer.
    Duration::try_from(left.min(SILENT_AFTER)).ok().filter(|left| !left.is_zero())
}

/// Enters what `node` says about itself on `virtual_ip`; of two claims on one segment the higher term is the newer.
fn claim(owners: &mut BTreeMap<(String, String), Layer2Owner>, node: &str, virtual_ip: &VirtualIP) {
    let name = virtual_ip.metadata.name.clone().unwrap_or_default();
    let entries = virtual_ip.status.iter().flat_map(|status| &status.layer2);
    for owner in entries.filter(|owner| owner.node == node) {
        let known = owners.entry((name.clone(), owner.segment.clone())).or_insert_with(|| owner.clone());
        if owner.term > known.term {
            known.clone_from(owner);
        }
    }
}

/// Puts what an operator asks for where it stands in a cluster: on the object itself.
fn add_wish(objects: &mut Objects, wish: &Object) {
    let name = wish.reference().name;
    let key = match wish {
        Object::VirtualIP(_) => annotation::MOVE,
        Object::Node(_) => annotation::DRAIN,
        _ => return,
    };
    let Some(value) = wish.metadata().annotations.as_ref().and_then(|all| all.get(key)) else { return };
    let asked = match wish {
        Object::VirtualIP(_) => objects.virtual_ips.get_mut(&name).map(|it| &mut Arc::make_mut(it).metadata),
        _ => objects.nodes.get_mut(&name).map(|it| &mut Arc::make_mut(it).metadata),
    };
    if let Some(metadata) = asked {
        metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.clone());
    }
}

/// Enters what a node saw when it asked for `virtual_ip`; of several one that is not answered counts.
fn testify(reachable: &mut BTreeMap<String, Condition>, virtual_ip: &VirtualIP) {
    let name = virtual_ip.metadata.name.clone().unwrap_or_default();
    let conditions = virtual_ip.status.iter().flat_map(|status| &status.conditions);
    for seen in conditions.filter(|condition| condition.type_ == REACHABLE) {
        let known = reachable.entry(name.clone()).or_insert_with(|| seen.clone());
        if known.status == "True" {
            known.clone_from(seen);
        }
    }
}

fn add_status(objects: &mut Objects, recorded: &Object) {
    let ObjectRef { namespace, name, .. } = recorded.reference();
    match recorded {
        Object::AddressPool(recorded) => {
            if let Some(pool) = objects.pools.get_mut(&name) {
                Arc::make_mut(pool).status.clone_from(&recorded.status);
            }
        }
        Object::L2Advertisement(recorded) => {
            if let Some(advertisement) = objects.l2_advertisements.get_mut(&name) {
                Arc::make_mut(advertisement).status.clone_from(&recorded.status);
            }
        }
        Object::BGPPeer(recorded) => {
            if let Some(peer) = objects.bgp_peers.get_mut(&name) {
                Arc::make_mut(peer).status.clone_from(&recorded.status);
            }
        }
        Object::BGPAdvertisement(recorded) => {
            if let Some(advertisement) = objects.bgp_advertisements.get_mut(&name) {
                Arc::make_mut(advertisement).status.clone_from(&recorded.status);
            }
        }
        Object::BFDProfile(recorded) => {
            if let Some(profile) = objects.bfd_profiles.get_mut(&name) {
                Arc::make_mut(profile).status.clone_from(&recorded.status);
            }
        }
        Object::Community(recorded) => {
            if let Some(community) = objects.communities.get_mut(&name) {
                Arc::make_mut(community).status.clone_from(&recorded.status);
            }
        }
        Object::FloatingIP(recorded) => {
            let name = ferrolb_config::ServiceName { namespace: namespace.unwrap_or_default(), name };
            if let Some(floating_ip) = objects.floating_ips.get_mut(&name) {
                Arc::make_mut(floating_ip).status.clone_from(&recorded.status);
            }
        }
        Object::Service(recorded) => {
            let name = ferrolb_config::ServiceName { namespace: namespace.unwrap_or_default(), name };
            if let Some(service) = objects.services.get_mut(&name) {
                Arc::make_mut(service).status.clone_from(&recorded.status);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ferrolb_config::api::{SpeakerSpec, SpeakerStatus};
    use jiff::SignedDuration;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_speaker_lives_for_thirty_seconds_after_its_heartbeat_and_a_fast_clock_adds_none() {
        let heartbeat = Timestamp::from_second(1_000).unwrap();
        let mut speaker = Speaker::new("n1", SpeakerSpec {});
        assert_eq!(time_to_live(&speaker, heartbeat), None, "no heartbeat at all");
        speaker.status = Some(SpeakerStatus { heartbeat: Some(Time(heartbeat)), ..SpeakerStatus::default() });
        for (later, left) in [(0, Some(30)), (29, Some(1)), (30, None), (3_600, None), (-600, Some(30))] {
            let now = heartbeat + SignedDuration::from_secs(later);
            assert_eq!(time_to_live(&speaker, now), left.map(Duration::from_secs), "{later} s later");
        }
    }
}
