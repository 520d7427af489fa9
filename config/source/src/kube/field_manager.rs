// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The names by which managed fields tell who wrote what (server-side apply).

/// The controller's name in managed fields: whoever wrote a Service's status is told apart by it.
pub const FIELD_MANAGER: &str = "ferrolb-controller";
/// The speakers' name in managed fields; for the owner of an address, with the segment behind a slash.
pub(super) const SPEAKER_MANAGER: &str = "ferrolb-speaker";
/// The name in managed fields of people who ask for something by a command.
pub(super) const OPERATOR_MANAGER: &str = "ferrolb";
/// The name of a speaker that tells what it saw of another one's address, with the segment behind a slash: whoever is the
/// witness, the newest word replaces the last.
pub(super) const WITNESS_MANAGER: &str = "ferrolb-witness";
/// How many characters a field manager's name may have.
const LONGEST_MANAGER: usize = 128;

/// The field manager that speaks for a segment.
pub(super) fn of_segment(role: &str, segment: &str) -> String {
    format!("{role}/{segment}").chars().take(LONGEST_MANAGER).collect()
}
