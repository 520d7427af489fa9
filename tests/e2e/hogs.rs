// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A machine whose processors are all taken.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ferrolb_lab::Process;
use ferrolb_lab::rights::within;
use ferrolb_lab::trial::{self, Contender};

use crate::alone;
use crate::cluster::quickstart;

/// Twice as many as most test machines have processors.
const HOGS: usize = 4;
const SPAN: Duration = Duration::from_secs(8);

#[test]
fn processes_that_take_all_processors_move_nothing() {
    let _alone = alone();
    within(|| {
        let ferrolb = quickstart(3)?;
        let owner = trial::settled_owner(&ferrolb)?;
        let before = ferrolb.installation.status()?.terms(ferrolb.target().ip())?;
        let hogs: Vec<Process> = (0..HOGS)
            .map(|number| {
                let mut hog = Command::new("sh");
                hog.args(["-c", "while :; do :; done"]);
                ferrolb.lab().start(&format!("hog-{number}"), None, hog)
            })
            .collect::<Result<_>>()?;
        std::thread::sleep(SPAN);
        drop(hogs);
        let logs = ferrolb.installation.logs();
        assert_eq!(trial::settled_owner(&ferrolb)?, owner, "{logs}");
        assert_eq!(ferrolb.installation.status()?.terms(ferrolb.target().ip())?, before, "{logs}");
        Ok(())
    });
}
