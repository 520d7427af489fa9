// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One session that carries both families.

use anyhow::{Context, ensure};
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, NODE_V4, NODE_V6, Neighbour, Over, Wire};

use crate::unnumbered::{FOUR, GROUND, SIX, shows};
use crate::whole::Whole;

#[test]
fn bgp_074_routes_of_both_families_and_their_attributes_go_over_a_session_of_either() {
    let said = "{addressPools: [lan], localPref: 50, communities: ['65535:65282']}";
    let ground = GROUND.replace("{addressPools: [lan]}", said);
    assert_ne!(ground, GROUND);
    rights::within(|| {
        for over in [Over::V4, Over::V6] {
            let wire = Wire::build()?;
            let node = Neighbour { node_as: 65_002, over, ..Neighbour::default() };
            let router = Daemon::Bird.start(&wire, &node)?;
            let peer = format!(
                "{{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {{name: router}},\n \
                 spec: {{myASN: 65002, peerASN: 65002, peerAddress: '{}', holdTime: 9s, connectTime: 2s, families: [IPv4, IPv6]}}}}\n",
                Wire::router_address(over)
            );
            let _speaker = Whole::start_with(&wire.node, &[("ground.yaml", &ground), ("peer.yaml", &peer)])?;
            let table = shows(&*router, true)?;
            for (prefix, next_hop) in [(FOUR, NODE_V4), (SIX, NODE_V6)] {
                let route = table.get(prefix).context("the route")?;
                ensure!(route.next_hop.contains(next_hop), "{prefix} over {over:?}: {route:?}");
                ensure!(route.local_pref == Some(50), "{prefix} over {over:?}: {route:?}");
                ensure!(
                    route.communities == ["65535:65282".to_owned()].into(),
                    "{prefix} over {over:?}: {route:?}"
                );
            }
        }
        Ok(())
    });
}
