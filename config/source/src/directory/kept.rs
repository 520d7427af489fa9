// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What each program reads of the folders, and what is kept of an object that was read. A speaker, of which there is one on
//! every node, keeps what it keeps of a cluster, and has no use for what other speakers say.

use std::path::Path;
use std::sync::Arc;

use ferrolb_config::Object;

use crate::kube::prune::{Prune, Reader};
use crate::state::{CONTROLLER, Role, SPEAKER_PREFIX, STATUS};

/// The statuses of Services, which nothing that a speaker does follows from.
const SERVICES: &str = "services";

/// What is kept of manifests and of the files of the state folder.
pub(super) type Keep = fn(Object) -> Object;

/// What `role` keeps of manifests, and of the state folder.
pub(super) fn kept_by(role: Option<&Role>) -> (Keep, Keep) {
    match role {
        Some(Role::Speaker(_)) => (|object| for_speaker(without_status(object)), for_speaker),
        Some(Role::Controller | Role::Operator) | None => (without_status, |object| object),
    }
}

/// Whether `role` has a use for what lies at `path`, which is relative to the state folder.
pub(super) fn reads(role: Option<&Role>, path: &Path) -> bool {
    let Some(Role::Speaker(_)) = role else { return true };
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    match parts.next() {
        Some(writer) if writer.starts_with(SPEAKER_PREFIX) => false,
        Some(writer) if writer == CONTROLLER => {
            !(parts.next().is_some_and(|part| part == STATUS)
                && parts.next().is_some_and(|part| part == SERVICES))
        }
        _ => true,
    }
}

/// A manifest says what is wanted. What stands in its status is from another time or another cluster; only a Node's
/// status says what nobody else can: its addresses.
fn without_status(mut object: Object) -> Object {
    match &mut object {
        Object::AddressPool(pool) => Arc::make_mut(pool).status = None,
        Object::L2Advertisement(advertisement) => Arc::make_mut(advertisement).status = None,
        Object::BGPPeer(peer) => Arc::make_mut(peer).status = None,
        Object::BGPAdvertisement(advertisement) => Arc::make_mut(advertisement).status = None,
        Object::BFDProfile(profile) => Arc::make_mut(profile).status = None,
        Object::Community(community) => Arc::make_mut(community).status = None,
        Object::FloatingIP(floating_ip) => Arc::make_mut(floating_ip).status = None,
        Object::VirtualIP(virtual_ip) => Arc::make_mut(virtual_ip).status = None,
        Object::Speaker(speaker) => Arc::make_mut(speaker).status = None,
        Object::Service(service) => Arc::make_mut(service).status = None,
        Object::EndpointSlice(_) | Object::Node(_) | Object::Namespace(_) | Object::Secret(_) => {}
        // No manifest is read as one.
        Object::MetalLBPool(_)
        | Object::MetalLBL2Advertisement(_)
        | Object::MetalLBBGPPeer(_)
        | Object::MetalLBBGPAdvertisement(_)
        | Object::MetalLBBFDProfile(_)
        | Object::MetalLBCommunity(_)
        | Object::MetalLBSecret(_) => {}
    }
    object
}

fn for_speaker(mut object: Object) -> Object {
    match &mut object {
        Object::VirtualIP(virtual_ip) => prune(virtual_ip),
        Object::Service(service) => prune(service),
        Object::EndpointSlice(slice) => prune(slice),
        Object::Node(node) => prune(node),
        Object::Namespace(namespace) => prune(namespace),
        Object::Secret(secret) | Object::MetalLBSecret(secret) => prune(secret),
        // Few, and in a cluster some of it is forgotten that is in force here: commands that check a FloatingIP.
        Object::AddressPool(_) | Object::L2Advertisement(_) | Object::FloatingIP(_) | Object::Speaker(_) => {}
        Object::BGPPeer(_) | Object::BGPAdvertisement(_) | Object::BFDProfile(_) | Object::Community(_) => {}
        Object::MetalLBPool(_)
        | Object::MetalLBL2Advertisement(_)
        | Object::MetalLBBGPPeer(_)
        | Object::MetalLBBGPAdvertisement(_)
        | Object::MetalLBBFDProfile(_)
        | Object::MetalLBCommunity(_) => {}
    }
    object
}

fn prune<K: Prune + Clone>(object: &mut Arc<K>) {
    Arc::make_mut(object).prune(Reader::Speaker);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_reads_what_controller_and_operator_say_of_addresses_and_nothing_of_speakers() {
        let speaker = Role::Speaker("n1".to_owned());
        for (path, wanted) in [
            ("speaker-n2/virtualips.yaml", false),
            ("speaker-n1", false),
            ("controller/status/services/default_web.yaml", false),
            ("controller/status/services", false),
            ("controller/status/addresspools/lan.yaml", true),
            ("controller/virtualips/192.0.2.10.yaml", true),
            ("operator/nodes/n1.yaml", true),
        ] {
            assert_eq!(reads(Some(&speaker), Path::new(path)), wanted, "{path}");
            assert!(reads(Some(&Role::Controller), Path::new(path)) && reads(None, Path::new(path)));
        }
    }
}
