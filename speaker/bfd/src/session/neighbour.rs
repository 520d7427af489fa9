// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the neighbour said last, for as long as it counts.

use std::time::{Duration, Instant};

use crate::{
    packet::{Discriminator, Packet},
    state::{Diagnostic, State},
    timing::Interval,
    view::NeighbourView,
};

/// A neighbour that was heard within its detection time.
#[derive(Debug)]
pub(super) struct Neighbour {
    said: NeighbourView,
    heard: Instant,
}

impl Neighbour {
    pub(super) fn new(packet: &Packet, heard: Instant) -> Self {
        let said = NeighbourView {
            discriminator: packet.my_discriminator,
            state: packet.state,
            diagnostic: packet.diagnostic,
            multiplier: packet.multiplier.get(),
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
            demand: packet.demand,
            control_plane_independent: packet.control_plane_independent,
        };
        Self { said, heard }
    }

    pub(super) fn view(&self) -> NeighbourView {
        self.said
    }

    pub(super) fn discriminator(&self) -> Discriminator {
        self.said.discriminator
    }

    pub(super) fn state(&self) -> State {
        self.said.state
    }

    pub(super) fn diagnostic(&self) -> Diagnostic {
        self.said.diagnostic
    }

    pub(super) fn demand(&self) -> bool {
        self.said.demand
    }

    pub(super) fn required_min_rx(&self) -> Interval {
        self.said.required_min_rx
    }

    /// When it was heard last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// How often it sends, as agreed: it may not want to send as often as we would listen.
    pub(super) fn sends_every(&self, required_rx: Interval) -> Interval {
        required_rx.max(self.said.desired_min_tx)
    }

    /// Its multiplier times that (RFC 5880 section 6.8.4).
    pub(super) fn detection_time(&self, required_rx: Interval) -> Duration {
        self.sends_every(required_rx).as_duration() * u32::from(self.said.multiplier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detection_time_is_of_the_neighbours_multiplier_and_the_slower_wish() {
        let packet = |multiplier: u8, tx| Packet {
            multiplier: multiplier.try_into().unwrap(),
            desired_min_tx: Interval::from_millis(tx),
            ..Packet::decode(&[0x20, 0x40, 3, 24, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                .unwrap()
        };
        let now = Instant::now();
        let time = |multiplier, tx, rx| {
            Neighbour::new(&packet(multiplier, tx), now).detection_time(Interval::from_millis(rx)).as_millis()
        };
        assert_eq!(time(5, 50, 300), 1500);
        assert_eq!(time(5, 300, 50), 1500);
        assert_eq!(time(1, 0, 10), 10);
        assert_eq!(time(255, u32::MAX, 10), 255 * u128::from(u32::MAX) / 1000);
    }
}
