// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tests: the kernel as the judge. After any sequence of changes the table holds what it would hold if it had been written
//! at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::found::Leftovers;
use super::mode::Mode;
use super::model::{Backends, Clients, DataPath, Frontend, Protocol, Role, Source};
use super::ruleset::{Ruleset, ruleset};
use super::{nft, transaction};
use crate::namespace::Namespace;

fn any_address(rng: &mut Rng, range: u8) -> IpAddr {
    let host = rng.u8(1..=range);
    if rng.bool() {
        Ipv4Addr::new(192, 0, 2, host).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
    }
}

fn any_data_path(rng: &mut Rng) -> DataPath {
    let mut data_path = DataPath::default();
    for _ in 0..rng.usize(0..8) {
        let address = any_address(rng, 4);
        data_path.vips.insert(address, if rng.bool() { Role::Candidate } else { Role::Elsewhere });
        let protocol = if rng.bool() { Protocol::Tcp } else { Protocol::Udp };
        let frontend = Frontend { address, protocol, port: rng.u16(1..=3).try_into().unwrap() };
        let endpoint = |rng: &mut Rng| SocketAddr::new(any_address(rng, 6), rng.u16(1..=3));
        let ranges = ["198.51.100.0/24", "198.51.100.128/25", "2001:db8:5::/48", "0.0.0.0/0"];
        let backends = Backends {
            service: "default/any".to_owned(),
            source: if rng.bool() { Source::Kept } else { Source::Masqueraded },
            endpoints: (0..rng.usize(0..5)).map(|_| endpoint(rng)).collect(),
            affinity: rng.bool(),
            clients: if rng.bool() {
                Clients::Anyone
            } else {
                Clients::Within(
                    (0..rng.usize(0..3)).map(|_| rng.choice(ranges).unwrap().parse().unwrap()).collect(),
                )
            },
        };
        data_path.ports.insert(frontend, Arc::new(backends));
    }
    data_path
}

async fn in_kernel() -> Leftovers {
    nft::list(&["table", "inet", "ferrolb"]).await.unwrap().as_ref().map(Leftovers::read).unwrap_or_default()
}

/// What a listing of `rules` must show.
fn expected(rules: &Ruleset) -> Leftovers {
    let mut expected = super::texts::left_by(rules, false);
    expected.elements.retain(|_, elements| !elements.is_empty());
    expected
}

async fn assert_kernel_holds(rules: &Ruleset, after: &str) {
    let mut found = in_kernel().await;
    found.elements.retain(|_, elements| !elements.is_empty());
    assert_eq!(found, expected(rules), "after {after}");
}

fn in_namespace(work: impl AsyncFnOnce() + Send + 'static) {
    Namespace::new().run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work());
    });
}

#[test]
fn any_sequence_of_changes_ends_in_the_same_table() {
    in_namespace(async || {
        let mut rng = Rng::with_seed(7);
        let mut current = Ruleset::default();
        nft::apply(&transaction::take_over(Mode::NFTables, &Leftovers::default(), &current)).await.unwrap();
        for _ in 0..60 {
            let wanted = ruleset(&any_data_path(&mut rng));
            let text = transaction::update(&current, &wanted);
            nft::apply(&text).await.unwrap_or_else(|condition| panic!("{condition} in:\n{text}"));
            assert_kernel_holds(&wanted, &text).await;
            current = wanted;
        }
    });
}

#[test]
fn whatever_is_found_is_taken_over() {
    in_namespace(async || {
        let mut rng = Rng::with_seed(8);
        for round in 0..60 {
            let wanted = ruleset(&any_data_path(&mut rng));
            let mut found = in_kernel().await;
            if rng.bool() {
                found = found.distrusted();
            }
            let text = transaction::take_over(Mode::NFTables, &found, &wanted);
            nft::apply(&text).await.unwrap_or_else(|condition| panic!("{condition} in:\n{text}"));
            assert_kernel_holds(&wanted, &text).await;
            match round % 3 {
                0 => {
                    let text = transaction::linger(&in_kernel().await.unlimited(), Duration::from_secs(60));
                    nft::apply(&text).await.unwrap_or_else(|condition| panic!("{condition} in:\n{text}"));
                    assert!(
                        in_kernel().await.elements.values().flatten().all(|(_, element)| element.expires)
                    );
                }
                1 => drop(nft::apply(&transaction::rebuild(Mode::NFTables, &wanted)).await.unwrap()),
                _ => {}
            }
        }
        nft::apply(&transaction::remove()).await.unwrap();
        assert_eq!(in_kernel().await, Leftovers::default());
    });
}
