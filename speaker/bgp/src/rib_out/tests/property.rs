// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whatever is wished for, asked for and read in whatever order: in the end the peer holds what is desired, and in between it
//! holds what it is said to hold.

use proptest::prelude::*;

use super::{
    model::{Held, Peer},
    *,
};

#[derive(Clone, Debug)]
enum Step {
    /// Each route by its number, with the number of its attributes; none for those that are not desired.
    Desire(Vec<Option<usize>>),
    Read(usize),
    Refresh(Family),
}

/// Prefixes of both families, of many lengths.
fn prefix(number: usize) -> IpNet {
    let number = u32::try_from(number).unwrap();
    let bits = u8::try_from(number % 25).unwrap();
    match number % 2 {
        0 => IpNet::new((0x0a00_0000 | number << 8).to_be_bytes().into(), 32 - bits % 9).unwrap().trunc(),
        _ => {
            let address = Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number) << 64);
            IpNet::new(address.into(), 128 - bits).unwrap().trunc()
        }
    }
}

fn palette() -> Vec<Arc<Attributes>> {
    let with = |attributes: Arc<Attributes>, count: u32| {
        let communities = (0..count).map(Community).collect();
        let large_communities =
            (0..count / 4).map(|n| LargeCommunity { global: n, data1: 0, data2: 1 }).collect();
        Arc::new(Attributes { communities, large_communities, ..Attributes::clone(&attributes) })
    };
    // Few that fill a message almost, one that fits none, and two that are equal without being the same.
    vec![v4(1), v4(1), v6(1), v6(2), with(v4(3), 10), with(v6(3), 560), with(v6(4), 570), with(v4(5), 3_000)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let attributes = prop_oneof![2 => Just(None), 3 => (0..palette().len()).prop_map(Some)];
    let step = prop_oneof![
        3 => proptest::collection::vec(attributes, 0..120).prop_map(Step::Desire),
        3 => (1..12usize).prop_map(Step::Read),
        1 => prop_oneof![Just(Family::Ipv4Unicast), Just(Family::Ipv6Unicast)].prop_map(Step::Refresh),
    ];
    proptest::collection::vec(step, 1..16)
}

fn sessions() -> impl Strategy<Value = Negotiated> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(marks, extended, next_hop, old_peer)| {
            let session = if old_peer { old() } else { external() };
            Negotiated {
                enhanced_route_refresh: marks,
                extended_message: extended,
                extended_next_hop: next_hop && !old_peer,
                ..session
            }
        },
    )
}

fn holds_what_was_sent(rib: &RibOut, peer: &Peer) {
    let sent: BTreeMap<IpNet, Held> =
        rib.sent().map(|(prefix, attributes)| (*prefix, Held::from(&**attributes))).collect();
    assert_eq!(&sent, peer.held());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_peer_that_reads_everything_holds_what_is_desired(session in sessions(), steps in steps()) {
        let palette = palette();
        let (mut rib, mut peer) = (RibOut::new(session.clone()), Peer::new(session.clone()));
        let mut desired = Arc::new(Routes::new());
        let mut ends = Vec::new();
        for step in steps {
            match step {
                Step::Desire(list) => {
                    let some = list.iter().enumerate().filter_map(|(n, attributes)| Some((n, (*attributes)?)));
                    let routes = some.map(|(n, attributes)| (prefix(n), Arc::clone(&palette[attributes])));
                    desired = Arc::new(routes.collect());
                    rib.set_desired(Arc::clone(&desired));
                }
                Step::Read(count) => {
                    for _ in 0..count {
                        peer.read_one(&mut rib);
                        holds_what_was_sent(&rib, &peer);
                    }
                }
                Step::Refresh(family) => rib.refresh(family),
            }
            ends.extend(peer.log().into_iter().filter(|line| line.starts_with("end")));
        }
        rib.set_desired(Arc::clone(&desired));
        peer.read_all(&mut rib);
        holds_what_was_sent(&rib, &peer);

        let sendable = desired.iter().filter(|(prefix, _)| !rib.unsendable().contains_key(prefix));
        let sendable: BTreeMap<IpNet, Held> =
            sendable.map(|(prefix, attributes)| (*prefix, Held::from(&**attributes))).collect();
        prop_assert_eq!(&sendable, peer.held());
        ends.extend(peer.log().into_iter().filter(|line| line.starts_with("end")));
        prop_assert_eq!(ends.len(), session.families.iter().count(), "End-of-RIB once for each family");
        // All that is left out has to be left out.
        for (prefix, attributes) in desired.iter() {
            let judged = Unsendable::judge(&session, Family::of(prefix), attributes);
            prop_assert_eq!(judged.is_err(), rib.unsendable().contains_key(prefix));
        }
    }
}
