// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Which router is on a link: it is found by its advertisements (RFC 4861), so that a peer needs no address (unnumbered BGP).
//!
//! One router is expected. Of several the first is kept for as long as it advertises itself: another one that appears, by mistake or on
//! purpose, takes no session over. Some routers want to find us in the same way, so whoever has found one advertises itself too, as
//! something that no host takes for its default router: default routers go before such.

mod advertisement;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::Ipv6Addr,
    time::{Duration, Instant},
};

pub use advertisement::{BadAdvertisement, RouterAdvertisement, Say};

/// Routers of one link that are kept in mind; whoever sends advertisements in other names fills no memory.
const MOST: usize = 8;
/// How long a router is believed in that is no default router, three times the longest pause between two advertisements (RFC 4861,
/// section 6.2.1). Routers that are there for BGP alone say no lifetime.
const UNSAID: Duration = Duration::from_secs(1800);
/// A router that ends says so three times, 16 s apart at most (RFC 4861, sections 6.2.5 and 10). What it says then is no beginning.
const FAREWELL: Duration = Duration::from_secs(60);
/// The first solicitation waits so long at most, since all nodes of a link may come up together (RFC 4861, section 6.3.7).
const FIRST: Duration = Duration::from_secs(1);
/// Pause between two solicitations, and what it grows to while nobody answers (RFC 7559, section 2).
const PAUSE: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(300));

/// How often we advertise ourselves; three are lost before anybody forgets us who waits no shorter than usual.
const SPEAK: Duration = Duration::from_secs(10);

/// The search on one link, from when the interface is there until it is gone.
#[derive(Debug)]
pub struct Discovery {
    routers: BTreeMap<Ipv6Addr, Standing>,
    chosen: Option<Ipv6Addr>,
    asking: Option<Asking>,
    /// When to advertise ourselves.
    speak_at: Option<Instant>,
    random: fastrand::Rng,
}

/// What is known of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is there, until then unless it says so again.
    There { until: Instant, is_default: bool },
    /// It said that it ends.
    Leaving { until: Instant },
}

impl Standing {
    fn until(self) -> Instant {
        match self {
            Self::There { until, .. } | Self::Leaving { until } => until,
        }
    }
}

/// When to solicit next, and how long to wait for an answer.
#[derive(Clone, Copy, Debug)]
struct Asking {
    at: Instant,
    pause: Duration,
}

impl Discovery {
    /// The interface is there. Jitter follows from `seed`.
    pub fn new(now: Instant, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let first = FIRST.mul_f64(random.f64());
        let asking = Some(Asking { at: now + first, pause: PAUSE.0 });
        Self { routers: BTreeMap::new(), chosen: None, asking, speak_at: None, random }
    }

    /// A router advertised itself.
    pub fn heard(&mut self, now: Instant, said: RouterAdvertisement) {
        self.forget(now);
        let RouterAdvertisement { router, lifetime } = said;
        let known = self.routers.get(&router).copied();
        let standing = match (known, Duration::from_secs(lifetime.into())) {
            (Some(Standing::There { is_default: true, .. } | Standing::Leaving { .. }), Duration::ZERO) => {
                let first = known.filter(|known| matches!(known, Standing::Leaving { .. }));
                first.unwrap_or(Standing::Leaving { until: now + FAREWELL })
            }
            (_, Duration::ZERO) => Standing::There { until: now + UNSAID, is_default: false },
            (_, lifetime) => Standing::There { until: now + lifetime, is_default: true },
        };
        if known.is_some() || self.routers.len() < MOST {
            self.routers.insert(router, standing);
        }
        self.choose(now);
    }

    /// Does what is due, and tells one thing that is to be said; to be called until there is none.
    pub fn tick(&mut self, now: Instant) -> Option<Say> {
        self.forget(now);
        self.choose(now);
        // A tenth more or less, so that nodes do not speak together for ever.
        let about = |pause: Duration, random: &mut fastrand::Rng| pause.mul_f64(0.9 + random.f64() / 5.0);
        if let Some(asking) = self.asking.as_mut().filter(|asking| asking.at <= now) {
            asking.at = now + about(asking.pause, &mut self.random);
            asking.pause = (asking.pause * 2).min(PAUSE.1);
            return Some(Say::Solicitation);
        }
        let due = self.speak_at.take_if(|at| *at <= now);
        due.map(|_| {
            self.speak_at = Some(now + about(SPEAK, &mut self.random));
            Say::Advertisement
        })
    }

    /// When [`Discovery::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let routers = self.routers.values().map(|standing| standing.until());
        routers.chain(self.asking.map(|asking| asking.at)).chain(self.speak_at).min()
    }

    /// The router to speak to.
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.chosen
    }

    /// Others of the same kind that advertise themselves on the same link.
    pub fn others(&self) -> impl Iterator<Item = Ipv6Addr> {
        let kind = self.chosen.and_then(|chosen| self.kind(chosen));
        self.there()
            .filter(move |(router, is_default)| {
                Some(*router) != self.chosen && kind.is_some_and(|kind| kind == *is_default)
            })
            .map(|(router, _)| router)
    }

    /// Who is there, and whether it is a default router.
    fn there(&self) -> impl Iterator<Item = (Ipv6Addr, bool)> {
        self.routers.iter().filter_map(|(router, standing)| match standing {
            Standing::There { is_default, .. } => Some((*router, *is_default)),
            Standing::Leaving { .. } => None,
        })
    }

    fn kind(&self, router: Ipv6Addr) -> Option<bool> {
        self.there().find(|(other, _)| *other == router).map(|(_, is_default)| is_default)
    }

    fn forget(&mut self, now: Instant) {
        self.routers.retain(|_, standing| standing.until() > now);
    }

    /// Keeps the router that was chosen, or takes another, or begins to ask.
    fn choose(&mut self, now: Instant) {
        let before = self.chosen;
        let kept = before.and_then(|chosen| Some((chosen, self.kind(chosen)?)));
        let first = self.there().max_by_key(|(router, is_default)| (*is_default, std::cmp::Reverse(*router)));
        self.chosen = match (kept, first) {
            (Some((_, false)), Some((other, true))) => Some(other),
            (Some((kept, _)), _) => Some(kept),
            (None, first) => first.map(|(router, _)| router),
        };
        match self.chosen {
            Some(_) => {
                self.asking = None;
                self.speak_at = if self.chosen == before { self.speak_at } else { Some(now) };
            }
            None => {
                let again = before.map(|_| Asking { at: now, pause: PAUSE.0 });
                self.asking = again.or(self.asking);
                self.speak_at = None;
            }
        }
    }
}
