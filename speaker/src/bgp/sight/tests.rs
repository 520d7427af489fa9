// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use std::io::ErrorKind;
use std::time::Duration;

use ferrolb_bfd::{Diagnostic, Discriminator, Down, DownCause, Late, Path, Role};
use ferrolb_bgp::peer::Counts;
use ferrolb_bgp::{
    Asn, Capabilities, Families, Family, HoldTime, Notification, Open, RouterId, State as BgpState,
    Unsendable,
};

use super::*;
use crate::bgp::RoutesView;

const PEER: &str = "router";

struct Rig {
    sight: Sight,
    view: View,
    now: Now,
}

fn open(asn: u32) -> Open {
    Open {
        asn: Asn::new(asn).unwrap(),
        hold_time: HoldTime::from_secs(9).unwrap(),
        router_id: RouterId::new("192.0.2.2".parse().unwrap()).unwrap(),
        capabilities: Capabilities {
            multiprotocol: Some(Families::IPV4),
            four_octet_as: true,
            ..Capabilities::default()
        },
    }
}

/// A session before its first attempt.
pub(in crate::bgp) fn idle() -> View {
    let peer = PeerView {
        state: BgpState::Idle,
        direction: None,
        ours: None,
        theirs: None,
        negotiated: None,
        established: None,
        next_attempt: None,
        last_error: None,
        counts: Counts::default(),
    };
    View { peer, ends: None, hint: None, note: None, routes: RoutesView::default() }
}

impl Rig {
    fn new() -> Self {
        let now = Now { instant: Instant::now(), clock: Timestamp::from_second(1_800_000_000).unwrap() };
        let view = idle();
        Self { sight: Sight::new(PEER, "192.0.2.2:179".to_owned(), now), view, now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.clock += SignedDuration::from_secs(seconds.try_into().unwrap());
    }

    fn look(&mut self) -> bool {
        self.sight.look(&self.view, Watch::Unasked, self.now)
    }

    fn established(&mut self) {
        let peer = &mut self.view.peer;
        (peer.state, peer.established) = (BgpState::Established, Some(self.now.instant));
        let (ours, theirs) = (open(65_001), open(65_002));
        peer.negotiated = Some(Negotiated::new(&ours, &theirs));
        (peer.ours, peer.theirs) = (Some(ours), Some(theirs));
        self.view.ends = Some(("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:179".parse().unwrap()));
    }

    fn ended(&mut self, ending: Ending) {
        let peer = &mut self.view.peer;
        (peer.state, peer.established, peer.negotiated) = (BgpState::Idle, None, None);
        (peer.ours, peer.theirs, self.view.ends) = (None, None, None);
        peer.last_error = Some((self.now.instant, ending));
    }

    fn since(&self) -> i64 {
        self.sight.told().since.as_ref().unwrap().0.as_second() - 1_800_000_000
    }
}

#[test]
fn a_session_is_told_from_its_beginning_to_its_end_and_why() {
    let mut rig = Rig::new();
    assert!(!rig.look(), "nothing has happened yet");
    rig.pass(2);
    rig.established();
    assert!(rig.look());
    let told = Arc::clone(rig.sight.told());
    assert_eq!((told.state, rig.since()), (SessionState::Established, 2));
    let agreed = told.agreed.as_ref().unwrap();
    assert_eq!((agreed.local_asn, agreed.peer_asn, agreed.hold_seconds), (65_001, 65_002, 9));
    assert_eq!(
        (agreed.local_address.as_str(), agreed.peer_router_id.as_str()),
        ("192.0.2.1:40000", "192.0.2.2")
    );
    assert_eq!((&agreed.families, agreed.capabilities_received.len()), (&vec!["IPv4 unicast".to_owned()], 2));

    rig.pass(10);
    rig.view.peer.counts.received[0] = 7;
    rig.view.routes.sent = 5;
    assert!(!rig.look(), "counters are no news");

    rig.ended(Ending::Told(Notification::shutdown("bye")));
    assert!(rig.look());
    let told = Arc::clone(rig.sight.told());
    let words = "the peer ended the session: Cease/Administrative Shutdown: \"bye\"";
    assert_eq!((told.state, rig.since(), told.agreed.is_none()), (SessionState::Connecting, 12, true));
    assert_eq!((told.reason.as_deref(), told.message.as_deref()), (Some("RouterNotReached"), Some(words)));

    rig.pass(1);
    rig.ended(Ending::NoConnection(ErrorKind::ConnectionRefused));
    assert!(rig.look());
    assert!(rig.sight.told().message.as_ref().unwrap().contains("refused"));
    rig.pass(30);
    rig.ended(Ending::NoConnection(ErrorKind::ConnectionRefused));
    rig.view.peer.state = BgpState::Connect;
    assert!(!rig.look(), "another attempt that ends alike is no news");
    rig.view.note = Some("a second router".to_owned());
    assert!(rig.look() && rig.sight.told().note.is_some());

    rig.pass(1);
    rig.established();
    assert!(rig.look());
    let told = rig.sight.told();
    assert_eq!((told.message.as_ref(), rig.since()), (None, 44));
    assert_eq!(
        told.last_end.as_ref().map(|end| end.message.as_str()),
        Some(words),
        "how the last one ended stays"
    );
}

#[test]
fn a_session_that_ended_and_began_between_two_looks_is_another() {
    let mut rig = Rig::new();
    rig.established();
    rig.look();
    rig.pass(5);
    rig.ended(Ending::Superseded);
    rig.pass(1);
    rig.established();
    assert!(rig.look());
    assert_eq!((rig.since(), rig.sight.told().last_end.is_some()), (6, true));
}

#[test]
fn routes_that_cannot_be_sent_are_told_by_an_example_that_stays() {
    let mut rig = Rig::new();
    rig.established();
    let unsendable = |prefixes: &[&str]| RoutesView {
        unsendable: prefixes.len(),
        unsendable_examples: prefixes
            .iter()
            .map(|prefix| (prefix.parse().unwrap(), Unsendable::Family(Family::Ipv6Unicast)))
            .collect(),
        ..RoutesView::default()
    };
    rig.view.routes = unsendable(&["2001:db8::2/128"]);
    assert!(rig.look());
    let told = rig.sight.told().unsendable.clone().unwrap();
    assert!(told.ends_with("let both sides enable the family; for example 2001:db8::2/128"), "{told}");
    rig.view.routes = unsendable(&["2001:db8::1/128", "2001:db8::2/128"]);
    assert!(!rig.look());
    rig.view.routes = RoutesView::default();
    assert!(rig.look() && rig.sight.told().unsendable.is_none());
}

pub(in crate::bgp) fn path(
    state: State,
    down: Option<(Instant, Down)>,
    up_since: Option<Instant>,
    hindrance: Option<&str>,
) -> Standing {
    let session = SessionView {
        discriminator: Discriminator::new(7).unwrap(),
        path: Path::SingleHop { peer: "192.0.2.2".parse().unwrap(), interface: None },
        role: Role::Active,
        state,
        diagnostic: Diagnostic::NONE,
        neighbour: None,
        transmit_interval: None,
        detection_time: None,
        polling: false,
        up_since,
        last_down: down,
        counts: Default::default(),
    };
    Standing { session: Some(session), hindrance: hindrance.map(str::to_owned) }
}

#[test]
fn a_path_is_told_with_why_it_is_down_and_not_with_every_packet() {
    let mut rig = Rig::new();
    let look = |rig: &mut Rig, standing: &Standing| {
        let news = rig.sight.look(&rig.view, Watch::By(standing), rig.now);
        (news, rig.sight.told().bfd.clone().unwrap())
    };
    let (news, told) =
        look(&mut rig, &path(State::Down, None, None, Some("the neighbour does not listen for BFD")));
    assert!(news && told.message.as_deref() == Some("the neighbour does not listen for BFD"));
    let (news, _) = look(&mut rig, &path(State::Down, None, None, None));
    assert!(!news, "the next packet goes out without an error, and nobody answers it either");
    let up = rig.now.instant;
    let (_, told) = look(&mut rig, &path(State::Up, None, Some(up), None));
    assert_eq!((told.state.as_str(), told.message), ("Up", None));
    rig.pass(60);
    let (news, _) = look(&mut rig, &path(State::Up, None, Some(up), None));
    assert!(!news);
    let down = Down {
        cause: DownCause::DetectionTimeExpired(Duration::from_millis(300)),
        late: Late::NeighbourOrPath,
        control_plane_independent: false,
    };
    let at = rig.now.instant;
    let (_, told) = look(&mut rig, &path(State::Down, Some((at, down)), None, None));
    assert_eq!((told.state.as_str(), told.since.is_none()), ("Down", true));
    assert!(told.message.is_some_and(|words| words == down.to_string()));
    assert!(rig.sight.look(&rig.view, Watch::Failed("no port"), rig.now));
    assert_eq!(rig.sight.told().bfd.as_ref().unwrap().state, "NotWatched");
}
