// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Capabilities in words, one each.

use ferrolb_bgp::{Capabilities, Families, GracefulRestart};

/// What one side said that it can do.
pub(super) fn of(capabilities: &Capabilities) -> Vec<String> {
    let flags = [
        (capabilities.four_octet_as, "four-octet AS numbers"),
        (capabilities.route_refresh, "route refresh"),
        (capabilities.enhanced_route_refresh, "enhanced route refresh"),
        (capabilities.extended_message, "extended messages"),
        (capabilities.extended_next_hop, "IPv6 next hops for IPv4 routes"),
    ];
    let families = capabilities.multiprotocol.into_iter().flat_map(Families::iter);
    let mut words: Vec<String> = families.map(|family| family.to_string()).collect();
    words.extend(flags.into_iter().filter(|(said, _)| *said).map(|(_, word)| word.to_owned()));
    words.extend(capabilities.graceful_restart.as_ref().map(restart));
    let others: Vec<String> = capabilities.others.iter().take(OTHERS).map(|code| code.to_string()).collect();
    words.extend((!others.is_empty()).then(|| format!("others, by their codes: {}", others.join(", "))));
    words
}

/// How many capabilities without a name here are told: a router may send each of 256 codes.
const OTHERS: usize = 32;

fn restart(restart: &GracefulRestart) -> String {
    let families: Vec<String> = restart.families.iter().map(|family| family.to_string()).collect();
    let kept = if families.is_empty() { "keeps no routes".to_owned() } else { families.join(", ") };
    let notification = if restart.notification { ", also over a NOTIFICATION" } else { "" };
    format!("graceful restart ({kept}, {}{notification})", restart.time)
}

#[cfg(test)]
mod tests {
    use ferrolb_bgp::{Family, RestartTime};

    use super::*;

    #[test]
    fn every_capability_has_a_word() {
        let said = Capabilities {
            multiprotocol: Some(Families::BOTH),
            four_octet_as: true,
            route_refresh: true,
            enhanced_route_refresh: true,
            extended_message: true,
            extended_next_hop: true,
            graceful_restart: Some(GracefulRestart {
                restarted: false,
                notification: true,
                time: RestartTime::from_secs(120).unwrap(),
                families: [Family::Ipv4Unicast].into_iter().collect(),
                forwarding: Families::NONE,
            }),
            ..Capabilities::default()
        };
        assert_eq!(
            of(&said),
            [
                "IPv4 unicast",
                "IPv6 unicast",
                "four-octet AS numbers",
                "route refresh",
                "enhanced route refresh",
                "extended messages",
                "IPv6 next hops for IPv4 routes",
                "graceful restart (IPv4 unicast, 120 s, also over a NOTIFICATION)",
            ]
        );
        assert_eq!(of(&Capabilities::default()), Vec::<String>::new());
    }
}
