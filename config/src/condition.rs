// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Conditions: their types, and how a list of them is brought up to date.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether the object is used as it stands. Every kind of ours has it.
pub const READY: &str = "Ready";

/// On a VirtualIP: whether a node of the segment that does not carry it is answered when it asks as a client does.
pub const REACHABLE: &str = "Reachable";

/// On a BGPPeer: whether every node that is to speak to the router has a session with it.
pub const ESTABLISHED: &str = "Established";

/// On a Service: whether it has the addresses that it asks for.
pub const ADDRESSES_ASSIGNED: &str = "ferrolb.io/AddressesAssigned";

/// The condition of that type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Puts `new` in the place of the condition of its type. While the status stays the same, the time of the last
/// transition does too, so that an unchanged verdict is an unchanged list.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|old| old.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn ready(status: &str, reason: &str, second: i64) -> Condition {
        Condition {
            last_transition_time: Time(Timestamp::from_second(second).unwrap()),
            message: String::new(),
            observed_generation: None,
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: READY.to_owned(),
        }
    }

    #[test]
    fn the_time_of_a_condition_moves_with_its_status_only() {
        let mut conditions = Vec::new();
        set(&mut conditions, ready("False", "InvalidRange", 1));
        set(&mut conditions, ready("False", "OverlappingPool", 2));
        assert_eq!(conditions, [ready("False", "OverlappingPool", 1)]);
        set(&mut conditions, ready("True", "Accepted", 3));
        assert_eq!(conditions, [ready("True", "Accepted", 3)]);
    }
}
