// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Communities, and the names that users gave to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::api;
use crate::name::ObjectRef;
use crate::reason::{Reason, Refusal};

/// A community: a label on routes that routers act on. Ordered by its numbers, the standard ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Community {
    /// `65000:100` (RFC 1997).
    Standard(u16, u16),
    /// `large:65000:1:2` (RFC 8092).
    Large(u32, u32, u32),
}

/// A text that is no community.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a community")]
pub struct NotACommunity(String);

/// How a community is written.
const REMEDY: &str =
    "Write two numbers up to 65535 with a colon between, as 65000:100, or three numbers as large:65000:1:2.";

impl FromStr for Community {
    type Err = NotACommunity;

    fn from_str(text: &str) -> Result<Self, NotACommunity> {
        let wrong = || NotACommunity(text.to_owned());
        if let Some(large) = text.strip_prefix("large:") {
            let numbers: Result<Vec<u32>, _> = large.splitn(4, ':').map(str::parse).collect();
            return match numbers.as_deref() {
                Ok(&[global, one, two]) => Ok(Self::Large(global, one, two)),
                _ => Err(wrong()),
            };
        }
        let (high, low) = text.split_once(':').ok_or_else(wrong)?;
        match (high.parse(), low.parse()) {
            (Ok(high), Ok(low)) => Ok(Self::Standard(high, low)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(high, low) => write!(f, "{high}:{low}"),
            Self::Large(global, one, two) => write!(f, "large:{global}:{one}:{two}"),
        }
    }
}

/// The names for communities, of all Community objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<String, Community>);

impl Names {
    /// The community that `text` writes or names. `field` is where it stands in `object`.
    pub(super) fn resolve(
        &self,
        text: &str,
        object: &ObjectRef,
        field: &str,
    ) -> Result<Community, Box<Refusal>> {
        let refuse = |reason, message: String, remedy: String| {
            Box::new(Refusal::error(reason, object.clone(), message).field(field).remedy(remedy))
        };
        if let Some(community) = self.0.get(text) {
            return Ok(*community);
        }
        // A name holds no colon.
        if text.contains(':') {
            return text.parse().map_err(|error: NotACommunity| {
                refuse(Reason::InvalidValue, error.to_string(), REMEDY.to_owned())
            });
        }
        let known: Vec<&str> = self.0.keys().map(String::as_str).take(8).collect();
        let remedy = match known.as_slice() {
            [] => "Add a Community object that gives the name a value, or write the community itself."
                .to_owned(),
            known => {
                format!("Correct the name, or add it to a Community object; there are {}.", known.join(", "))
            }
        };
        Err(refuse(Reason::NotFound, format!("no Community object has the name \"{text}\""), remedy))
    }
}

pub(super) fn build(objects: &BTreeMap<String, Arc<api::Community>>, refused: &mut Vec<Refusal>) -> Names {
    let mut names: BTreeMap<String, (Community, &str)> = BTreeMap::new();
    for (object, community) in objects {
        let itself = ObjectRef::cluster("Community", object);
        let mut faults = Vec::new();
        let read = |spec: &api::CommunitySpec, faults: &mut Vec<Refusal>| {
            let mut found = Vec::new();
            for (index, named) in spec.communities.iter().enumerate() {
                match named.value.parse() {
                    Ok(value) => found.push((index, named.name.clone(), value)),
                    Err(error) => faults.push(
                        Refusal::error(
                            Reason::InvalidValue,
                            itself.clone(),
                            NotACommunity::to_string(&error),
                        )
                        .field(format!("spec.communities[{index}].value"))
                        .remedy(REMEDY),
                    ),
                }
            }
            found
        };
        let mut found = read(&community.spec, &mut faults);
        if !faults.is_empty() {
            // Names that others use do not vanish for a slip of the pen.
            let accepted = community.status.as_ref().and_then(|status| status.accepted.as_ref());
            let before = accepted.map(|spec| read(spec, &mut Vec::new())).unwrap_or_default();
            found.extend(before.into_iter().filter(|(_, name, _)| !is_among(name, &community.spec)));
        }
        for (index, name, value) in found {
            match names.entry(name) {
                Entry::Vacant(place) => drop(place.insert((value, object))),
                Entry::Occupied(first) => {
                    let message =
                        format!("Community {} has the name \"{}\" already", first.get().1, first.key());
                    let fault = Refusal::error(Reason::DuplicateObject, itself.clone(), message);
                    let fault = fault.field(format!("spec.communities[{index}].name"));
                    faults.push(fault.remedy("Choose another name; until then the first value is used."));
                }
            }
        }
        refused.extend(faults);
    }
    Names(names.into_iter().map(|(name, (value, _))| (name, value)).collect())
}

/// Whether `name` stands in `spec` with a value that can be read.
fn is_among(name: &str, spec: &api::CommunitySpec) -> bool {
    spec.communities.iter().any(|named| named.name == name && named.value.parse::<Community>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CommunitySpec, CommunityStatus, NamedCommunity};

    #[test]
    fn conf_057_conf_060_communities_are_read_and_what_is_none_is_refused() {
        for (text, wanted) in [
            ("65000:100", Some(Community::Standard(65_000, 100))),
            ("65535:65282", Some(Community::Standard(65_535, 65_282))),
            ("large:123:64512:1234", Some(Community::Large(123, 64_512, 1_234))),
            ("1234", None),
            ("99999999:1", None),
            ("1:99999999", None),
            ("larg:1:2:3", None),
            ("large:1:x:3", None),
            ("large:1:2", None),
            ("1:2:3", None),
        ] {
            let read: Result<Community, _> = text.parse();
            assert_eq!(read.as_ref().ok(), wanted.as_ref(), "{text}");
            assert!(read.is_err() || read.unwrap().to_string() == text);
        }
    }

    #[test]
    fn conf_061_standard_communities_come_before_large_ones_and_each_by_its_numbers() {
        let mut all =
            ["large:1:0:0", "10:0", "9:1", "large:1:0:0"].map(|text| text.parse::<Community>().unwrap());
        all.sort();
        assert_eq!(all.map(|one| one.to_string()), ["9:1", "10:0", "large:1:0:0", "large:1:0:0"]);
    }

    fn spec(pairs: &[(&str, &str)]) -> CommunitySpec {
        let named = |(name, value): &(&str, &str)| NamedCommunity {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        CommunitySpec { communities: pairs.iter().map(named).collect() }
    }

    fn names(objects: &[(&str, CommunitySpec, Option<CommunitySpec>)]) -> (Names, Vec<Refusal>) {
        let objects = objects.iter().map(|(name, spec, accepted)| {
            let mut object = api::Community::new(name, spec.clone());
            let status = CommunityStatus { accepted: accepted.clone(), ..CommunityStatus::default() };
            object.status = Some(status);
            ((*name).to_owned(), Arc::new(object))
        });
        let mut refused = Vec::new();
        (build(&objects.collect(), &mut refused), refused)
    }

    fn resolved(names: &Names, text: &str) -> Result<String, Reason> {
        let object = ObjectRef::cluster("BGPAdvertisement", "a");
        let resolved = names.resolve(text, &object, "spec.communities[0]");
        resolved.map(|community| community.to_string()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn conf_058_a_name_stands_for_its_value_and_an_unknown_one_is_not_found() {
        let (names, refused) = names(&[("a", spec(&[("backup", "65000:1"), ("far", "large:1:2:3")]), None)]);
        assert_eq!(refused, []);
        assert_eq!(resolved(&names, "backup"), Ok("65000:1".to_owned()));
        assert_eq!(resolved(&names, "far"), Ok("large:1:2:3".to_owned()));
        assert_eq!(resolved(&names, "65000:7"), Ok("65000:7".to_owned()));
        assert_eq!(resolved(&names, "near"), Err(Reason::NotFound));
        assert_eq!(resolved(&names, "65536:7"), Err(Reason::InvalidValue));
    }

    #[test]
    fn conf_059_a_name_twice_keeps_its_first_value() {
        let (names, refused) = names(&[
            ("a", spec(&[("one", "1:1"), ("one", "1:2")]), None),
            ("b", spec(&[("one", "1:3"), ("two", "2:2")]), None),
        ]);
        let fields: Vec<_> = refused.iter().map(|refusal| refusal.field.as_deref().unwrap()).collect();
        assert_eq!(fields, ["spec.communities[1].name", "spec.communities[0].name"]);
        assert_eq!(resolved(&names, "one"), Ok("1:1".to_owned()));
        assert_eq!(resolved(&names, "two"), Ok("2:2".to_owned()));
    }

    #[test]
    fn a_value_that_cannot_be_read_leaves_the_name_what_it_was() {
        let accepted = spec(&[("one", "1:1"), ("two", "2:2")]);
        let (names, refused) = names(&[("a", spec(&[("one", "1:x"), ("two", "2:3")]), Some(accepted))]);
        assert_eq!(refused[0].field.as_deref(), Some("spec.communities[0].value"));
        assert_eq!(resolved(&names, "one"), Ok("1:1".to_owned()));
        assert_eq!(resolved(&names, "two"), Ok("2:3".to_owned()));
    }
}
