// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Two independent codecs understand what we write, and we understand of what anybody writes what they understand.

use std::{collections::BTreeMap, sync::Arc};

use bgpkit_parser::models::{BgpMessage, CapabilityValue, ParamValue};
use fastrand::Rng;
use ferrolb_bgp::{
    Capabilities, Families, Frame, GracefulRestart, Kind, Message, Negotiated, RestartTime, RibOut, Update,
    message,
};
use ipnet::IpNet;
use rustbgpd_wire::{Capability, Message as Wire, validate::ErrorDisposition};

use crate::{bgpkit, corpus, damage::damaged, meaning::Meaning, rustbgpd};

fn decode(bytes: &[u8]) -> Message<'_> {
    Message::decode(Frame::first_of(bytes, message::EXTENDED_LEN).unwrap().unwrap()).unwrap()
}

fn ours<'a>(bytes: &'a [u8], session: &Negotiated) -> Update<'a> {
    match decode(bytes) {
        Message::Update(body) => body.read(session).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// All three read the same from a message, and nothing wrong.
fn agreed(bytes: &[u8], session: &Negotiated) {
    let update = ours(bytes, session);
    assert_eq!((update.fault(), update.discarded()), (None, [].as_slice()));
    let meaning = Meaning::from(&update);

    let Ok(Wire::Update(wire)) = rustbgpd::read(bytes) else { panic!("refused: {bytes:02x?}") };
    assert_eq!(rustbgpd::update(&wire, session), Ok((meaning.clone(), Vec::new())), "{bytes:02x?}");

    let Ok(BgpMessage::Update(kit)) = bgpkit::read(bytes, session.four_octet_as) else {
        panic!("{bytes:02x?}")
    };
    assert!(update.end_of_rib().is_some() || kit.attributes.validation_warnings().is_empty());
    let expected = Meaning { extended_communities: Default::default(), ..meaning };
    assert_eq!(bgpkit::update(&kit, session), expected, "{bytes:02x?}");
}

#[test]
fn both_understand_our_updates_as_we_do() {
    let mut random = Rng::with_seed(1);
    let palette = corpus::palette();
    for session in corpus::sessions() {
        let mut rib = RibOut::new(session.clone());
        for round in 0..60 {
            let routes = (0..random.usize(..1_500)).map(|_| {
                let attributes = Arc::clone(&palette[random.usize(..palette.len())]);
                (any_prefix(&mut random), attributes)
            });
            rib.set_desired(Arc::new(if round % 10 == 9 { BTreeMap::new() } else { routes.collect() }));
            for bytes in corpus::all_of(&mut rib) {
                agreed(&bytes, &session);
            }
        }
    }
}

/// No default route: `bgpkit-parser` takes a list that begins with one for a list with path identifiers.
fn any_prefix(random: &mut Rng) -> IpNet {
    if random.bool() {
        IpNet::new(random.u32(..).to_be_bytes().into(), random.u8(1..=32)).unwrap().trunc()
    } else {
        IpNet::new(random.u128(..).to_be_bytes().into(), random.u8(1..=128)).unwrap().trunc()
    }
}

#[test]
fn both_understand_a_route_reflectors_update_as_we_do() {
    agreed(&corpus::everything_at_once(), &corpus::sessions()[1]);
}

fn any_capabilities(random: &mut Rng) -> Capabilities {
    let mut families = || [Families::NONE, Families::IPV4, Families::IPV6, Families::BOTH][random.usize(..4)];
    let (multiprotocol, restart, forwarding) = (families(), families(), families());
    let graceful_restart = GracefulRestart {
        restarted: random.bool(),
        notification: random.bool(),
        time: RestartTime::from_secs(random.u16(..4_096)).unwrap(),
        families: restart,
        forwarding: forwarding.and(restart),
    };
    Capabilities {
        multiprotocol: (!multiprotocol.is_empty()).then_some(multiprotocol),
        four_octet_as: random.bool(),
        route_refresh: random.bool(),
        enhanced_route_refresh: random.bool(),
        extended_message: random.bool(),
        extended_next_hop: random.bool(),
        graceful_restart: random.bool().then_some(graceful_restart),
        ..Capabilities::default()
    }
}

/// What an OPEN of `rustbgpd-wire` says, in our words.
fn capabilities_of_wire(list: &[Capability]) -> Capabilities {
    let family = |afi: u16, safi: u8| ferrolb_bgp::Family::from_codes(afi, safi).unwrap();
    let mut said = Capabilities::default();
    for capability in list {
        match capability {
            Capability::MultiProtocol { afi, safi } => {
                let family = family(*afi as u16, *safi as u8);
                said.multiprotocol = Some(said.multiprotocol.unwrap_or_default().with(family));
            }
            Capability::FourOctetAs { .. } => said.four_octet_as = true,
            Capability::RouteRefresh => said.route_refresh = true,
            Capability::EnhancedRouteRefresh => said.enhanced_route_refresh = true,
            Capability::ExtendedMessage => said.extended_message = true,
            Capability::ExtendedNextHop(list) => {
                let [entry] = list.as_slice() else { panic!("{list:?}") };
                let codes = (entry.nlri_afi as u16, entry.nlri_safi as u8, entry.next_hop_afi as u16);
                said.extended_next_hop = codes == (1, 1, 2);
            }
            Capability::GracefulRestart { restart_state, notification, restart_time, families } => {
                let listed = families.iter().map(|entry| family(entry.afi as u16, entry.safi as u8));
                let kept = families.iter().filter(|entry| entry.forwarding_preserved);
                said.graceful_restart = Some(GracefulRestart {
                    restarted: *restart_state,
                    notification: *notification,
                    time: RestartTime::from_secs(*restart_time).unwrap(),
                    families: listed.collect(),
                    forwarding: kept.map(|entry| family(entry.afi as u16, entry.safi as u8)).collect(),
                });
            }
            other => panic!("we say nothing of {other:?}"),
        }
    }
    said
}

#[test]
fn both_understand_our_opens_as_we_do() {
    let mut random = Rng::with_seed(2);
    for _ in 0..20_000 {
        let asn = if random.bool() { random.u32(1..65_536) } else { random.u32(1..) };
        let mut open = corpus::open(asn, any_capabilities(&mut random));
        open.capabilities.four_octet_as |= open.asn.is_wide();
        let bytes = Message::Open(open.clone()).to_bytes();
        assert_eq!(decode(&bytes), Message::Open(open.clone()));

        let Ok(Wire::Open(wire)) = rustbgpd::read(&bytes) else { panic!("refused: {bytes:02x?}") };
        assert_eq!(capabilities_of_wire(&wire.capabilities), open.capabilities);
        assert_eq!((wire.four_byte_as(), wire.hold_time), (asn, 90));
        assert_eq!(wire.bgp_identifier, open.router_id.get());

        let Ok(BgpMessage::Open(kit)) = bgpkit::read(&bytes, true) else { panic!("{bytes:02x?}") };
        let listed: Vec<_> = kit
            .opt_params
            .iter()
            .flat_map(|parameter| match &parameter.param_value {
                ParamValue::Capacities(list) => list.as_slice(),
                ParamValue::Raw(_) => panic!("not capabilities"),
            })
            .collect();
        for capability in &listed {
            let known = match &capability.value {
                CapabilityValue::FourOctetAs(said) => said.asn == asn,
                CapabilityValue::MultiprotocolExtensions(said) => {
                    let family = ferrolb_bgp::Family::from_codes(said.afi as u16, u8::from(said.safi));
                    open.capabilities.families().contains(family.unwrap())
                }
                CapabilityValue::ExtendedNextHop(said) => said.entries.len() == 1,
                CapabilityValue::GracefulRestart(said) => {
                    let ours = open.capabilities.graceful_restart.unwrap();
                    (said.restart_state, u64::from(said.restart_time), said.address_families.len())
                        == (ours.restarted, ours.time.duration().as_secs(), ours.families.iter().count())
                }
                CapabilityValue::RouteRefresh(_) => open.capabilities.route_refresh,
                CapabilityValue::BgpExtendedMessage(_) => open.capabilities.extended_message,
                CapabilityValue::Raw(_) => open.capabilities.enhanced_route_refresh,
                _ => false,
            };
            assert!(known, "{capability:?} of {open:?}");
        }
        assert_eq!(listed.len(), wire.capabilities.len());
    }
}

#[test]
fn both_read_our_small_messages() {
    for bytes in corpus::messages() {
        let (ours, wire, kit) = (decode(&bytes), rustbgpd::read(&bytes).unwrap(), bgpkit::read(&bytes, true));
        match (&ours, &wire, &kit) {
            (Message::Keepalive, Wire::Keepalive, Ok(BgpMessage::KeepAlive))
            | (Message::Open(_), Wire::Open(_), Ok(BgpMessage::Open(_)))
            | (Message::Update(_), Wire::Update(_), _) => {}
            (Message::Notification(ours), Wire::Notification(wire), Ok(BgpMessage::Notification(kit))) => {
                assert_eq!((ours.code().code, ours.code().subcode), (wire.code.as_u8(), wire.subcode));
                assert_eq!((ours.data(), ours.data()), (&wire.data[..], &kit.data[..]));
            }
            (Message::RouteRefresh(_), Wire::RouteRefresh(wire), Ok(BgpMessage::RouteRefresh(kit))) => {
                assert_eq!((wire.afi_raw, wire.subtype_raw, wire.safi_raw), (kit.afi, kit.subtype, kit.safi));
                assert_eq!(bytes[19..], [0, wire.afi_raw as u8, wire.subtype_raw, wire.safi_raw]);
            }
            _ => panic!("{ours:?}, {wire:?}, {kit:?}"),
        }
    }
}

/// What an UPDATE costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Nothing,
    Attribute,
    Routes,
    Session,
}

/// Where the two judge differently: what we say, what they say, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("is missing", "", "they look for mandatory attributes in a later step"),
    ("is unknown and not optional", "", "they look for these in a later step too"),
    ("without routes", "", "RFC 7606, section 5.2, is left to the caller there"),
    (
        "MP_REACH_NLRI has wrong flags",
        "",
        "RFC 7606, section 3 (c): the routes can be told, so the session goes on",
    ),
    ("MP_UNREACH_NLRI has wrong flags", "", "likewise"),
    ("", " flags 0x", "they judge the partial bit as well; section 3 (c) names the other two"),
    ("", "unsupported AFI", "we pass over families that we do not speak"),
    ("", "unsupported SAFI", "likewise"),
    ("", " VPN ", "families that they speak and we do not: what is in them is nothing to us"),
    ("", "vpnv", "likewise"),
    ("", "labeled", "likewise"),
    ("", "FlowSpec", "likewise"),
    ("", "EVPN", "likewise"),
    ("", "ATTR_SET", "an attribute that they look into and we do not"),
    ("comes from another autonomous system", "", "RFC 7606, section 7.5: left out there without a word"),
    ("AS4_PATH is malformed", "prohibited AS path segment", "RFC 6793, section 6, costs the attribute alone"),
    ("", "AS 0", "RFC 7607: they refuse paths through AS 0, which we do not follow anyway"),
];

/// Types of attributes that both know; 0 stands for one that was cut before its type.
const KNOWN: [u8; 18] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 32];

/// How often the two judged the same of how many, and the differences that nothing above explains.
#[derive(Default)]
struct Comparison {
    same: usize,
    all: usize,
    unexplained: BTreeMap<String, Vec<u8>>,
}

impl Comparison {
    fn compare(&mut self, bytes: &[u8], session: &Negotiated) {
        let Ok(Some(frame)) = Frame::first_of(bytes, message::EXTENDED_LEN) else { return };
        let Ok(Message::Update(body)) = Message::decode(frame) else { panic!("{bytes:02x?}") };
        let ours = body.read(session);
        let (our_cost, we_say) = match &ours {
            Err(fault) => (Cost::Session, fault.to_string()),
            Ok(update) => match (update.fault(), update.discarded()) {
                (Some(fault), _) => (Cost::Routes, fault.to_string()),
                (None, [fault, ..]) => (Cost::Attribute, fault.to_string()),
                (None, []) => (Cost::Nothing, String::new()),
            },
        };
        let theirs = match rustbgpd::read(bytes) {
            Ok(Wire::Update(wire)) => rustbgpd::update(&wire, session),
            other => Err(format!("{other:?}")),
        };
        let (their_cost, they_say) = match &theirs {
            Err(reason) => (Cost::Session, reason.clone()),
            Ok((_, malformed)) => {
                let told = |kind, error: &str| KNOWN.contains(&kind) || error.contains("truncated");
                let malformed = malformed.iter().map(|one| (one, one.error.to_string()));
                let malformed = malformed.filter(|(one, error)| told(one.type_code, error));
                let costs = malformed.clone().map(|(one, _)| match one.disposition {
                    ErrorDisposition::SessionReset => Cost::Session,
                    ErrorDisposition::TreatAsWithdraw => Cost::Routes,
                    ErrorDisposition::AttributeDiscard => Cost::Attribute,
                });
                let said: String = malformed.map(|(_, error)| format!("[{error}]")).collect();
                (costs.max().unwrap_or(Cost::Nothing), said)
            }
        };
        self.all += 1;
        self.same += usize::from(our_cost == their_cost);
        let same_meaning = match (&ours, &theirs) {
            (Ok(update), Ok((meaning, _))) if our_cost == Cost::Nothing => &Meaning::from(update) == meaning,
            _ => true,
        };
        let explained =
            || DIFFERENCES.iter().any(|(ours, theirs, _)| we_say.contains(ours) && they_say.contains(theirs));
        if (our_cost != their_cost || !same_meaning) && !explained() {
            let what = format!("{our_cost:?} ({we_say}) there {their_cost:?} ({they_say})");
            self.unexplained.entry(what).or_insert_with(|| bytes.to_vec());
        }
    }
}

#[test]
fn damaged_updates_cost_what_they_cost_elsewhere_or_the_reason_is_known() {
    let mut random = Rng::with_seed(4);
    let mut comparison = Comparison::default();
    for session in corpus::sessions() {
        let mut updates = corpus::updates(&session);
        updates.push(corpus::everything_at_once());
        updates.retain(|message| message[18] == Kind::Update.code());
        for _ in 0..50_000 {
            comparison.compare(&damaged(&mut random, &updates), &session);
        }
    }
    let Comparison { same, all, unexplained } = comparison;
    assert!(unexplained.is_empty(), "{unexplained:02x?}");
    assert!(same * 10 > all * 8, "{same} of {all} alike");
}
