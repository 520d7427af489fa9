// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The first half of an allocation: who keeps what. Nothing new is given here.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use ferrolb_config::address::Family;
use ferrolb_config::api::{Consumer, ConsumerKind, VirtualIPSpec};
use ferrolb_config::snapshot::Pool;

use super::case::{Case, Held};
use super::claim::{Claim, Families, Request, Standing, key_of};
use super::ground::Ground;
use super::retained::{self, Retained};
use super::tenancy::Tenant;
use super::unread::Unread;
use super::{Given, Place};

/// What a record entitles one of its consumers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// It keeps the address.
    Firm,
    /// It asks for something else, and keeps the address until it has that.
    UntilMoved,
}

/// Seats everyone who may keep what it has. `cases` are in the order of seniority.
pub(super) fn keep<'a>(cases: &mut [Case<'a>], given: &Given<'a>, place: &mut Place<'a>) {
    let (unread, Place { ground, tenancy }) = (given.unread, place);
    let by_name: HashMap<_, _> =
        cases.iter().enumerate().map(|(index, case)| (case.claim.key(), index)).collect();
    let (mut seats, mut closed) = (Vec::new(), Vec::new());
    for (address, object) in given.records {
        let record = &object.spec;
        let held = in_force(*address, record, unread, ground);
        let mut members = Vec::new();
        for consumer in &record.consumers {
            let index = by_name.get(&key_of(consumer));
            match index.and_then(|index| Some((*index, cases.get_mut(*index)?))) {
                Some((index, case)) => {
                    case.recorded = true;
                    members.push(Member::Case(index, consumer));
                }
                None if unread.may_hide_consumer(consumer) => members.push(Member::Unread(consumer)),
                None => {}
            }
        }
        let Some(held) = held else { continue };
        if members.is_empty() {
            if let Some(retained) = Retained::from_now(*address, object, given.now, ground) {
                tenancy.retain(*address, retained);
            }
            continue;
        }
        let is_closed = members.iter().any(|member| matches!(member, Member::Unread(_)));
        for member in &members {
            let Member::Case(index, consumer) = member else { continue };
            let Some(case) = cases.get_mut(*index).filter(|case| !case.holds(*address)) else { continue };
            if is_closed {
                case.firm.push(Held { protected: true, ..held });
                continue;
            }
            match right(case.claim, held, ground, unread) {
                Some(Right::Firm) => case.firm.push(held),
                Some(Right::UntilMoved) => case.leaving.push(held),
                None => continue,
            }
            seats.push((held, !unchanged(case.claim, consumer, record), *index));
        }
        if is_closed {
            closed.push((held, record, members));
        }
    }
    for case in cases.iter_mut() {
        choose(case);
    }
    for (held, record, members) in closed {
        let tenants = members.into_iter().filter_map(|member| match member {
            Member::Unread(consumer) => Some(Tenant::Unread(consumer)),
            Member::Case(index, _) => {
                let case = cases.get(index).filter(|case| case.holds(held.address))?;
                Some(Tenant::Claimant(case.claim))
            }
        });
        tenancy.close(held.address, held.pool, record.sharing_key.as_deref(), tenants.collect());
    }
    // Where sharers no longer fit together, those whose edit did it lose: first come the unchanged ones. Equals keep
    // the record's order, the oldest first.
    seats.sort_by_key(|(held, changed, _)| (held.address, *changed));
    for (held, _, index) in seats {
        let Some(case) = cases.get_mut(index) else { continue };
        if case.holds(held.address) && tenancy.seat(held.address, held.pool, case.claim).is_err() {
            case.drop(held.address);
        }
    }
}

/// Gives addresses that were kept back to those they were kept for, if they still want them. The others stay kept.
pub(super) fn give_back<'a>(cases: &mut [Case<'a>], given: &Given<'a>, place: &mut Place<'a>) {
    let kept = retained::still(given.retained, given.now, &place.ground);
    if kept.is_empty() {
        return;
    }
    let mut waiting: HashMap<_, &mut Case<'a>> = cases
        .iter_mut()
        .filter(|case| case.claim.standing == Standing::Open)
        .map(|case| (case.claim.key(), case))
        .collect();
    for (address, retained) in kept {
        let held = Held { address, pool: retained.pool, protected: false };
        let mut is_back = false;
        for consumer in retained.consumers {
            let Some(case) = waiting.get_mut(&key_of(consumer)) else { continue };
            let wants = right(case.claim, held, &place.ground, given.unread) == Some(Right::Firm);
            // Half of a pair may be back already, if the controller died in between.
            let is_of_one_pool = case.firm.iter().all(|other| other.pool == held.pool);
            let fits = wants && is_of_one_pool && case.has_room_for(address);
            if fits && place.tenancy.seat(address, held.pool, case.claim).is_ok() {
                case.firm.push(held);
                is_back = true;
            }
        }
        if !is_back {
            place.tenancy.retain(address, retained);
        }
    }
}

/// Takes over addresses that consumers show and nobody recorded, as after a loss of the records. What lies in no valid
/// pool that the consumer may use was written by somebody else and is marked as foreign.
pub(super) fn adopt<'a>(cases: &mut [Case<'a>], given: &Given<'a>, place: &mut Place<'a>) {
    for case in cases.iter_mut().filter(|case| !case.recorded && case.claim.standing == Standing::Open) {
        let claim = case.claim;
        for address in claim.shown {
            let pool = place.ground.pool_of(*address).filter(|pool| {
                pool.accepting.is_ok() && is_admitted(claim, pool, &place.ground, given.unread)
            });
            let Some(pool) = pool else {
                // Nobody but us writes the status of a FloatingIP.
                case.foreign = claim.kind == ConsumerKind::Service;
                continue;
            };
            let held = Held { address: *address, pool: &pool.name, protected: false };
            let welcome = pool.contains(*address)
                && right(claim, held, &place.ground, given.unread) == Some(Right::Firm)
                && case.has_room_for(*address);
            if welcome && place.tenancy.seat(*address, held.pool, claim).is_ok() {
                case.firm.push(held);
            }
        }
    }
}

/// Whether the claim may draw from the pool. Of a namespace that cannot be read nobody knows, and nothing is taken away
/// for that.
fn is_admitted(claim: &Claim<'_>, pool: &Pool, ground: &Ground<'_>, unread: &Unread) -> bool {
    let namespace = &claim.consumer.namespace;
    if !claim.is_held_as_allowed_by(pool) {
        return false;
    }
    ground.admits(pool, namespace, claim.labels)
        || (!ground.knows_namespace(namespace) && unread.may_hide_namespace(namespace))
}

enum Member<'a> {
    Case(usize, &'a Consumer),
    Unread(&'a Consumer),
}

/// Whether the configuration still has a place for a recorded address. Only a valid configuration takes it away: not a
/// pool that is refused, and not one that may stand in a document that could not be read.
fn in_force<'a>(
    address: IpAddr,
    record: &'a VirtualIPSpec,
    unread: &Unread,
    ground: &Ground<'a>,
) -> Option<Held<'a>> {
    if let Some(pool) = ground.pool_of(address) {
        let accepting = pool.accepting.is_ok();
        if pool.contains(address) || !accepting {
            return Some(Held { address, pool: &pool.name, protected: !accepting });
        }
        return None;
    }
    let kept = match ground.named(&record.pool) {
        Some(pool) => pool.accepting.is_err(),
        None => unread.may_hide_pool(&record.pool),
    };
    kept.then_some(Held { address, pool: &record.pool, protected: true })
}

/// What the claim's own wishes leave of a record.
fn right(claim: &Claim<'_>, held: Held<'_>, ground: &Ground<'_>, unread: &Unread) -> Option<Right> {
    if claim.standing != Standing::Open {
        return Some(Right::Firm);
    }
    let pool = ground.named(held.pool).filter(|_| !held.protected);
    if pool.is_some_and(|pool| !is_admitted(claim, pool, ground, unread)) {
        return None;
    }
    if !claim.families.admits(Family::of(held.address)) {
        return None;
    }
    let stays = match claim.request {
        Request::Any => true,
        Request::Named { addresses, .. } => addresses.contains(held.address),
        // A pool that does not exist or serves others is no place to move to.
        Request::Pool(wanted) => {
            let to = ground.named(wanted).filter(|pool| is_admitted(claim, pool, ground, unread));
            held.pool == wanted || to.is_none()
        }
    };
    Some(if stays { Right::Firm } else { Right::UntilMoved })
}

/// Whether a sharer is as it was when the record was written.
fn unchanged(claim: &Claim<'_>, consumer: &Consumer, record: &VirtualIPSpec) -> bool {
    claim.sharing.as_ref().map(|sharing| sharing.key) == record.sharing_key.as_deref()
        && claim.backends == consumer.backends
        && claim
            .ports
            .iter()
            .map(|(protocol, port)| (protocol.as_str(), *port))
            .eq(consumer.ports.iter().map(|port| (port.protocol.as_str(), port.port)))
}

/// One address a family, and no more than the families allow. The records of a move that was cut short hold more; then
/// what is shown counts before what is not.
fn choose(case: &mut Case<'_>) {
    let (shown, families) = (case.claim.shown, case.claim.families);
    for list in [&mut case.firm, &mut case.leaving] {
        list.sort_by_key(|held| {
            (Family::of(held.address), Reverse(shown.contains(&held.address)), held.address)
        });
        list.dedup_by_key(|held| Family::of(held.address));
    }
    if case.claim.standing != Standing::Open {
        return;
    }
    if families == Families::Both && case.firm.len() < case.leaving.len() {
        // Half of what it asks for is worth less than all of what it has.
        case.firm.clear();
    }
    case.firm.truncate(families.most());
    let firm = &case.firm;
    case.leaving
        .retain(|held| firm.iter().all(|other| Family::of(other.address) != Family::of(held.address)));
    case.leaving.truncate(families.most().saturating_sub(firm.len()));
}
