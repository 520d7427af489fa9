// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Objects whose status says whether they are used as they stand, and nothing else.

use std::sync::Arc;

use ferrolb_config::Objects;
use ferrolb_config::api::{BFDProfile, BGPAdvertisement, BGPPeer, Community, L2Advertisement};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

macro_rules! judged {
    ($($kind:ident, $resource:literal, $objects:ident);+ $(;)?) => {
        /// A kind whose objects are judged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Judged {
            $(#[doc = concat!("`", stringify!($kind), "`.")] $kind,)+
        }

        /// An object with the status that says whether it is used.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Verdict {
            $(#[doc = concat!("On a ", stringify!($kind), ".")] $kind(Box<$kind>),)+
        }

        impl Judged {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The kind's name.
            pub fn kind(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }

            /// The resource's plural name.
            pub fn resource(self) -> &'static str {
                match self {
                    $(Self::$kind => $resource,)+
                }
            }

            /// Whether `objects` hold the one of this name.
            pub fn is_in(self, objects: &Objects, name: &str) -> bool {
                match self {
                    $(Self::$kind => objects.$objects.contains_key(name),)+
                }
            }
        }

        impl Verdict {
            /// The kind of the object.
            pub fn judged(&self) -> Judged {
                match self {
                    $(Self::$kind(_) => Judged::$kind,)+
                }
            }

            /// The object's metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => &object.metadata,)+
                }
            }

            /// The conditions that are to be written.
            pub fn conditions(&self) -> &[Condition] {
                match self {
                    $(Self::$kind(object) => {
                        object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
                    })+
                }
            }

            /// The conditions that the object has in `objects`.
            pub fn conditions_in<'a>(&self, objects: &'a Objects) -> &'a [Condition] {
                let name = self.metadata().name.as_deref().unwrap_or_default();
                match self {
                    $(Self::$kind(_) => {
                        let status = objects.$objects.get(name).and_then(|object| object.status.as_ref());
                        status.map(|status| status.conditions.as_slice()).unwrap_or_default()
                    })+
                }
            }

            /// Whether `objects` show it; what is gone shows nothing and counts as shown.
            pub fn is_visible_in(&self, objects: &Objects) -> bool {
                let name = self.metadata().name.as_deref().unwrap_or_default();
                match self {
                    $(Self::$kind(written) => {
                        objects.$objects.get(name).is_none_or(|object| object.status == written.status)
                    })+
                }
            }

            /// Enters it into `objects`.
            pub fn enter(self, objects: &mut Objects) {
                let name = self.metadata().name.clone().unwrap_or_default();
                match self {
                    $(Self::$kind(written) => {
                        if let Some(object) = objects.$objects.get_mut(&name) {
                            Arc::make_mut(object).status = written.status;
                        }
                    })+
                }
            }
        }
    };
}

judged! {
    L2Advertisement, "l2advertisements", l2_advertisements;
    BGPPeer, "bgppeers", bgp_peers;
    BGPAdvertisement, "bgpadvertisements", bgp_advertisements;
    BFDProfile, "bfdprofiles", bfd_profiles;
    Community, "communities", communities;
}
