// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keeps the placement in step with what is wanted and with the interfaces that are there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::placement::{NoInterface, Wanted, place};
use super::{Ended, Layer2};
use crate::kernel::links::Links;

/// Virtual IPs that no interface of this node carries, and why.
pub type Refusals = BTreeMap<IpAddr, NoInterface>;

/// Places what is wanted whenever it or the interfaces change, and tells what found no interface. Until something is
/// wanted for the first time, nothing is placed.
///
/// # Errors
/// Whoever says what is wanted, or what interfaces there are, has ended.
pub async fn keep_placed(
    layer2: &Layer2,
    mut wanted: watch::Receiver<Option<Arc<Wanted>>>,
    mut links: watch::Receiver<Arc<Links>>,
    refusals: watch::Sender<Refusals>,
) -> Result<std::convert::Infallible, Ended> {
    loop {
        let want = wanted.borrow_and_update().clone();
        let present = links.borrow_and_update().clone();
        if let Some(want) = want {
            let placement = place(&want, &present);
            refusals.send_if_modified(|before| {
                let changed = *before != placement.refusals;
                if changed {
                    before.clone_from(&placement.refusals);
                }
                changed
            });
            layer2.place(placement);
        }
        tokio::select! {
            changed = wanted.changed() => changed.map_err(|_| Ended)?,
            changed = links.changed() => changed.map_err(|_| Ended)?,
        }
    }
}
