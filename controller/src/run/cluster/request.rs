// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Writes as requests to the API server.

use ferrolb_config::api::{IN_USE, VirtualIP};
use ferrolb_source::kube::{ClusterWriter, WriteError};

use super::restraint::Setback;
use crate::apply::{Verdict, Write};

/// Makes one write.
pub(super) async fn send(writer: &ClusterWriter, write: &Write) -> Result<(), WriteError> {
    match write {
        Write::PutVirtualIP(object) if object.metadata.resource_version.is_none() => {
            writer.create_virtual_ip(object).await.map(drop)
        }
        Write::PutVirtualIP(object) => writer.replace_virtual_ip(object).await.map(drop),
        Write::DeleteVirtualIP(object) => release(writer, object).await,
        Write::PutServiceStatus(object) => {
            writer.patch_service_status(&object.metadata, object.status.as_ref()).await.map(drop)
        }
        Write::PutExternalIPs(object) => {
            let list = object.spec.as_ref().and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default();
            writer.patch_service_external_ips(&object.metadata, list).await.map(drop)
        }
        Write::PutFloatingIPStatus(object) => writer.patch_status(object.as_ref()).await,
        Write::PutVirtualIPStatus(object) => writer.patch_status(object.as_ref()).await,
        Write::PutSpeakerStatus(object) => writer.patch_status(object.as_ref()).await,
        Write::PutPoolStatus(object) => writer.patch_status(object.as_ref()).await,
        Write::PutVerdict(Verdict::L2Advertisement(object)) => writer.patch_status(object.as_ref()).await,
        Write::PutVerdict(Verdict::BGPPeer(object)) => writer.patch_status(object.as_ref()).await,
        Write::PutVerdict(Verdict::BGPAdvertisement(object)) => writer.patch_status(object.as_ref()).await,
        Write::PutVerdict(Verdict::BFDProfile(object)) => writer.patch_status(object.as_ref()).await,
        Write::PutVerdict(Verdict::Community(object)) => writer.patch_status(object.as_ref()).await,
        // In a cluster a status goes with its object.
        Write::DeleteServiceStatus(_)
        | Write::DeleteFloatingIPStatus(_)
        | Write::DeletePoolStatus(_)
        | Write::DeleteVerdict(..) => Ok(()),
    }
}

/// Takes our finalizer away, then the object. Whoever dies in between leaves a record without a user, which the next
/// plan removes.
async fn release(writer: &ClusterWriter, object: &VirtualIP) -> Result<(), WriteError> {
    let guarded = |finalizer: &String| finalizer == IN_USE;
    let gone = if object.metadata.finalizers.iter().flatten().any(guarded) {
        let mut unguarded = object.clone();
        unguarded.metadata.finalizers.iter_mut().for_each(|all| all.retain(|finalizer| !guarded(finalizer)));
        match writer.replace_virtual_ip(&unguarded).await {
            // It was to be deleted already, and is gone with its last finalizer; nobody else could have it then.
            Ok(stored) => writer.delete_virtual_ip(&stored).await,
            Err(error) => Err(error),
        }
    } else {
        writer.delete_virtual_ip(object).await
    };
    match gone {
        Err(WriteError::NotFound) => Ok(()),
        other => other,
    }
}

/// What a failed write means for those to come.
pub(super) fn setback(error: &WriteError) -> Setback {
    match error {
        WriteError::Conflict | WriteError::NotFound | WriteError::Exists => Setback::Outdated,
        WriteError::Forbidden(_) | WriteError::Invalid(_) => Setback::Refused,
        WriteError::TooManyRequests { retry_after } => Setback::Busy { retry_after: *retry_after },
        WriteError::Unavailable(_) | WriteError::Timeout => Setback::NoAnswer,
        // Nothing was sent, and whoever leads now decides.
        WriteError::NotLeading => Setback::Refused,
    }
}
