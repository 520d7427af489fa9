// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Every "no" that users see. Conditions, events, metrics, `status` and `validate` all speak these words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::ObjectRef;

/// Why something is not done. The text form is the CamelCase `reason` of Kubernetes conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// A document that is not YAML, or not an object of its kind.
    MalformedDocument,
    /// A field that the kind does not have.
    UnknownField,
    /// The same kind and name stands in two documents.
    DuplicateObject,
    /// A range that cannot be read, is upside down or mixes families.
    InvalidRange,
    /// A range that overlaps another pool's accepted range.
    OverlappingPool,
    /// A CIDR with host bits set; the range that it really covers is used.
    HostBitsSet,
    /// A selector that cannot be read.
    InvalidSelector,
    /// A field's value is outside what the API allows.
    InvalidValue,
    /// A pool, Service, node or other object is named that does not exist.
    NotFound,
    /// The address asked for is in no pool that this Service may use.
    AddressNotInPool,
    /// The address asked for is in use.
    AddressInUse,
    /// No pool has a free address left for this Service.
    PoolExhausted,
    /// No pool offers the families that the Service requires.
    NoSuchFamily,
    /// The pool is refused, and gives no new address until it is mended.
    PoolNotReady,
    /// The pool serves other namespaces or Services.
    PoolNotAllowed,
    /// The pool does not let nodes put its addresses on their interfaces.
    BoundNotAllowed,
    /// The namespace holds as many addresses of the pool as one namespace may.
    QuotaExceeded,
    /// The address is kept for the Service that had it last.
    AddressRetained,
    /// Two wishes of one object contradict each other.
    ContradictoryRequest,
    /// An annotation whose name is out of date; it works.
    DeprecatedAnnotation,
    /// `spec.externalIPs` holds entries that FerroLB did not write; the list is left alone.
    ExternalIPsNotOurs,
    /// The objects of a kind cannot be read at the moment, so nothing is decided that depends on all of them.
    KindUnreadable,
    /// The object asks for something that FerroLB does not do yet.
    NotYetSupported,
    /// The Service's status shows an address that FerroLB did not give; it is left alone.
    ForeignAddress,
    /// The Service's class is another controller's.
    OtherLoadBalancerClass,
    /// No advertisement covers the address.
    NotAdvertised,
    /// The Secret with the password of a BGP session is not there, or holds none.
    PasswordNotUsable,
    /// There is no session with a router that this node is to speak to.
    RouterNotReached,
    /// A session cannot carry some routes.
    RouteNotSendable,
    /// BFD cannot watch the path to a router.
    PathNotWatched,
    /// The prefixes that an advertisement asks for are wider than the pool; narrower ones are announced.
    AggregateTooWide,
    /// The node matches no nodeSelector of the advertisements.
    NodeNotSelected,
    /// The node is labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    NodeExcluded,
    /// The node is being emptied, or was (`ferrolb drain`).
    NodeDrained,
    /// A taint of the node says that it is off, or about to be removed.
    NodeOutOfService,
    /// The network of the node is not set up.
    NodeNetworkUnavailable,
    /// Nobody carries the address.
    NotCarried,
    /// No other node may carry the address.
    NoOtherNode,
    /// The node that the address was offered to did not take it in time.
    NotTaken,
    /// Another node than the one that was asked for took the address.
    TakenByAnother,
    /// Nothing was heard of the node's speaker for too long.
    SpeakerSilent,
    /// The Service has no endpoint that could answer.
    NoEndpoints,
    /// externalTrafficPolicy Local, and this node has no ready endpoint.
    NoLocalEndpoints,
    /// No interface of the node has an on-link prefix that holds the address.
    NoMatchingInterface,
    /// The advertisement names an interface that the node does not have.
    InterfaceNotFound,
    /// The data path is not in place: nft failed or is missing.
    DataPathNotReady,
    /// A health check of the FloatingIP does not pass on the node.
    HealthCheckFailed,
    /// The address cannot be put on an interface of the node.
    NotBindable,
    /// kube-proxy says that it is unwell.
    KubeProxyUnhealthy,
    /// Nobody answers where kube-proxy should say how it is.
    KubeProxySilent,
    /// What clients send to ports that no Service uses is not refused.
    Unguarded,
    /// The source of objects is out of reach; what was known last is followed.
    ConfigurationStale,
    /// Some kinds of objects could not be read yet, so nothing is decided.
    ConfigurationIncomplete,
    /// Forwarding is switched off in the kernel.
    ForwardingDisabled,
    /// Another rule set drops what we forward.
    ForwardDropped,
    /// Flows that began under other rules cannot be deleted from the kernel's connection table.
    StaleFlows,
    /// Nobody on the segment answers, so that the node cannot know whether it is cut off.
    NoProof,
    /// Another node of the segment asked for the address and was answered.
    Reachable,
    /// No other node of the segment has said yet whether it is answered when it asks for the address.
    NotWitnessed,
    /// The owner's hellos arrive, but nobody answers for the address: something between filters.
    NoResponder,
    /// The owner answers for the address, but a TCP port that it should serve says nothing.
    PortFiltered,
    /// Another node than the owner answers for the address.
    StaleBinding,
    /// A station outside the cluster answers for the address.
    ForeignStation,
    /// Virtual IPs are on an interface of a node whose kernel answers or asks with them, whoever carries them.
    ArpFlux,
    /// Hellos of some nodes come by unicast only: the network filters multicast.
    MulticastFiltered,
    /// Hellos of some nodes come past IP only: a firewall drops their port.
    HellosFiltered,
    /// So many nodes speak on a segment that each speaks less often.
    SegmentCrowded,
    /// The kernel answers ARP for addresses of other stations.
    ProxyArp,
    /// The kernel drops what comes from where the route back does not lead, on a node with several segments.
    StrictReversePath,
    /// The process lacks a capability.
    MissingCapability,
    /// The file of the hello keys gives none; those from before stay in force.
    HelloKeyRefused,
    /// The profile asked for needs more of the machine than it gives; the default one is followed.
    ProfileRefused,
    /// An object whose services cannot be brought together on one address.
    SharingConflict,
    /// A port's protocol that the data path cannot translate.
    UnsupportedProtocol,
    /// The API server does not know the kind: its CustomResourceDefinition is not installed.
    KindNotInstalled,
    /// The API server refuses what FerroLB asks of it: a right is missing.
    Forbidden,
    /// Somebody else keeps changing what FerroLB writes.
    Contended,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One refusal: which object, which field, why, and what the user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The object concerned; `None` when a document could not be read far enough to know.
    pub object: Option<ObjectRef>,
    /// Why.
    pub reason: Reason,
    /// Whether the object is refused (or only warned about, and used).
    pub severity: Severity,
    /// The field, as a path: `spec.addresses[1]`.
    pub field: Option<String>,
    /// What is wrong, in a sentence that names the value.
    pub message: String,
    /// What the user can do, in a sentence.
    pub remedy: Option<String>,
    /// Where it stands, for objects that come from files.
    pub location: Option<Location>,
}

impl Refusal {
    /// An error about `object`; `message` is a sentence that names the value.
    pub fn error(reason: Reason, object: ObjectRef, message: impl Into<String>) -> Self {
        Self {
            object: Some(object),
            reason,
            severity: Severity::Error,
            field: None,
            message: message.into(),
            remedy: None,
            location: None,
        }
    }

    /// A warning about `object`, which is used all the same.
    pub fn warning(reason: Reason, object: ObjectRef, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(reason, object, message) }
    }

    /// Names the field, as a path: `spec.addresses[1]`.
    #[must_use]
    pub fn field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Says what the user can do, in a sentence.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Refusal {
    /// One line: `web.yaml:7:5: AddressPool web, spec.addresses[0]: … . Write … . (InvalidRange)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        match (&self.object, &self.field) {
            (Some(object), Some(field)) => write!(f, "{object}, {field}: ")?,
            (Some(object), None) => write!(f, "{object}: ")?,
            (None, Some(field)) => write!(f, "{field}: ")?,
            (None, None) => {}
        }
        write!(f, "{}.", self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, " {remedy}")?;
        }
        write!(f, " ({})", self.reason)
    }
}

impl fmt::Display for Location {
    /// `file:line:column`, as far as they are known; editors and terminals jump there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// How bad a [`Refusal`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Used, but not as it may have been meant.
    Warning,
    /// Not used; the last accepted form, if any, stays in force.
    Error,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: std::path::PathBuf,
    /// 1-based line; 0 when unknown.
    pub line: u32,
    /// 1-based column; 0 when unknown.
    pub column: u32,
}
