// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! VirtualIPs by address. One in use that is being deleted stays in force until it is gone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::address::{parse_virtual_ip_name, virtual_ip_name};
use crate::api::{VirtualIP, VirtualIPSpec};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};

type ByAddress = BTreeMap<IpAddr, Arc<VirtualIP>>;

/// Those in use, and those kept for who had them last. One of the latter that somebody deletes is kept no longer.
pub(super) fn build(
    objects: &BTreeMap<String, Arc<VirtualIP>>,
    refused: &mut Vec<Refusal>,
) -> (ByAddress, ByAddress) {
    let (mut in_use, mut retained) = (ByAddress::new(), ByAddress::new());
    for (name, object) in objects {
        match address(name, &object.spec) {
            Ok(address) if object.spec.released_at.is_none() => {
                in_use.insert(address, Arc::clone(object));
            }
            Ok(address) if object.metadata.deletion_timestamp.is_none() => {
                retained.insert(address, Arc::clone(object));
            }
            Ok(_) => {}
            Err(refusal) => refused.push(*refusal),
        }
    }
    (in_use, retained)
}

/// The address of a VirtualIP that is in use; `None` for one that is kept for who had it last, or refused.
pub fn address_in_use(name: &str, object: &VirtualIP) -> Option<IpAddr> {
    address(name, &object.spec).ok().filter(|_| object.spec.released_at.is_none())
}

/// The address, if name and spec agree on it. They must: the name is the lock on the address.
fn address(name: &str, spec: &VirtualIPSpec) -> Result<IpAddr, Box<Refusal>> {
    let refuse = |message: String| {
        let object = ObjectRef::cluster("VirtualIP", name);
        let refusal = Refusal::error(Reason::InvalidValue, object, message).field("spec.address");
        Box::new(refusal.remedy("Delete the object; the controller writes VirtualIPs itself."))
    };
    let address: IpAddr =
        spec.address.parse().map_err(|_| refuse(format!("\"{}\" is not an IP address", spec.address)))?;
    if parse_virtual_ip_name(name) != Some(address) {
        let expected = virtual_ip_name(address);
        return Err(refuse(format!(
            "a VirtualIP for {address} must be named \"{expected}\", not \"{name}\""
        )));
    }
    Ok(address)
}
