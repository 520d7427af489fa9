// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The wish that an address moves: what `ferrolb move` writes and speakers read.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::api::{Layer2Owner, annotation};

/// Longer texts are no request: a name has at most 253 characters, and an address is on a few segments.
const LONGEST: usize = 8192;

/// The wish that the present owners of an address hand it over, as the annotation [`annotation::MOVE`] of its VirtualIP.
///
/// It speaks of claims, not of nodes: a claim ends with the move and its term never comes back. So a request is carried out
/// at most once, and a restart or a fail-over makes it void, however long the annotation stays.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveRequest {
    /// The node that it should go to; `None`: the best other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Void from then on, by the clock of the node that owns it.
    pub until: Timestamp,
    /// The claims that should end, one a segment.
    pub from: Vec<ClaimRef>,
}

/// One claim to an address.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRef {
    /// Who claimed.
    pub node: String,
    /// The claim's term.
    pub term: u64,
}

impl From<&Layer2Owner> for ClaimRef {
    fn from(owner: &Layer2Owner) -> Self {
        Self { node: owner.node.clone(), term: owner.term }
    }
}

impl MoveRequest {
    /// The request that stands on a VirtualIP, if one does.
    ///
    /// # Errors
    /// What stands there is no request; the text says why.
    pub fn of(metadata: &ObjectMeta) -> Option<Result<Self, String>> {
        metadata.annotations.as_ref()?.get(annotation::MOVE).map(|text| Self::read(text))
    }

    /// Reads the annotation's text.
    ///
    /// # Errors
    /// It is no request; the text says why.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a request has at most {LONGEST} characters, this one {}", text.len()));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The annotation's text: JSON.
    ///
    /// # Errors
    /// None that is known: every request has a JSON form.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Whether the claim of `node` with this `term` should end, at the time `now`.
    pub fn ends(&self, node: &str, term: u64, now: Timestamp) -> bool {
        now < self.until && self.from.iter().any(|claim| claim.node == node && claim.term == term)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn request() -> MoveRequest {
        MoveRequest {
            to: Some("n2".to_owned()),
            until: Timestamp::from_second(1_000).unwrap(),
            from: vec![ClaimRef { node: "n1".to_owned(), term: 7 }],
        }
    }

    #[test]
    fn a_request_ends_the_claim_that_it_names_and_no_later_one() {
        let (before, after) = (Timestamp::from_second(999).unwrap(), Timestamp::from_second(1_000).unwrap());
        assert!(request().ends("n1", 7, before));
        for (node, term, now) in [("n1", 7, after), ("n1", 8, before), ("n1", 6, before), ("n2", 7, before)] {
            assert!(!request().ends(node, term, now), "{node} {term} {now}");
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_nonsense_is_named() {
        let text = request().to_text().unwrap();
        assert_eq!(text, r#"{"to":"n2","until":"1970-01-01T00:16:40Z","from":[{"node":"n1","term":7}]}"#);
        let annotated = |text: &str| ObjectMeta {
            annotations: Some(BTreeMap::from([(annotation::MOVE.to_owned(), text.to_owned())])),
            ..ObjectMeta::default()
        };
        assert_eq!(MoveRequest::of(&annotated(&text)), Some(Ok(request())));
        assert_eq!(MoveRequest::of(&ObjectMeta::default()), None);
        for nonsense in ["", "n2", r#"{"to":"n2"}"#, &" ".repeat(9000)] {
            assert!(MoveRequest::of(&annotated(nonsense)).unwrap().is_err(), "{nonsense}");
        }
    }
}
