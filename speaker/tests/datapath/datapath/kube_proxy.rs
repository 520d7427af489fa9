// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Beside kube-proxy, which a table of its kind stands for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrolb_lab::addresses::{POD_TCP, pod_v4, pod_v6};
use ferrolb_lab::rights;
use ferrolb_speaker::datapath::{Condition, DataPath, Role, Setup, Source};

use crate::rig::{BOTH, Rig, Running, SOON, VIP4, VIP6, eventually, service, udp_socket};

/// Longer than kube-proxy is given to learn a new address.
const PATIENCE: Duration = Duration::from_secs(20);

fn unasked() -> Setup {
    Setup::KubeProxy { healthz: None, guarded: true }
}

fn addresses() -> DataPath {
    DataPath { vips: BOTH.map(|vip| (vip, Role::Candidate)).into(), ..DataPath::default() }
}

/// What kube-proxy does with port 80 of both addresses, at its hooks and priorities.
fn translate_as_kube_proxy(rig: &Rig) -> Result<()> {
    let families =
        [("ip", VIP4.to_string(), pod_v4(1).to_string()), ("ip6", VIP6.to_string(), pod_v6(1).to_string())];
    for (family, vip, pod) in families {
        let pod = if family == "ip6" { format!("[{pod}]") } else { pod };
        let dnat = format!("{family} daddr {vip} tcp dport 80 dnat to {pod}:{POD_TCP}");
        rig.nft(&["add", "table", family, "kube-proxy"])?;
        let chain = "{ type nat hook prerouting priority dstnat; }";
        rig.nft(&["add", "chain", family, "kube-proxy", "nat-prerouting", chain])?;
        rig.nft(&["add", "rule", family, "kube-proxy", "nat-prerouting", &dnat])?;
        let chain = "{ type nat hook postrouting priority srcnat; }";
        rig.nft(&["add", "chain", family, "kube-proxy", "nat-postrouting", chain])?;
        rig.nft(&["add", "rule", family, "kube-proxy", "nat-postrouting", "ct status dnat masquerade"])?;
    }
    Ok(())
}

fn start(rig: &Rig, setup: Setup) -> Result<Running> {
    let running = rig.start_as(rig.node(), setup)?;
    running.set(&addresses())?;
    Ok(running)
}

fn refused(rig: &Rig, target: SocketAddr) -> Result<bool> {
    Ok(rig.connect(target, Duration::from_millis(900))? == Err(ErrorKind::ConnectionRefused))
}

#[test]
fn what_kube_proxy_translates_passes_and_what_it_does_not_is_refused() {
    rights::within(|| {
        let rig = Rig::build()?;
        translate_as_kube_proxy(&rig)?;
        let running = start(&rig, unasked())?;
        for vip in BOTH {
            let refused = refused(&rig, SocketAddr::new(vip, 81))?;
            ensure!(!refused, "{vip} is new: kube-proxy may not know it yet");
        }
        for vip in BOTH {
            eventually("the refusal", PATIENCE, || refused(&rig, SocketAddr::new(vip, 81)))?;
            ensure!(rig.ask(vip, 80)?.0 == "n1");
            let answer = rig.lab.client.run(|| {
                let socket = udp_socket(SocketAddr::new(vip, 53))?;
                socket.set_read_timeout(Some(Duration::from_secs(3)))?;
                socket.send(b"ask")?;
                Ok(socket.recv(&mut [0; 8]).map_err(|error| error.kind()))
            })?;
            ensure!(answer == Err(ErrorKind::ConnectionRefused), "{vip}, UDP: {answer:?}");
        }
        ensure!(running.observed().conditions.is_empty(), "{:?}", running.observed());
        Ok(())
    });
}

#[test]
fn an_address_that_nobody_records_is_not_touched() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = start(&rig, unasked())?;
        eventually("the refusal", PATIENCE, || refused(&rig, SocketAddr::new(VIP4, 81)))?;
        running.set(&DataPath { vips: [(VIP6, Role::Candidate)].into(), ..DataPath::default() })?;
        eventually("its end", SOON, || Ok(!refused(&rig, SocketAddr::new(VIP4, 81))?))?;
        ensure!(refused(&rig, SocketAddr::new(VIP6, 81))?);
        Ok(())
    });
}

#[test]
fn a_process_that_translated_before_leaves_the_translation_to_kube_proxy() {
    rights::within(|| {
        let rig = Rig::build()?;
        rig.start(&service(Source::Masqueraded, &[2]))?.kill()?;
        ensure!(rig.ask(VIP4, 80)?.0 == "n2");
        translate_as_kube_proxy(&rig)?;
        let _running = start(&rig, unasked())?;
        eventually("kube-proxy's translation", SOON, || {
            Ok(BOTH.iter().all(|vip| rig.ask(*vip, 80).is_ok_and(|(node, _)| node == "n1")))
        })?;
        let listing = rig.nft(&["list", "table", "inet", "ferrolb"])?;
        for gone in ["port/", "redirect"] {
            ensure!(!listing.contains(gone), "{gone} is left: {listing}");
        }
        Ok(())
    });
}

#[test]
fn without_the_right_to_guard_addresses_are_carried_all_the_same() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = start(&rig, Setup::KubeProxy { healthz: None, guarded: false })?;
        let told = Condition::Unguarded(Box::new(Condition::NotPermitted));
        ensure!(running.observed().conditions == [told].into(), "{:?}", running.observed());
        ensure!(running.observed().ready() == BOTH.into());
        ensure!(!rig.nft(&["list", "tables"])?.contains("ferrolb"));
        running.linger(Duration::from_secs(1))
    });
}

/// Answers each request on `n1` with the status that `status` holds, in place of kube-proxy's healthz.
fn answer_with(rig: &Rig, status: Arc<AtomicU16>) -> Result<String> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    // Ends with the namespace's other threads when the test does.
    let _server = rig.node().namespace.start("healthz", move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        tell.send(listener.local_addr()?)?;
        loop {
            let (mut stream, _) = listener.accept()?;
            let status = status.load(Ordering::Relaxed);
            if status == 0 {
                return Ok(());
            }
            // A request that is cut off is the asker's business.
            let _length = stream.read(&mut [0; 512]);
            let _sent = stream.write_all(format!("HTTP/1.1 {status} Any\r\n\r\n").as_bytes());
        }
    })?;
    Ok(format!("{}/healthz", told.recv_timeout(SOON)?))
}

#[test]
fn addresses_are_given_up_while_kube_proxy_is_unwell_and_kept_when_it_is_silent() {
    rights::within(|| {
        let rig = Rig::build()?;
        let status = Arc::new(AtomicU16::new(200));
        let healthz = answer_with(&rig, Arc::clone(&status))?.parse()?;
        let running = start(&rig, Setup::KubeProxy { healthz: Some(healthz), guarded: true })?;
        let wait = |what: &str, done: &dyn Fn(bool) -> bool| {
            eventually(what, PATIENCE, || Ok(done(running.observed().ready().is_empty())))
        };
        status.store(503, Ordering::Relaxed);
        wait("the end", &|nothing| nothing)?;
        let why = running.observed().closed.map(|condition| condition.to_string()).unwrap_or_default();
        ensure!(why.contains("503"), "{why}");
        status.store(200, Ordering::Relaxed);
        wait("the recovery", &|nothing| !nothing)?;
        status.store(0, Ordering::Relaxed);
        let is_silent = |condition: &Condition| matches!(condition, Condition::KubeProxySilent(_));
        eventually("the silence", PATIENCE, || Ok(running.observed().conditions.iter().any(is_silent)))?;
        ensure!(running.observed().ready() == BOTH.into());
        Ok(())
    });
}
