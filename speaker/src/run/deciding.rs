// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Decides what this node does, as objects and gates change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ferrolb_config::Objects;
use ferrolb_source::metrics::Readiness;
use ferrolb_source::pace::{Pace, Terms, Work};
use tokio::sync::watch;
use tokio::time::Instant;

use super::decision::{Decision, News, away};
use crate::bgp::{Speech, Spoken};
use crate::datapath::DataPath;
use crate::deadline::until;
use crate::election::wanted;
use crate::gates::GateKeepers;
use crate::health::Checks;
use crate::layer2::Wanted;
use crate::options::Options;
use crate::status::Known;

/// How long the first words to routers wait for rules in the kernel, which take milliseconds where nothing is wrong.
const RULES_AT_MOST: Duration = Duration::from_secs(5);
/// How often objects are decided on. What a Service brings about in a cluster comes as three to five changes: its address is told
/// with one of the later ones.
const PACE: Terms = Terms {
    share: 10,
    least: Duration::from_millis(1),
    free: Duration::from_millis(20),
    longest: Duration::from_secs(3),
};

/// Where decisions go.
pub(super) struct Decisions {
    pub(super) data_path: watch::Sender<Option<Arc<DataPath>>>,
    pub(super) checks: watch::Sender<Arc<Checks>>,
    pub(super) wanted: watch::Sender<Option<Arc<Wanted>>>,
    pub(super) spoken: watch::Sender<Option<Arc<Spoken>>>,
    pub(super) known: watch::Sender<Arc<Known>>,
}

/// Decides anew whenever the objects change or the data path gets further. Objects wait for the pace, gates for nothing.
pub(super) async fn decide(
    options: &Options,
    decisions: &Decisions,
    readiness: &Readiness,
    mut objects: watch::Receiver<Arc<Objects>>,
    mut gates: GateKeepers,
) -> anyhow::Result<Infallible> {
    let mut decision = Decision::new(options);
    let (mut first_words, mut looked_at, mut speech) = (None, None, Speech::default());
    let mut pace = Pace::new(PACE);
    let (mut are_new, mut is_due) = (true, true);
    loop {
        let work = Work::begin();
        let mut news = News::No;
        if is_due {
            are_new = false;
            let now = Arc::clone(&objects.borrow_and_update());
            let is_told = {
                let known = decisions.known.borrow();
                known.freshness == now.freshness && known.away == away(options, &now)
            };
            news = decision.take(&now);
            if news == News::OfAddresses {
                set(&decisions.data_path, Some(Arc::new(decision.intent().data_path())));
                set(&decisions.checks, Arc::new(decision.intent().checks()));
            }
            if news != News::No || !is_told {
                let known = decision.known(options, &now, &decisions.known.borrow());
                decisions.known.send_replace(Arc::new(known));
            }
            drop(now);
            readiness.set(decision.readiness(&objects.borrow().freshness));
        }
        let mut speaks = true;
        if decision.is_made() {
            let open = gates.look();
            if news == News::OfAddresses || looked_at.as_ref() != Some(&open) {
                let want = wanted(decision.intent(), &open, &options.cluster);
                set(&decisions.wanted, Some(Arc::new(want)));
            }
            // A session that began without what routers are told would make them forget routes that are wanted: so the first
            // one waits for the objects, and for the rules that open the gates.
            speaks = decisions.spoken.borrow().is_some() || {
                let (known, looked) = (objects.borrow().freshness.knows_routers(), Instant::now());
                first_words = first_words.or_else(|| known.then(|| looked + RULES_AT_MOST));
                let ruled = open.data_path.serving == *decisions.data_path.borrow();
                known && ruled || first_words.is_some_and(|at| looked >= at)
            };
            if speaks {
                set(&decisions.spoken, Some(Arc::new(speech.of(decision.intent(), &open))));
            }
            looked_at = Some(open);
        }
        pace.worked(work.took(), Instant::now().into_std());
        is_due = loop {
            tokio::select! {
                changed = objects.changed(), if !are_new => {
                    changed.context("the source of objects has ended")?;
                    are_new = true;
                }
                () = until(pace.next().map(Instant::from_std)), if are_new => break true,
                changed = gates.changed(), if decision.is_made() => {
                    changed.context("a gate keeper has ended")?;
                    break false;
                }
                () = until(first_words), if !speaks => break false,
            }
        };
    }
}

fn set<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|held| {
        let changed = *held != value;
        if changed {
            *held = value;
        }
        changed
    });
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;
    use tokio::time::{sleep, timeout};

    use super::super::tests::options;
    use super::*;
    use crate::datapath::Observed;

    #[tokio::test]
    async fn what_changes_while_objects_wait_is_decided_although_gates_change_meanwhile() {
        let (tell, objects) = watch::channel(Arc::new(Objects::default()));
        let (led, data_path) = watch::channel(Observed::default());
        let (_health, health) = watch::channel(Arc::default());
        let (_bound, unbindable) = watch::channel(Arc::default());
        let gates = GateKeepers { data_path, health, unbindable, no_binding: None };
        let (known_sender, mut known) = watch::channel(Arc::default());
        let decisions = Decisions {
            data_path: watch::Sender::new(None),
            checks: watch::Sender::new(Arc::default()),
            wanted: watch::Sender::new(None),
            spoken: watch::Sender::new(None),
            known: known_sender,
        };
        let folder = tempfile::tempdir().expect("room on the disk");
        let (options, readiness) = (options("n1", folder.path(), folder.path()), Readiness::default());
        let changes = async {
            for second in 1..=100_i64 {
                let mut now = Objects::default();
                now.freshness.stale_since = Some(jiff::Timestamp::constant(second, 0));
                tell.send_replace(Arc::new(now));
                yield_now().await;
                led.send_modify(|_| {});
                sleep(Duration::from_micros(100)).await;
            }
            let last = Some(jiff::Timestamp::constant(100, 0));
            let decided = known.wait_for(|known| known.freshness.stale_since == last);
            timeout(Duration::from_secs(30), decided)
                .await
                .expect("it is decided")
                .expect("it decides")
                .freshness
                .clone()
        };
        tokio::select! {
            ended = decide(&options, &decisions, &readiness, objects, gates) => panic!("{:?}", ended.err()),
            freshness = changes => assert!(freshness.stale_since.is_some()),
        }
    }
}
