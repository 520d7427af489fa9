// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What we say about restarts of our own (RFC 4724, section 3). We hold no routes of peers, so theirs cost us nothing.

use crate::{
    capability::{GracefulRestart, RestartTime},
    family::Families,
};

/// How this process found the node when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing of an earlier process was in force: routes that a peer still holds lead nowhere.
    Fresh,
    /// The data path of an earlier process went on all along.
    Restarted,
}

/// What a peer is told about restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    time: RestartTime,
    /// `None` once the peer was sent everything: from then on only sessions are lost, not this process.
    beginning: Option<Beginning>,
}

impl Restart {
    /// A peer shall keep our routes for `time` after it lost the session.
    pub fn new(time: RestartTime, beginning: Beginning) -> Self {
        Self { time, beginning: Some(beginning) }
    }

    /// Every End-of-RIB was sent: the peer knows what this process announces.
    pub(crate) fn routes_sent(&mut self) {
        self.beginning = None;
    }

    /// What the next OPEN says.
    pub(crate) fn capability(&self, families: Families) -> GracefulRestart {
        let forwarded = self.beginning != Some(Beginning::Fresh);
        GracefulRestart {
            restarted: self.beginning == Some(Beginning::Restarted),
            notification: true,
            time: self.time,
            families,
            forwarding: if forwarded { families } else { Families::NONE },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_r_bit_is_said_until_all_routes_were_sent_and_the_f_bit_where_traffic_went_on() {
        let bits = |restart: &Restart| {
            let said = restart.capability(Families::BOTH);
            assert!(said.notification && said.families == Families::BOTH);
            (said.restarted, said.forwarding == Families::BOTH)
        };
        let mut restarted = Restart::new(RestartTime::MAX, Beginning::Restarted);
        assert_eq!(bits(&restarted), (true, true));
        restarted.routes_sent();
        assert_eq!(bits(&restarted), (false, true));
        let mut fresh = Restart::new(RestartTime::MAX, Beginning::Fresh);
        assert_eq!(bits(&fresh), (false, false), "the peer drops what it still holds");
        fresh.routes_sent();
        assert_eq!(bits(&fresh), (false, true));
    }
}
