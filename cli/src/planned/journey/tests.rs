// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Addresses on their way.

use ferrolb_config::Object;
use ferrolb_config::api::{AddressMode, Speaker, SpeakerSpec, VirtualIP, VirtualIPSpec, VirtualIPStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::planned::arguments::MoveFormat;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

fn owner(node: &str, term: u64) -> Layer2Owner {
    Layer2Owner {
        segment: "192.0.2.0/24".to_owned(),
        interface: "eth0".to_owned(),
        node: node.to_owned(),
        term,
        since: Time(Timestamp::UNIX_EPOCH),
        cause: String::new(),
    }
}

fn objects(owner: Option<Layer2Owner>, speakers: &[&str]) -> Objects {
    let spec = VirtualIPSpec {
        address: ADDRESS.to_string(),
        pool: "lan".to_owned(),
        consumers: Vec::new(),
        sharing_key: None,
        group: None,
        mode: AddressMode::ReplyOnly,
        released_at: None,
    };
    let mut object = VirtualIP::new(&virtual_ip_name(ADDRESS), spec);
    let layer2 = owner.into_iter().collect();
    object.status = Some(VirtualIPStatus { layer2, ..VirtualIPStatus::default() });
    let mut objects = Objects::default();
    objects.insert(Object::VirtualIP(std::sync::Arc::new(object)));
    for node in speakers {
        objects.insert(Object::Speaker(std::sync::Arc::new(Speaker::new(node, SpeakerSpec {}))));
    }
    objects
}

fn journey(to: Option<&str>) -> Journey {
    Journey::new([(ADDRESS, &owner("n1", 7))].into_iter(), to.map(str::to_owned))
}

fn text(report: &MoveReport) -> String {
    let mut out = Vec::new();
    report.write(MoveFormat::Text, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const AFTER: Duration = Duration::from_millis(400);
const BOTH: [&str; 2] = ["n1", "n2"];

#[test]
fn an_arrival_is_told_once_with_the_time_that_it_took() {
    let mut journey = journey(Some("n2"));
    assert!(journey.look(&objects(Some(owner("n1", 7)), &BOTH), AFTER).is_empty());
    let there = objects(Some(owner("n2", 8)), &BOTH);
    let told = journey.look(&there, AFTER);
    let mut out = Vec::new();
    told[0].write_text(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "192.0.2.10: n1 -> n2 after 0.4 s\n");
    assert!(journey.is_over() && journey.look(&there, AFTER).is_empty());
    assert_eq!((journey.report(&there).is_good(), text(&journey.report(&there)).as_str()), (true, ""));
}

#[test]
fn who_stays_behind_or_goes_astray_has_a_reason() {
    let stays = objects(Some(owner("n1", 7)), &BOTH);
    let mut left = journey(Some("n2"));
    left.look(&stays, AFTER);
    assert!(!left.report(&stays).is_good());
    assert!(text(&left.report(&stays)).contains("(NotTaken)"), "{}", text(&left.report(&stays)));
    let astray = objects(Some(owner("n3", 8)), &BOTH);
    let mut other = journey(Some("n2"));
    other.look(&astray, AFTER);
    assert!(other.is_over() && text(&MoveReport::new(other.look(&astray, AFTER))).contains("Nothing"));
    assert!(!other.report(&astray).is_good());
    let dropped = objects(None, &BOTH);
    let mut nobody = journey(None);
    nobody.look(&dropped, AFTER);
    assert!(!nobody.is_over());
    assert!(text(&nobody.report(&dropped)).contains("(NotCarried)"));
}

#[test]
fn a_machine_that_knows_of_no_other_sees_an_address_leave() {
    let mut journey = journey(None);
    let mut out = Vec::new();
    journey.look(&objects(None, &["n1"]), AFTER)[0].write_text(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "192.0.2.10: left n1 after 0.4 s\n");
    assert!(journey.report(&objects(None, &["n1"])).is_good());
}

#[test]
fn scripts_read_addresses_nodes_and_seconds() {
    let mut journey = journey(Some("n2"));
    let there = objects(Some(owner("n2", 8)), &BOTH);
    journey.look(&there, AFTER);
    let mut out = Vec::new();
    journey.report(&there).write(MoveFormat::Json, &mut out).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        report["moves"][0],
        serde_json::json!({
            "address": "192.0.2.10", "segment": "192.0.2.0/24", "from": "n1", "to": "n2", "result": "moved", "seconds": 0.4,
        })
    );
}
