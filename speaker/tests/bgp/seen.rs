// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What people see of a session: in the speaker's status, in its metrics, and from the speaker itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_config::api::{BGPSession, SessionState, SpeakerStatus};
use ferrolb_config::routes_told::RoutesTold;
use ferrolb_lab::rights;
use ferrolb_lab::router::{Daemon, Neighbour, Wire};
use ferrolb_source::{Directory, questions};

use crate::stage::SOON;
use crate::whole::{ADDRESS, METRICS, ROUTE, Whole};

const PEER: &str = "
{apiVersion: ferrolb.io/v1beta1, kind: BGPPeer, metadata: {name: rack},
 spec: {myASN: 65001, peerASN: 65002, peerAddress: 192.0.2.2, holdTime: 9s, connectTime: 1s, passwordSecret: {name: rack}}}
";

fn secret(password: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: rack}}, type: kubernetes.io/basic-auth, stringData: {{password: {password}}}}}"
    )
}

fn status(speaker: &Whole) -> Result<SpeakerStatus> {
    let (source, state) = speaker.folders();
    let objects = Directory::read(source, state)?;
    let status = objects.speakers.get("n1").and_then(|speaker| speaker.status.clone());
    status.context("the speaker has not told anything yet")
}

/// Waits until the status shows the session as `expected`.
fn shows(speaker: &Whole, what: &str, expected: impl Fn(&BGPSession) -> bool) -> Result<SpeakerStatus> {
    let begun = Instant::now();
    loop {
        let shown = status(speaker);
        if let Ok(status) = &shown
            && status.bgp.first().is_some_and(&expected)
        {
            return shown;
        }
        ensure!(
            begun.elapsed() < SOON * 2,
            "no {what}: {:#?}",
            shown.map(|status| (status.bgp, status.conditions))
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether the condition says that a router is not reached, and its reason.
fn not_reached(status: &SpeakerStatus) -> Option<(&str, &str)> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == "RoutersReached")?;
    Some((&condition.reason, &condition.message))
}

fn metrics(wire: &Wire) -> Result<String> {
    wire.node.run(|| {
        let mut stream = TcpStream::connect(METRICS)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    })
}

/// Whether each of the metrics of the peer has this value.
fn counts(wire: &Wire, expected: &[(&str, u64)]) -> Result<()> {
    let text = metrics(wire)?;
    for (name, value) in expected {
        let line = format!("ferrolb_speaker_{name}{{peer=\"rack\"}} {value}\n");
        let shown = || text.lines().filter(|line| line.contains("rack")).collect::<Vec<_>>().join("\n");
        ensure!(text.contains(&line), "{line} is not in\n{}", shown());
    }
    Ok(())
}

/// What the speaker answers when it is asked for routes.
fn routes(speaker: &Whole) -> Result<RoutesTold> {
    let (_, state) = speaker.folders();
    let stream = UnixStream::connect(questions::socket(state, "n1")?)?;
    let line = BufReader::new(stream).lines().next().context("it says nothing")??;
    Ok(serde_json::from_str(&line)?)
}

#[test]
fn met_005_why_a_session_is_not_there_is_seen_from_the_missing_secret_to_the_routers_end() {
    rights::within(|| {
        let wire = Wire::build()?;
        let password = Some("s3cret-of-both".to_owned());
        let mut router = Daemon::Bird.start(&wire, &Neighbour { password, ..Neighbour::default() })?;
        let speaker = Whole::start(&wire.node)?;
        speaker.write("address.yaml", ADDRESS)?;
        speaker.write("peer.yaml", PEER)?;

        let status = shows(&speaker, "missing Secret", |session| session.state == SessionState::Blocked)?;
        let (reason, message) = not_reached(&status).context("a condition")?;
        ensure!(reason == "PasswordNotUsable" && message.contains("Secret rack"), "{reason}: {message}");
        counts(&wire, &[("bgp_session_up", 0)])?;

        speaker.write("secret.yaml", &secret("another"))?;
        let status = shows(&speaker, "hint at the password", |session| {
            session.message.as_ref().is_some_and(|words| words.contains("passwords"))
        })?;
        ensure!(not_reached(&status).is_some_and(|(reason, _)| reason == "RouterNotReached"), "{status:#?}");

        speaker.write("secret.yaml", &secret("s3cret-of-both"))?;
        let status = shows(&speaker, "session", |session| session.state == SessionState::Established)?;
        ensure!(not_reached(&status).is_none(), "{:#?}", status.conditions);
        let agreed = status.bgp.first().and_then(|session| session.agreed.as_ref()).context("terms")?;
        ensure!(
            (agreed.local_asn, agreed.peer_asn, agreed.hold_seconds) == (65_001, 65_002, 9),
            "{agreed:?}"
        );
        ensure!(
            agreed.families == ["IPv4 unicast"] && !agreed.capabilities_received.is_empty(),
            "{agreed:?}"
        );
        let begun = Instant::now();
        let told = loop {
            let told = routes(&speaker)?;
            if told.waiting == 0 && !told.routes.is_empty() {
                break told;
            }
            ensure!(begun.elapsed() < SOON, "{told:?}");
            thread::sleep(Duration::from_millis(50));
        };
        let [route] = told.routes.as_slice() else { anyhow::bail!("{told:?}") };
        ensure!(route.prefix == ROUTE && route.next_hop.as_deref() == Some("192.0.2.1"), "{route:?}");
        ensure!(route.communities == ["65001:7"] && told.state == SessionState::Established, "{told:?}");
        counts(&wire, &[("bgp_session_up", 1), ("bgp_sessions_total", 1), ("bgp_routes_announced", 1)])?;

        for process in router.processes() {
            process.terminate(SOON)?;
        }
        let status = shows(&speaker, "end", |session| session.state == SessionState::Connecting)?;
        let session = status.bgp.first().context("the session")?;
        let end = session.last_end.as_ref().context("how it ended")?;
        ensure!(end.message.contains("the peer ended the session"), "{end:?}");
        ensure!(
            not_reached(&status).is_some_and(|(_, message)| message.starts_with("rack: ")),
            "{status:#?}"
        );
        shows(&speaker, "refusal", |session| {
            session.message.as_ref().is_some_and(|words| words.contains("cannot connect"))
        })?;
        counts(&wire, &[("bgp_session_up", 0), ("bgp_sessions_total", 1), ("bgp_routes_announced", 0)])
    });
}
