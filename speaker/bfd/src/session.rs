// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! One session (RFC 5880 section 6.8).

mod negotiation;
mod neighbour;
#[cfg(test)]
mod tests;
mod transmission;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    discard::Discard,
    engine::SessionConfig,
    output::{Down, DownCause, Event, Late, Output},
    packet::{Discriminator, Packet},
    path::Path,
    punctuality::Punctuality,
    state::{Diagnostic, State},
    timing::{Interval, Role, Timing},
    view::{Counts, SessionView},
};
use negotiation::{Audience, Negotiation, Pair};
use neighbour::Neighbour;
use transmission::Transmission;

/// Polls are answered this often, or as often as we send if that is more often: a neighbour repeats what was not answered.
const ANSWER_EVERY: Duration = Duration::from_millis(10);

/// However long a neighbour says that it bears silence, we say no longer than this that a session was stopped.
const TOLD_AT_MOST: Duration = Duration::from_secs(60);

/// What a session works with besides its own state.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) random: &'a mut fastrand::Rng,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) punctuality: &'a Punctuality,
}

/// One side of a session.
#[derive(Debug)]
pub(crate) struct Session {
    local: Discriminator,
    path: Path,
    role: Role,
    timing: Timing,
    state: State,
    diagnostic: Diagnostic,
    neighbour: Option<Neighbour>,
    times: Negotiation,
    packets: Transmission,
    /// What the last packet said, its poll and final bits aside.
    said: Option<Packet>,
    answered: Option<Instant>,
    /// It was stopped, and is forgotten then.
    ends: Option<Instant>,
    up_since: Option<Instant>,
    last_down: Option<(Instant, Down)>,
    counts: Counts,
}

impl Session {
    pub(crate) fn new(local: Discriminator, path: Path, role: Role, timing: Timing) -> Self {
        let state = State::Down;
        Self {
            local,
            path,
            role,
            timing,
            state,
            diagnostic: Diagnostic::NONE,
            neighbour: None,
            times: Negotiation::new(wishes(&timing, state)),
            packets: Transmission::default(),
            said: None,
            answered: None,
            ends: None,
            up_since: None,
            last_down: None,
            counts: Counts::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It was stopped, and has said so for long enough.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|at| at <= now)
    }

    /// When [`Session::tick`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.packets.next(), self.detection_deadline(), self.ends].into_iter().flatten().min()
    }

    /// It begins to speak, if it is to speak first.
    pub(crate) fn begin(&mut self, ctx: &mut Context<'_>) {
        self.settle(ctx);
    }

    /// From now on as this says, between the same ends.
    pub(crate) fn change(&mut self, config: SessionConfig, ctx: &mut Context<'_>) {
        (self.path, self.role, self.timing) = (config.path, config.role, config.timing);
        self.want();
        self.settle(ctx);
    }

    /// Takes it out of service on purpose: the neighbour is told, for a while.
    pub(crate) fn stop(&mut self, ctx: &mut Context<'_>) {
        if self.state == State::AdminDown {
            return;
        }
        self.state = State::AdminDown;
        self.diagnostic = Diagnostic::ADMINISTRATIVELY_DOWN;
        self.up_since = None;
        self.want();
        let told_for =
            if self.neighbour.is_some() { self.neighbours_detection_time() } else { Duration::ZERO };
        let told_for = told_for.min(TOLD_AT_MOST);
        self.ends = Some(ctx.now + told_for);
        self.settle(ctx);
    }

    /// A packet for this session was discarded.
    pub(crate) fn count_discarded(&mut self) {
        self.counts.discarded = self.counts.discarded.saturating_add(1);
    }

    /// A packet that was found to be for this session (RFC 5880 section 6.8.6), and when it was received.
    pub(crate) fn receive(
        &mut self,
        packet: &Packet,
        received: Instant,
        ctx: &mut Context<'_>,
    ) -> Result<(), Discard> {
        if self.state == State::AdminDown {
            let told = packet.your_discriminator == Some(self.local);
            if told && matches!(packet.state, State::Down | State::AdminDown) {
                self.ends = Some(ctx.now);
            }
            return Err(Discard::AdminDown);
        }
        // It may have lain in a buffer: what counts is whether it arrived in time.
        if self.detection_deadline().is_some_and(|deadline| received > deadline) {
            self.give_up(ctx);
        }
        let heard = self.neighbour.as_ref().map_or(received, |before| received.max(before.heard()));
        self.counts.received = self.counts.received.saturating_add(1);
        self.neighbour = Some(Neighbour::new(packet, heard));
        self.times.heard(packet.final_);
        self.enter(self.state.on_hearing(packet.state), None, ctx);
        self.settle(ctx);
        if packet.poll {
            self.answer(ctx);
        }
        Ok(())
    }

    /// Does what is due. Every packet that was received up to `heard_until` has been given in.
    pub(crate) fn tick(&mut self, heard_until: Instant, ctx: &mut Context<'_>) {
        if self.detection_deadline().is_some_and(|deadline| deadline <= heard_until) {
            self.give_up(ctx);
            self.settle(ctx);
        }
        if self.packets.next().is_some_and(|at| at <= ctx.now) {
            self.send(ctx);
        }
    }

    pub(crate) fn view(&self) -> SessionView {
        SessionView {
            discriminator: self.local,
            path: self.path,
            role: self.role,
            state: self.state,
            diagnostic: self.diagnostic,
            neighbour: self.neighbour.as_ref().map(Neighbour::view),
            transmit_interval: self.packets.interval(),
            detection_time: self.detection_time(),
            polling: self.times.asks(),
            up_since: self.up_since,
            last_down: self.last_down,
            counts: self.counts,
        }
    }

    fn detection_time(&self) -> Option<Duration> {
        self.neighbour.as_ref().map(|neighbour| neighbour.detection_time(self.times.kept().rx))
    }

    fn detection_deadline(&self) -> Option<Instant> {
        let judged = self.neighbour.as_ref().filter(|_| self.state != State::AdminDown)?;
        Some(judged.heard() + judged.detection_time(self.times.kept().rx))
    }

    /// How long the neighbour bears our silence.
    fn neighbours_detection_time(&self) -> Duration {
        self.our_interval().as_duration() * u32::from(self.timing.multiplier().get())
    }

    /// How often the neighbour expects us.
    fn our_interval(&self) -> Interval {
        self.times.said().tx.max(self.required_by_neighbour())
    }

    fn required_by_neighbour(&self) -> Interval {
        self.neighbour.as_ref().map_or(Interval::UNKNOWN, Neighbour::required_min_rx)
    }

    /// A silence of ours that explains by itself why the neighbour gave us up: all of its detection time but half an interval.
    fn unbearable(&self) -> Option<Duration> {
        let interval = self.our_interval().as_duration();
        (self.state == State::Up).then(|| (self.neighbours_detection_time() - interval / 2).max(interval))
    }

    /// Nothing was heard for the detection time.
    fn give_up(&mut self, ctx: &mut Context<'_>) {
        let Some(neighbour) = self.neighbour.take() else { return };
        let rx = self.times.kept().rx;
        let (heard, time) = (neighbour.heard(), neighbour.detection_time(rx));
        let still = ctx.punctuality.stood_still(heard, heard + time);
        // What came while we stood still waits in a buffer, unless there was too much, or the whole machine stood still.
        let late = if still >= neighbour.sends_every(rx).as_duration() {
            Late::We(still)
        } else {
            Late::NeighbourOrPath
        };
        let down = Down {
            cause: DownCause::DetectionTimeExpired(time),
            late,
            control_plane_independent: neighbour.view().control_plane_independent,
        };
        if matches!(self.state, State::Init | State::Up) {
            self.enter(State::Down, Some(down), ctx);
        }
        self.want();
    }

    /// Changes the state: `expired` says why if nothing was heard, else the neighbour said so.
    fn enter(&mut self, next: State, expired: Option<Down>, ctx: &mut Context<'_>) {
        let before = self.state;
        if next == before {
            return;
        }
        let down = expired.or_else(|| self.told(ctx.now));
        self.state = next;
        match next {
            State::Up => {
                self.diagnostic = Diagnostic::NONE;
                self.up_since = Some(ctx.now);
                self.counts.ups = self.counts.ups.saturating_add(1);
                self.packets.forgive();
                ctx.outputs.push_back(Output::Event { session: self.local, event: Event::Up });
            }
            State::Down => {
                self.diagnostic = match expired {
                    Some(_) => Diagnostic::DETECTION_TIME_EXPIRED,
                    None => Diagnostic::NEIGHBOR_SIGNALED_DOWN,
                };
                self.up_since = None;
                if let (State::Up, Some(down)) = (before, down) {
                    self.counts.downs = self.counts.downs.saturating_add(1);
                    self.last_down = Some((ctx.now, down));
                    ctx.outputs.push_back(Output::Event { session: self.local, event: Event::Down(down) });
                }
            }
            State::Init | State::AdminDown => {}
        }
        self.want();
    }

    /// What an end means that the neighbour told us.
    fn told(&self, now: Instant) -> Option<Down> {
        let neighbour = self.neighbour.as_ref()?;
        let (cause, late) = match (neighbour.state(), neighbour.diagnostic()) {
            (State::AdminDown, _) => (DownCause::NeighbourAdminDown, Late::Neither),
            (_, diagnostic @ Diagnostic::DETECTION_TIME_EXPIRED) => {
                let ours = self.packets.blame(now, self.unbearable());
                (DownCause::NeighbourDown(diagnostic), ours.map_or(Late::NeighbourOrPath, Late::We))
            }
            (_, diagnostic) => (DownCause::NeighbourDown(diagnostic), Late::Neither),
        };
        Some(Down { cause, late, control_plane_independent: neighbour.view().control_plane_independent })
    }

    /// Asks for the times that belong to the state.
    fn want(&mut self) {
        let audience = match (&self.neighbour, self.state) {
            (None, _) => Audience::Nobody,
            (Some(_), State::Up) => Audience::Partner,
            (Some(_), _) => Audience::Neighbour,
        };
        self.times.want(wishes(&self.timing, self.state), audience);
    }

    /// Brings the interval in line with the rest, and sends at once what differs from what was said last (RFC 5880 section 6.8.7).
    fn settle(&mut self, ctx: &mut Context<'_>) {
        self.packets.every(ctx.now, self.interval(), self.timing.multiplier(), ctx.random);
        if self.may_speak() && self.said != Some(self.content()) {
            self.send(ctx);
        }
    }

    fn may_speak(&self) -> bool {
        self.role == Role::Active || self.neighbour.is_some()
    }

    /// How often packets are due at regular times (RFC 5880 section 6.8.7); `None`: never.
    fn interval(&self) -> Option<Interval> {
        let neighbour = self.neighbour.as_ref();
        let both_up =
            self.state == State::Up && neighbour.is_some_and(|neighbour| neighbour.state() == State::Up);
        let on_demand = both_up && neighbour.is_some_and(Neighbour::demand) && !self.times.asks();
        let silent = !self.may_speak() || self.required_by_neighbour().is_zero() || on_demand;
        (!silent).then(|| self.times.kept().tx.max(self.required_by_neighbour()))
    }

    fn content(&self) -> Packet {
        let Pair { tx, rx } = self.times.said();
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: false,
            final_: false,
            control_plane_independent: false,
            demand: false,
            multiplier: self.timing.multiplier(),
            my_discriminator: self.local,
            your_discriminator: self.neighbour.as_ref().map(Neighbour::discriminator),
            desired_min_tx: tx,
            required_min_rx: rx,
            required_min_echo_rx: Interval::ZERO,
        }
    }

    fn send(&mut self, ctx: &mut Context<'_>) {
        self.packets.regular(ctx.now, self.timing.multiplier(), ctx.random);
        let content = self.content();
        self.said = Some(content);
        self.emit(Packet { poll: self.times.asks(), ..content }, ctx);
    }

    /// Answers a poll: whatever else the rules of sending say, but not every one of a flood.
    fn answer(&mut self, ctx: &mut Context<'_>) {
        let pause = ANSWER_EVERY.min(self.times.said().tx.as_duration());
        if self.answered.is_none_or(|at| ctx.now.saturating_duration_since(at) >= pause) {
            self.answered = Some(ctx.now);
            self.emit(Packet { final_: true, ..self.content() }, ctx);
        }
    }

    fn emit(&mut self, packet: Packet, ctx: &mut Context<'_>) {
        self.packets.speak(ctx.now, self.unbearable());
        self.counts.sent = self.counts.sent.saturating_add(1);
        ctx.outputs.push_back(Output::Send { session: self.local, payload: packet.encode() });
    }
}

/// What we ask for in a state: until the session is up nobody sends more than once a second (RFC 5880 section 6.8.3).
fn wishes(timing: &Timing, state: State) -> Pair {
    let tx = match state {
        State::Up => timing.desired_tx(),
        State::AdminDown | State::Down | State::Init => timing.desired_tx().max(Interval::SLOW),
    };
    Pair { tx, rx: timing.required_rx() }
}
