// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The end of a process, and the beginning of the next.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use ferrolb_lab::probe::Connections;
use ferrolb_lab::rights;
use ferrolb_speaker::datapath::{self, DataPath, Protocol, Source};

use crate::rig::{BOTH, NewFlows, Rig, SOON, VIP4, VIP6, eventually, frontend, service};

#[test]
fn a_restart_after_a_kill_loses_nothing() {
    rights::within(|| {
        let rig = Rig::build()?;
        let desired = service(Source::Masqueraded, &[1, 2]);
        let mut running = rig.start(&desired)?;
        let connections = Connections::start(&rig.lab.client, SocketAddr::new(VIP4, 80), 20)?;
        let flows = [VIP4, VIP6].map(|vip| NewFlows::start(&rig, SocketAddr::new(vip, 53)));
        for _ in 0..10 {
            running.kill()?;
            // A process that does not know yet what to do must not take it for nothing.
            running = rig.start_undecided(rig.node())?;
            std::thread::sleep(Duration::from_millis(50));
            running.set(&desired)?;
        }
        for flows in flows {
            let (sent, lost) = flows?.finish()?;
            ensure!(sent > 200 && lost == 0, "{lost} of {sent} new flows were lost");
        }
        let report = connections.finish()?;
        ensure!(report.reset == 0 && report.stalled == 0, "{report:?}");
        Ok(())
    });
}

#[test]
fn what_a_killed_process_left_and_nobody_wants_is_removed() {
    rights::within(|| {
        let rig = Rig::build()?;
        rig.start(&service(Source::Kept, &[1]))?.kill()?;
        let mut desired = service(Source::Kept, &[1]);
        desired.vips.remove(&VIP6);
        desired.ports.retain(|frontend, _| frontend.address == VIP4 && frontend.protocol == Protocol::Tcp);
        let _running = rig.start(&desired)?;
        let listing = rig.nft(&["list", "table", "inet", "ferrolb"])?;
        ensure!(listing.contains("port/tcp/80/198.51.100.100"), "{listing}");
        ensure!(!listing.contains("udp/53") && !listing.contains("2001"), "left behind: {listing}");
        Ok(())
    });
}

#[test]
fn the_rules_linger_and_then_expire_by_themselves() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&service(Source::Masqueraded, &[1]))?;
        let connections = Connections::start(&rig.lab.client, SocketAddr::new(VIP4, 80), 5)?;
        running.linger(Duration::from_secs(2))?;
        for vip in BOTH {
            rig.ask(vip, 80)?;
        }
        std::thread::sleep(Duration::from_millis(2500));
        for vip in BOTH {
            let result = rig.connect(SocketAddr::new(vip, 80), Duration::from_millis(500))?;
            ensure!(result.is_err(), "{vip} is served after the end");
        }
        let report = connections.finish()?;
        ensure!(report.reset == 0 && report.stalled == 0, "established connections go on: {report:?}");
        eventually("the end of all elements", SOON, || {
            Ok(!rig.nft(&["list", "table", "inet", "ferrolb"])?.contains("expires"))
        })
    });
}

#[test]
fn a_process_that_comes_back_while_the_rules_linger_keeps_them() {
    rights::within(|| {
        let rig = Rig::build()?;
        let desired = service(Source::Masqueraded, &[1, 2]);
        rig.start(&desired)?.linger(Duration::from_secs(1))?;
        let flows = NewFlows::start(&rig, SocketAddr::new(VIP4, 53))?;
        let running = rig.start(&desired)?;
        std::thread::sleep(Duration::from_millis(1500));
        let (sent, lost) = flows.finish()?;
        ensure!(lost == 0, "{lost} of {sent} new flows were lost");
        // And after they have expired, it starts afresh.
        running.linger(Duration::from_millis(200))?;
        std::thread::sleep(Duration::from_millis(500));
        let running = rig.start(&desired)?;
        rig.ask(VIP6, 80)?;
        // A change must not fail on elements that the kernel has removed by itself.
        running.set(&service(Source::Masqueraded, &[2]))?;
        ensure!(rig.ask(VIP6, 80)?.0 == "n2");
        Ok(())
    });
}

#[test]
fn cleanup_removes_everything_and_says_which_ports_were_translated() {
    rights::within(|| {
        let rig = Rig::build()?;
        rig.start(&service(Source::Kept, &[1]))?.kill()?;
        let cleanup = || {
            rig.node().namespace.run(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(datapath::cleanup()).map_err(|condition| anyhow::anyhow!("{condition}"))
            })
        };
        let removed = cleanup()?.unwrap_or_default();
        ensure!(removed.contains(&frontend(VIP4, Protocol::Tcp, 80)), "{removed:?}");
        ensure!(rig.nft(&["list", "ruleset"])?.trim().is_empty());
        ensure!(cleanup()?.is_none());
        Ok(())
    });
}

#[test]
fn a_node_without_virtual_ips_gets_no_table() {
    rights::within(|| {
        let rig = Rig::build()?;
        let running = rig.start(&DataPath::default())?;
        ensure!(rig.nft(&["list", "ruleset"])?.trim().is_empty());
        running.set(&service(Source::Kept, &[1]))?;
        rig.ask(VIP4, 80)?;
        ensure!(running.observed().ready().into_iter().eq(BOTH));
        running.set(&DataPath::default())?;
        ensure!(rig.connect(frontend_socket(), Duration::from_millis(300))?.is_err());
        Ok(())
    });
}

fn frontend_socket() -> SocketAddr {
    let http = frontend(VIP4, Protocol::Tcp, 80);
    SocketAddr::new(http.address, http.port.get())
}
