// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! BFDProfiles with their defaults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{BFDProfile, BFDProfileSpec};
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};

/// Milliseconds between packets, where a profile does not say.
const INTERVAL: u32 = 300;
/// How many packets in a row may be missed, where a profile does not say.
const MULTIPLIER: u8 = 3;
/// The least time to live over several hops, where a profile does not say.
const MINIMUM_TTL: u8 = 254;

/// How closely the path to a router is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdProfile {
    /// The shortest interval at which we want to receive.
    pub receive: Duration,
    /// The shortest interval at which we want to send.
    pub transmit: Duration,
    /// How many of our packets in a row the peer may miss.
    pub multiplier: u8,
    /// Whether to wait for the peer to speak first.
    pub passive: bool,
    /// The least time to live of packets over several hops.
    pub minimum_ttl: u8,
}

pub(super) fn build(
    objects: &BTreeMap<String, Arc<BFDProfile>>,
    refused: &mut Vec<Refusal>,
) -> BTreeMap<String, BfdProfile> {
    let mut profiles = BTreeMap::new();
    for (name, object) in objects {
        let usable = read(name, &object.spec).or_else(|refusals| {
            refused.extend(refusals);
            let accepted = object.status.as_ref().and_then(|status| status.accepted.as_ref());
            accepted.ok_or(()).and_then(|spec| read(name, spec).map_err(drop))
        });
        profiles.extend(usable.ok().map(|profile| (name.clone(), profile)));
    }
    profiles
}

fn read(name: &str, spec: &BFDProfileSpec) -> Result<BfdProfile, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut refuse = |reason, field: &str, message: String, remedy: &str| {
        let refusal = Refusal::error(reason, ObjectRef::cluster("BFDProfile", name), message);
        refusals.push(refusal.field(format!("spec.{field}")).remedy(remedy));
    };
    if spec.echo_mode {
        let message =
            "FerroLB sends no echo packets: they would come back through the node's forwarding".to_owned();
        let remedy =
            "Take echoMode out, and set receiveInterval and transmitInterval as short as echoInterval.";
        refuse(Reason::NotYetSupported, "echoMode", message, remedy);
    }
    let mut interval = |field: &str, given: Option<u32>| {
        let number = given.unwrap_or(INTERVAL);
        if !(10..=60_000).contains(&number) {
            let message = format!("an interval is 10 to 60000 milliseconds, not {number}");
            refuse(Reason::InvalidValue, field, message, "Correct the interval.");
        }
        Duration::from_millis(number.into())
    };
    let receive = interval("receiveInterval", spec.receive_interval);
    let transmit = interval("transmitInterval", spec.transmit_interval);
    interval("echoInterval", spec.echo_interval);
    let multiplier = spec.detect_multiplier.unwrap_or(MULTIPLIER);
    if multiplier < 2 {
        let message = format!("a multiplier is 2 to 255, not {multiplier}");
        refuse(Reason::InvalidValue, "detectMultiplier", message, "Correct the multiplier.");
    }
    let minimum_ttl = spec.minimum_ttl.unwrap_or(MINIMUM_TTL);
    if !(1..=254).contains(&minimum_ttl) {
        let message = format!("a least time to live is 1 to 254, not {minimum_ttl}");
        refuse(Reason::InvalidValue, "minimumTtl", message, "Correct it, or leave it out.");
    }
    let profile = BfdProfile { receive, transmit, multiplier, passive: spec.passive_mode, minimum_ttl };
    if refusals.is_empty() { Ok(profile) } else { Err(refusals) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(spec: BFDProfileSpec) -> Vec<String> {
        read("p", &spec).err().unwrap_or_default().into_iter().filter_map(|refusal| refusal.field).collect()
    }

    #[test]
    fn conf_074_the_limits_of_a_profile_are_those_of_its_definition() {
        let plain = BFDProfileSpec::default;
        assert_eq!(fields(plain()), [""; 0]);
        let edges = BFDProfileSpec {
            receive_interval: Some(10),
            transmit_interval: Some(60_000),
            detect_multiplier: Some(255),
            minimum_ttl: Some(1),
            ..plain()
        };
        assert_eq!(fields(edges), [""; 0]);
        for (spec, field) in [
            (BFDProfileSpec { receive_interval: Some(2), ..plain() }, "spec.receiveInterval"),
            (BFDProfileSpec { receive_interval: Some(90_000), ..plain() }, "spec.receiveInterval"),
            (BFDProfileSpec { transmit_interval: Some(9), ..plain() }, "spec.transmitInterval"),
            (BFDProfileSpec { echo_interval: Some(9), ..plain() }, "spec.echoInterval"),
            (BFDProfileSpec { detect_multiplier: Some(1), ..plain() }, "spec.detectMultiplier"),
            (BFDProfileSpec { minimum_ttl: Some(255), ..plain() }, "spec.minimumTtl"),
            (BFDProfileSpec { echo_mode: true, ..plain() }, "spec.echoMode"),
        ] {
            assert_eq!(fields(spec), [field]);
        }
    }

    #[test]
    fn a_profile_that_says_nothing_gives_a_path_up_after_three_times_300_ms() {
        let profile = read("p", &BFDProfileSpec::default()).unwrap();
        assert_eq!(
            (profile.receive, profile.transmit),
            (Duration::from_millis(300), Duration::from_millis(300))
        );
        assert_eq!((profile.multiplier, profile.minimum_ttl, profile.passive), (3, 254, false));
    }
}
