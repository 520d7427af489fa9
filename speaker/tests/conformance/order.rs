// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The order in which objects become known does not matter.

use std::sync::Arc;

use ferrolb_config::{Object, Objects};
use ferrolb_speaker::datapath::Mode;
use ferrolb_speaker::intent::{Follower, Intent};

use crate::cluster::ip;
use crate::manifests::{POOL, advertisement, node, objects, served};

/// What follows when the objects arrive one after the other.
fn after(objects: &[&Object]) -> Intent {
    let (mut known, mut follower) = (Objects::default(), Follower::new("n1", Mode::NFTables));
    for object in objects {
        known.insert(Object::clone(object));
        follower.follow(&Arc::new(known.clone()));
    }
    Intent::clone(follower.intent())
}

/// Calls `see` with every order of `rest` behind `begin`.
fn orders<'a>(begin: &mut Vec<&'a Object>, rest: &[&'a Object], see: &mut impl FnMut(&[&'a Object])) {
    if rest.is_empty() {
        return see(begin);
    }
    for (position, next) in rest.iter().enumerate() {
        begin.push(next);
        orders(begin, &[&rest[..position], &rest[position + 1..]].concat(), see);
        begin.pop();
    }
}

#[test]
fn l2_051_the_order_in_which_everything_becomes_known_does_not_matter() {
    let [service, endpoints, vip] = served("web", "", "192.0.2.1", &["n1"]);
    let texts = [POOL.to_owned(), advertisement("all", ""), node("n1", ""), service, endpoints, vip];
    let all: Vec<Object> = texts.iter().flat_map(|text| objects(text)).collect();
    let all: Vec<&Object> = all.iter().collect();
    let wanted = after(&all);
    assert_eq!(wanted.vips[&ip("192.0.2.1")].here, Ok(()));
    assert_eq!(wanted.ports.len(), 1);
    let mut seen = 0;
    orders(&mut Vec::new(), &all, &mut |order| {
        assert_eq!(after(order), wanted, "{order:?}");
        seen += 1;
    });
    assert_eq!(seen, 720);
}
