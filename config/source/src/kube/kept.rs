// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The last whole view, kept on the disk: a speaker that starts while the API server is away works from it.
//!
//! One file, readable by its owner only, replaced as a whole. What cannot be read, or is of another cluster or another
//! version of this program's format, counts as not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrolb_config::api::{
    AddressPool, BFDProfile, BGPAdvertisement, BGPPeer, Community, FloatingIP, L2Advertisement, Speaker,
    VirtualIP,
};
use ferrolb_config::compat::metallb;
use ferrolb_config::{Freshness, Object, Objects};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The format; another one is not read.
const FORMAT: u32 = 1;
/// The file's name in the state folder.
const FILE: &str = "snapshot.json";
/// Larger files are not ours.
const LARGEST: u64 = 512 << 20;

/// Why there is no view on the disk, or none can be put there.
#[derive(Debug, Error)]
pub(crate) enum KeptError {
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error("cannot read {path}: {error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path} is damaged: {error}")]
    Damaged { path: PathBuf, error: serde_json::Error },
    #[error("{path} is not ours: {why}")]
    Foreign { path: PathBuf, why: String },
    #[error("cannot write {path}: {error}")]
    Unwritable { path: PathBuf, error: io::Error },
}

/// The beginning of the file, which is read before the rest is understood.
#[derive(Deserialize)]
struct Header {
    format: u32,
    server: String,
}

/// What is read.
#[derive(Deserialize)]
struct Stored {
    saved: Timestamp,
    #[serde(default)]
    unknown: Vec<String>,
    pools: Vec<AddressPool>,
    l2_advertisements: Vec<L2Advertisement>,
    #[serde(default)]
    bgp_peers: Vec<BGPPeer>,
    #[serde(default)]
    bgp_advertisements: Vec<BGPAdvertisement>,
    #[serde(default)]
    bfd_profiles: Vec<BFDProfile>,
    #[serde(default)]
    communities: Vec<Community>,
    #[serde(default)]
    floating_ips: Vec<FloatingIP>,
    virtual_ips: Vec<VirtualIP>,
    speakers: Vec<Speaker>,
    services: Vec<Service>,
    endpoint_slices: Vec<EndpointSlice>,
    nodes: Vec<Node>,
    namespaces: Vec<Namespace>,
    #[serde(default)]
    secrets: Vec<Secret>,
    #[serde(default)]
    metallb_pools: Vec<metallb::IPAddressPool>,
    #[serde(default)]
    metallb_l2_advertisements: Vec<metallb::L2Advertisement>,
    #[serde(default)]
    metallb_bgp_peers: Vec<metallb::BGPPeer>,
    #[serde(default)]
    metallb_bgp_advertisements: Vec<metallb::BGPAdvertisement>,
    #[serde(default)]
    metallb_bfd_profiles: Vec<metallb::BFDProfile>,
    #[serde(default)]
    metallb_communities: Vec<metallb::Community>,
    #[serde(default)]
    metallb_secrets: Vec<Secret>,
}

/// What is written: the same fields, and nothing is copied for it.
#[derive(Serialize)]
struct Storing<'a> {
    format: u32,
    server: &'a str,
    saved: Timestamp,
    /// Kinds that could not be read.
    unknown: &'a BTreeSet<&'static str>,
    pools: All<'a, String, AddressPool>,
    l2_advertisements: All<'a, String, L2Advertisement>,
    bgp_peers: All<'a, String, BGPPeer>,
    bgp_advertisements: All<'a, String, BGPAdvertisement>,
    bfd_profiles: All<'a, String, BFDProfile>,
    communities: All<'a, String, Community>,
    floating_ips: All<'a, ferrolb_config::ServiceName, FloatingIP>,
    virtual_ips: All<'a, String, VirtualIP>,
    speakers: All<'a, String, Speaker>,
    services: All<'a, ferrolb_config::ServiceName, Service>,
    endpoint_slices: All<'a, ferrolb_config::ServiceName, EndpointSlice>,
    nodes: All<'a, String, Node>,
    namespaces: All<'a, String, Namespace>,
    secrets: All<'a, String, Secret>,
    metallb_secrets: All<'a, String, Secret>,
    metallb_pools: All<'a, String, metallb::IPAddressPool>,
    metallb_l2_advertisements: All<'a, String, metallb::L2Advertisement>,
    metallb_bgp_peers: All<'a, String, metallb::BGPPeer>,
    metallb_bgp_advertisements: All<'a, String, metallb::BGPAdvertisement>,
    metallb_bfd_profiles: All<'a, String, metallb::BFDProfile>,
    metallb_communities: All<'a, String, metallb::Community>,
}

/// The objects of one kind as a list; their names stand in them.
struct All<'a, K, T>(&'a BTreeMap<K, Arc<T>>);

impl<K, T: Serialize> Serialize for All<'_, K, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values().map(Arc::as_ref))
    }
}

/// The file of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    server: String,
}

impl Kept {
    /// The file in the folder `state`, of the cluster with that API server.
    pub(crate) fn new(state: &Path, server: &str) -> Self {
        Self { path: state.join(FILE), server: server.to_owned() }
    }

    /// Reads the view, and when it was saved. Blocks on the disk.
    pub(crate) fn load(&self) -> Result<(Objects, Timestamp), KeptError> {
        let path = || self.path.clone();
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => KeptError::Missing(path()),
            _ => KeptError::Unreadable { path: path(), error },
        };
        let foreign = |why: String| KeptError::Foreign { path: path(), why };
        let size = fs::metadata(&self.path).map_err(unreadable)?.len();
        if size > LARGEST {
            return Err(foreign(format!("it has {} MiB", size >> 20)));
        }
        let open = || File::open(&self.path).map(BufReader::new).map_err(unreadable);
        let damaged = |error| KeptError::Damaged { path: path(), error };
        let header: Header = serde_json::from_reader(open()?).map_err(damaged)?;
        if header.format != FORMAT {
            return Err(foreign(format!(
                "it has the format {}, and this program reads {FORMAT}",
                header.format
            )));
        }
        if header.server != self.server {
            return Err(foreign(format!("it is of the cluster {}", header.server)));
        }
        let stored: Stored = serde_json::from_reader(open()?).map_err(damaged)?;
        let saved = stored.saved;
        Ok((stored.into(), saved))
    }

    /// Replaces the file by `objects`: a crash at any point leaves the old content or the new one. Blocks on the disk.
    pub(crate) fn save(&self, objects: &Objects, saved: Timestamp) -> Result<(), KeptError> {
        self.write(objects, saved).map_err(|error| KeptError::Unwritable { path: self.path.clone(), error })
    }

    fn write(&self, objects: &Objects, saved: Timestamp) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let beside = self.path.with_extension("json.new");
        let written = self.write_to(&beside, objects, saved).and_then(|()| fs::rename(&beside, &self.path));
        if let Err(error) = written {
            // The disk is full, most likely: what was begun takes room that others need.
            return match fs::remove_file(&beside) {
                Err(again) if again.kind() != io::ErrorKind::NotFound => Err(again),
                Ok(()) | Err(_) => Err(error),
            };
        }
        File::open(folder)?.sync_all()
    }

    fn write_to(&self, beside: &Path, objects: &Objects, saved: Timestamp) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(beside)?;
        let mut file = BufWriter::new(file);
        serde_json::to_writer(
            &mut file,
            &Storing {
                format: FORMAT,
                server: &self.server,
                saved,
                unknown: &objects.freshness.unknown,
                pools: All(&objects.pools),
                l2_advertisements: All(&objects.l2_advertisements),
                bgp_peers: All(&objects.bgp_peers),
                bgp_advertisements: All(&objects.bgp_advertisements),
                bfd_profiles: All(&objects.bfd_profiles),
                communities: All(&objects.communities),
                floating_ips: All(&objects.floating_ips),
                virtual_ips: All(&objects.virtual_ips),
                speakers: All(&objects.speakers),
                services: All(&objects.services),
                endpoint_slices: All(&objects.endpoint_slices),
                nodes: All(&objects.nodes),
                namespaces: All(&objects.namespaces),
                secrets: All(&objects.secrets),
                metallb_secrets: All(&objects.metallb_secrets),
                metallb_pools: All(&objects.metallb_pools),
                metallb_l2_advertisements: All(&objects.metallb_l2_advertisements),
                metallb_bgp_peers: All(&objects.metallb_bgp_peers),
                metallb_bgp_advertisements: All(&objects.metallb_bgp_advertisements),
                metallb_bfd_profiles: All(&objects.metallb_bfd_profiles),
                metallb_communities: All(&objects.metallb_communities),
            },
        )?;
        file.flush()?;
        file.get_ref().sync_all()
    }
}

impl From<Stored> for Objects {
    fn from(stored: Stored) -> Self {
        fn all<T>(objects: &mut Objects, list: Vec<T>, wrap: impl Fn(Arc<T>) -> Object) {
            list.into_iter().for_each(|object| objects.insert(wrap(Arc::new(object))));
        }
        let mut objects = Self::default();
        // No view is kept that lacks another kind.
        objects.freshness.unknown =
            stored.unknown.iter().filter_map(|kind| Freshness::of_routers(kind)).collect();
        all(&mut objects, stored.pools, Object::AddressPool);
        all(&mut objects, stored.l2_advertisements, Object::L2Advertisement);
        all(&mut objects, stored.bgp_peers, Object::BGPPeer);
        all(&mut objects, stored.bgp_advertisements, Object::BGPAdvertisement);
        all(&mut objects, stored.bfd_profiles, Object::BFDProfile);
        all(&mut objects, stored.communities, Object::Community);
        all(&mut objects, stored.floating_ips, Object::FloatingIP);
        all(&mut objects, stored.virtual_ips, Object::VirtualIP);
        all(&mut objects, stored.speakers, Object::Speaker);
        all(&mut objects, stored.services, Object::Service);
        all(&mut objects, stored.endpoint_slices, Object::EndpointSlice);
        all(&mut objects, stored.nodes, Object::Node);
        all(&mut objects, stored.namespaces, Object::Namespace);
        all(&mut objects, stored.secrets, Object::Secret);
        all(&mut objects, stored.metallb_secrets, Object::MetalLBSecret);
        all(&mut objects, stored.metallb_pools, Object::MetalLBPool);
        all(&mut objects, stored.metallb_l2_advertisements, Object::MetalLBL2Advertisement);
        all(&mut objects, stored.metallb_bgp_peers, Object::MetalLBBGPPeer);
        all(&mut objects, stored.metallb_bgp_advertisements, Object::MetalLBBGPAdvertisement);
        all(&mut objects, stored.metallb_bfd_profiles, Object::MetalLBBFDProfile);
        all(&mut objects, stored.metallb_communities, Object::MetalLBCommunity);
        objects
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SERVER: &str = "https://192.0.2.1:6443/";

    fn some() -> Objects {
        let mut objects = Objects::default();
        let read =
            |kind, raw| crate::kube::decode::object(kind, raw, crate::kube::prune::Reader::Speaker).unwrap();
        use crate::kube::kind::Kind;
        for object in [
            read(
                Kind::AddressPool,
                r#"{"metadata":{"name":"a","uid":"1"},"spec":{"addresses":["192.0.2.0/24"]}}"#,
            ),
            read(
                Kind::Service,
                r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"type":"LoadBalancer"}}"#,
            ),
            read(Kind::Node, r#"{"metadata":{"name":"n1","labels":{"a":"b"}}}"#),
        ] {
            objects.insert(object);
        }
        objects
    }

    #[test]
    fn what_was_saved_is_loaded_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(&folder.path().join("state"), SERVER);
        assert!(matches!(kept.load(), Err(KeptError::Missing(_))));
        let saved = Timestamp::from_second(1_000).unwrap();
        kept.save(&some(), saved).unwrap();
        kept.save(&some(), saved).unwrap();
        assert_eq!(kept.load().unwrap(), (some(), saved));
        assert_eq!(fs::metadata(&kept.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_short_anywhere_is_damaged_and_nothing_worse() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), SERVER);
        kept.save(&some(), Timestamp::UNIX_EPOCH).unwrap();
        let whole = fs::read(&kept.path).unwrap();
        for length in (0..whole.len()).step_by(7) {
            fs::write(&kept.path, &whole[..length]).unwrap();
            assert!(matches!(kept.load(), Err(KeptError::Damaged { .. })), "{length} octets");
        }
        fs::write(&kept.path, [0xff; 100]).unwrap();
        assert!(matches!(kept.load(), Err(KeptError::Damaged { .. })));
        fs::remove_file(&kept.path).unwrap();
        fs::create_dir(&kept.path).unwrap();
        assert!(kept.load().is_err());
    }

    #[test]
    fn a_file_of_another_cluster_or_format_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), SERVER);
        kept.save(&some(), Timestamp::UNIX_EPOCH).unwrap();
        let error = Kept::new(folder.path(), "https://192.0.2.2:6443/").load().unwrap_err();
        assert!(error.to_string().ends_with("it is of the cluster https://192.0.2.1:6443/"), "{error}");
        let mut partial = some();
        partial.freshness.unknown = ["BGPPeer"].into();
        kept.save(&partial, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept.load().unwrap().0, partial, "what was unknown does not come back as empty");
        fs::write(&kept.path, format!(r#"{{"format":2,"server":"{SERVER}","objects":[]}}"#)).unwrap();
        assert!(matches!(kept.load(), Err(KeptError::Foreign { .. })));
    }

    #[test]
    fn a_save_that_fails_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), SERVER);
        kept.save(&some(), Timestamp::UNIX_EPOCH).unwrap();
        // A folder stands where the new content would be written first, so not even root can write it.
        fs::create_dir(kept.path.with_extension("json.new")).unwrap();
        let error = kept.save(&Objects::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("snapshot.json"), "{error}");
        assert_eq!(kept.load().unwrap().0, some());
    }
}
