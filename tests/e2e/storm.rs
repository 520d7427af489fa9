// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! More ARP requests than anybody needs.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use ferrolb_lab::rights::within;
use ferrolb_lab::storm;
use ferrolb_lab::trial::{self, Contender};

use crate::alone;
use crate::cluster::quickstart;

const SPAN: Duration = Duration::from_secs(10);

#[test]
fn a_storm_of_arp_requests_moves_nothing() {
    let _alone = alone();
    within(|| {
        let ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let IpAddr::V4(vip) = ferrolb.target().ip() else { panic!("an IPv4 address") };
        let sent = storm::of_arp_questions(&ferrolb.lab().newcomer, vip, SPAN)?;
        println!("{sent} requests in {SPAN:?}");
        assert_eq!(trial::settled_owner(&ferrolb)?, owner, "{}", ferrolb.installation.logs());
        let status = ferrolb.installation.status()?;
        let echo = status.addresses.iter().find(|found| found.address == ferrolb.target().ip());
        let terms: Vec<u64> =
            echo.context("the address is there")?.carriers.iter().map(|carrier| carrier.term).collect();
        assert_eq!(terms, [1], "nobody claimed it again\n{}", ferrolb.installation.logs());
        Ok(())
    });
}
