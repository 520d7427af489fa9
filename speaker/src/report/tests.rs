// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reports on small scenes.

use std::sync::Arc;
use std::time::Duration;

use ferrolb_layer2::{Cause, Counts, GroupState, MacAddr, PeerView, Phase, SegmentView};

use super::*;
use crate::intent::{Carriage, InterfaceRule};
use crate::layer2::Traffic;
use crate::profile::Profile;

const NODE: &str = "n1";
const ADDRESSES: [&str; 2] = ["192.0.2.10", "2001:db8::10"];

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn link(name: &str, addresses: &[&str]) -> Link {
    Link {
        index: 2,
        name: name.to_owned(),
        mac: None,
        up: true,
        loopback: false,
        resolves_neighbours: true,
        master: None,
        kind: None,
        addresses: addresses.iter().map(|net| net.parse().expect("a prefix")).collect(),
        gateways: Vec::new(),
    }
}

fn names() -> Names {
    Names::new("prod", &[NODE.to_owned(), "n2".to_owned()], &["default/web".into()])
}

/// One segment on which this node owns the group of two addresses, or another does.
fn segment_of(owner: &str, term: u64, counted: u64) -> Observed {
    let group = GroupView {
        id: GroupId::of("default/web"),
        addresses: vec![ip("192.0.2.10"), ip("2001:db8::10")],
        state: if owner == NODE { GroupState::Owner } else { GroupState::Standby },
        owner: Some(NodeId::of("prod", owner)),
        term: Term(term),
        since: std::time::Instant::now(),
        cause: (owner == NODE).then_some(Cause::Silence(NodeId::of("prod", "n2"))),
        in_use: BTreeMap::new(),
    };
    let view = SegmentView {
        phase: Phase::Active,
        draining: false,
        shaky: false,
        proven: true,
        peers: Vec::<PeerView>::new(),
        groups: vec![group],
        slowed: None,
        counters: Counts::default(),
    };
    let traffic = Traffic { frames_received: counted, ..Traffic::default() };
    let segments = BTreeMap::from([(
        "eth0".to_owned(),
        SegmentReport {
            age: Duration::ZERO,
            view,
            traffic,
            testimonies: Vec::new(),
            questions: 0,
            detours: BTreeMap::new(),
        },
    )]);
    Observed { segments, ..Observed::default() }
}

/// A segment without neighbours or groups, and what went through its sockets.
pub(crate) fn on_a_segment(interface: &str, traffic: Traffic) -> Observed {
    let mut observed = segment_of(NODE, 1, 0);
    let mut report = observed.segments.remove("eth0").expect("it is there");
    report.view.groups.clear();
    observed.segments.insert(interface.to_owned(), SegmentReport { traffic, ..report });
    observed
}

/// A segment on which a station outside the cluster has an address of ours.
pub(crate) fn beside_a_stranger(interface: &str, address: IpAddr, mac: MacAddr) -> Observed {
    let mut observed = segment_of(NODE, 1, 0);
    let mut report = observed.segments.remove("eth0").expect("it is there");
    report.view.groups.iter_mut().for_each(|group| group.in_use = [(address, mac)].into());
    observed.segments.insert(interface.to_owned(), report);
    observed
}

struct Setting {
    names: Names,
    recorded: BTreeMap<IpAddr, Arc<VipIntent>>,
    freshness: Freshness,
    away: Option<Away>,
    layer2: Observed,
    routers: Picture,
    data_path: datapath::Observed,
    links: Links,
    misfits: BTreeSet<Misfit>,
    profile: InForce,
    keys: KeyState,
    happened: BTreeMap<&'static str, u64>,
}

impl Setting {
    fn new(layer2: Observed) -> Self {
        let vip = Arc::new(VipIntent {
            group: "default/web".into(),
            candidates: Arc::default(),
            preferences: Default::default(),
            here: Ok(()),
            interfaces: InterfaceRule::OnLink,
            tcp_port: None,
            unserved: Box::default(),
            carriage: Carriage::Service,
            checks: Box::default(),
        });
        Self {
            names: names(),
            recorded: ADDRESSES.into_iter().map(|text| (ip(text), Arc::clone(&vip))).collect(),
            freshness: Freshness::default(),
            away: None,
            layer2,
            routers: Picture::new(),
            data_path: datapath::Observed::default(),
            links: Links::default(),
            misfits: BTreeSet::new(),
            profile: InForce { profile: Profile::Slow, refusal: None },
            keys: KeyState { names: vec!["beef".to_owned()], is_default: false, trouble: None },
            happened: BTreeMap::new(),
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            node: NODE,
            id: NodeId::of("prod", NODE),
            names: &self.names,
            recorded: &self.recorded,
            freshness: &self.freshness,
            away: self.away,
            elsewhere: 0,
            refusals: Refused::default(),
            unserved: Unserved::default(),
            layer2: &self.layer2,
            routers: &self.routers,
            data_path: &self.data_path,
            links: &self.links,
            misfits: &self.misfits,
            shortcomings: &[],
            keys: &self.keys,
            profile: &self.profile,
            happened: &self.happened,
            stopping: false,
            length: Length::Whole,
        }
    }
}

#[test]
fn an_owner_tells_of_each_address_of_the_group_with_term_time_and_cause() {
    let setting = Setting::new(segment_of(NODE, 7, 0));
    let report = Reporter::new(at(0)).report(&setting.scene(), at(5));
    assert_eq!(report.owned.keys().copied().collect::<Vec<_>>(), ADDRESSES.map(ip));
    for owners in report.owned.values() {
        let [owner] = owners.as_slice() else { panic!("one segment") };
        assert_eq!((owner.node.as_str(), owner.interface.as_str(), owner.term), (NODE, "eth0", 7));
        assert_eq!(owner.since, Time(at(5)));
        assert_eq!(owner.cause, "silence of n2");
    }
    assert_eq!(report.speaker.segments[0].owned, 1);
}

#[test]
fn a_segment_is_named_by_the_prefix_that_holds_the_address_whatever_the_interface_is_called() {
    let mut setting = Setting::new(segment_of(NODE, 7, 0));
    setting.links = Links::from_iter([link("eth0", &["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"])]);
    let report = Reporter::new(at(0)).report(&setting.scene(), at(5));
    let segments: Vec<_> = report.owned.values().flatten().map(|owner| owner.segment.as_str()).collect();
    assert_eq!(segments, ["192.0.2.0/24", "2001:db8::/64"]);
}

#[test]
fn what_another_node_owns_is_not_told() {
    let setting = Setting::new(segment_of("n2", 7, 0));
    let report = Reporter::new(at(0)).report(&setting.scene(), at(5));
    assert!(report.owned.is_empty());
    assert_eq!(report.speaker.segments[0].owned, 0);
}

#[test]
fn an_address_that_is_no_longer_recorded_is_not_told_even_while_it_is_held() {
    let mut setting = Setting::new(segment_of(NODE, 7, 0));
    setting.recorded.remove(&ip("192.0.2.10"));
    assert_eq!(Reporter::new(at(0)).report(&setting.scene(), at(5)).owned.len(), 1);
}

#[test]
fn since_stays_while_the_claim_does_and_moves_with_a_new_term() {
    let mut reporter = Reporter::new(at(0));
    let since = |report: Report| report.owned[&ip(ADDRESSES[0])][0].since.clone();
    let setting = Setting::new(segment_of(NODE, 7, 0));
    assert_eq!(since(reporter.report(&setting.scene(), at(5))), Time(at(5)));
    assert_eq!(since(reporter.report(&setting.scene(), at(9))), Time(at(5)));
    let setting = Setting::new(segment_of(NODE, 8, 0));
    assert_eq!(since(reporter.report(&setting.scene(), at(12))), Time(at(12)));
}

#[test]
fn counters_alone_do_not_make_a_report_differ() {
    let mut reporter = Reporter::new(at(0));
    let before = reporter.report(&Setting::new(segment_of(NODE, 7, 0)).scene(), at(5));
    let after = reporter.report(&Setting::new(segment_of(NODE, 7, 1000)).scene(), at(9));
    assert_ne!(before, after);
    assert!(!after.differs_from(&before));
    let moved = reporter.report(&Setting::new(segment_of("n2", 8, 1000)).scene(), at(12));
    assert!(moved.differs_from(&after));
}

#[test]
fn a_condition_keeps_its_time_while_its_status_is_the_same() {
    let mut reporter = Reporter::new(at(0));
    let setting = Setting::new(segment_of(NODE, 7, 0));
    let ready = |report: Report| {
        report.speaker.conditions.into_iter().find(|it| it.type_ == "Ready").expect("always there")
    };
    reporter.report(&setting.scene(), at(5));
    let running = ready(reporter.report(&setting.scene(), at(9)));
    assert_eq!((running.status.as_str(), running.last_transition_time), ("True", Time(at(5))));
    let stopping = ready(reporter.report(&Scene { stopping: true, ..setting.scene() }, at(12)));
    assert_eq!((stopping.reason.as_str(), stopping.last_transition_time), ("Stopping", Time(at(12))));
}

#[test]
fn everything_that_is_lacking_is_a_condition_that_does_not_hold() {
    let mut layer2 = segment_of(NODE, 7, 0);
    layer2.problems.insert("eth1".to_owned(), "no such device".to_owned());
    layer2.shortcomings.push(Shortcoming::OrdinaryPriority("not permitted".to_owned()));
    let mut setting = Setting::new(layer2);
    setting.misfits.insert(Misfit::ProxyArp { interface: "eth0".to_owned() });
    let trouble = Some("the file is gone; the keys from before stay in force".to_owned());
    let keys = KeyState { names: vec!["beef".to_owned()], is_default: true, trouble };
    let scene = Scene { keys: &keys, ..setting.scene() };
    let report = Reporter::new(at(0)).report(&scene, at(5));
    let failing: Vec<_> = report
        .speaker
        .conditions
        .iter()
        .filter(|condition| condition.status == "False")
        .map(|condition| (condition.type_.as_str(), condition.reason.as_str()))
        .collect();
    assert_eq!(
        failing,
        [
            ("ArpUnambiguous", "ProxyArp"),
            ("SegmentsOpen", "SocketFailed"),
            ("RaisedPriority", "OrdinaryPriority"),
            ("HelloKeyCurrent", "HelloKeyRefused"),
            ("HelloKeySet", "DefaultKey")
        ]
    );
}

#[test]
fn a_node_that_stands_aside_or_keeps_falling_silent_says_on_which_interface_and_what_to_do() {
    let mut setting = Setting::new(segment_of(NODE, 7, 0));
    let told = |setting: &Setting| {
        let conditions = Reporter::new(at(0)).report(&setting.scene(), at(5)).speaker.conditions;
        let about = |it: &Condition| ["IdentityUnique", "Steady"].contains(&it.type_.as_str());
        conditions.into_iter().filter(about).map(|it| (it.reason, it.message)).collect::<Vec<_>>()
    };
    assert_eq!(told(&setting), []);
    for report in setting.layer2.segments.values_mut() {
        (report.view.phase, report.view.shaky) = (Phase::Aside, true);
    }
    let told = told(&setting);
    let reasons: Vec<&str> = told.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, ["SteppedAside", "FallsSilent"]);
    assert!(told.iter().all(|(_, message)| message.starts_with("on eth0 ")), "{told:?}");
    assert!(told[0].1.contains(&format!("in the name of node {NODE}")), "{told:?}");
}

#[test]
fn what_another_node_owns_is_known_so_that_its_entry_is_not_taken_out() {
    let report = Reporter::new(at(0)).report(&Setting::new(segment_of("n2", 7, 0)).scene(), at(5));
    assert_eq!(report.owned_elsewhere, ADDRESSES.map(ip).into());
}

#[test]
fn a_view_that_is_not_current_is_told_with_its_age_and_one_that_is_not_whole_with_its_kinds() {
    let mut setting = Setting::new(segment_of(NODE, 7, 0));
    let condition = |setting: &Setting| {
        let report = Reporter::new(at(0)).report(&setting.scene(), at(5));
        let mut conditions = report.speaker.conditions.into_iter();
        conditions.find(|it| it.type_ == "ConfigurationCurrent").map(|it| (it.reason, it.message))
    };
    assert_eq!(condition(&setting), None);
    setting.freshness.stale_since = Some(at(0));
    let (reason, message) = condition(&setting).expect("it is stale");
    assert_eq!(reason, "ConfigurationStale");
    assert!(message.contains("since 2027-01-15T08:00:00Z"), "{message}");
    setting.freshness.unknown = ["VirtualIP"].into();
    let (reason, message) = condition(&setting).expect("it is not whole");
    assert_eq!(reason, "ConfigurationIncomplete");
    assert!(message.contains("kind VirtualIP"), "{message}");
}

#[test]
fn a_brief_report_says_how_many_refusals_it_leaves_out_and_counts_nothing() {
    let setting = Setting::new(segment_of(NODE, 7, 9));
    let refusals = Refused { told: [(ip("192.0.2.7"), "why".to_owned())].into(), left_out: 150 };
    let scene = Scene { refusals, length: Length::Brief, ..setting.scene() };
    let report = Reporter::new(at(0)).report(&scene, at(5));
    assert_eq!((report.speaker.refusals.len(), report.speaker.refusals_left_out), (1, 150));
    assert!(report.speaker.counters.is_empty());
}

#[test]
fn a_node_that_must_carry_nothing_says_why_and_what_ends_that() {
    let mut setting = Setting::new(segment_of(NODE, 7, 0));
    let condition = |setting: &Setting| {
        let report = Reporter::new(at(0)).report(&setting.scene(), at(5));
        let mut conditions = report.speaker.conditions.into_iter();
        conditions.find(|it| it.type_ == "AcceptsAddresses").map(|it| (it.status, it.reason, it.message))
    };
    assert_eq!(condition(&setting), None);
    setting.away = Some(Away::Draining);
    let (status, reason, message) = condition(&setting).expect("it is drained");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NodeDrained"));
    assert!(
        message.starts_with("Node n1 takes no address: it is drained") && message.contains("undrain"),
        "{message}"
    );
}
