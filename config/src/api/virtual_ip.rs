// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! VirtualIP: one address in use. Written by the controller only, named after the address.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::AddressMode;
use crate::condition::{self, REACHABLE, READY};
use crate::{ObjectRef, ServiceName};

/// The finalizer of a VirtualIP that is in use: whoever deletes the object takes nothing away.
pub const IN_USE: &str = "ferrolb.io/in-use";

/// One address in use: the durable record of an allocation, and the lock on the address, since its name is the
/// address.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "ferrolb.io",
    version = "v1beta1",
    kind = "VirtualIP",
    plural = "virtualips",
    shortname = "vip",
    category = "ferrolb",
    status = "VirtualIPStatus",
    validation = Rule::new(
        "!isIP(self.spec.address) || (ip(self.spec.address).family() == 4 ? self.metadata.name == self.spec.address : self.metadata.name.matches('^(0|[1-9a-f][0-9a-f]{0,3})(-(0|[1-9a-f][0-9a-f]{0,3})){7}$') && ip(self.metadata.name.replace('-', ':')) == ip(self.spec.address))"
    )
    .message("the name is the address: IPv6 as eight groups without leading zeros, with dashes for colons"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Pool","type":"string","jsonPath":".spec.pool"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.consumers[0].namespace"}"#,
    printcolumn = r#"{"name":"Consumer","type":"string","jsonPath":".spec.consumers[0].name"}"#,
    printcolumn = r#"{"name":"Node","type":"string","jsonPath":".status.layer2[0].node"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.layer2[0].since"}"#,
    printcolumn = r#"{"name":"Released","type":"date","jsonPath":".spec.releasedAt"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Reachable","type":"string","jsonPath":".status.conditions[?(@.type==\"Reachable\")].status","priority":1}"#,
    printcolumn = r#"{"name":"Cause","type":"string","jsonPath":".status.layer2[0].cause","priority":1}"#,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualIPSpec {
    /// The address in its canonical text form (RFC 5952 for IPv6).
    #[schemars(length(min = 1, max = 45))]
    #[x_kube(validation = Rule::new("isIP(self) && ip.isCanonical(self)").message("an IP address in its canonical form"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("another address is another VirtualIP"))]
    pub address: String,
    /// The pool that the address was drawn from.
    #[schemars(length(min = 1, max = 253))]
    pub pool: String,
    /// Who uses the address, the oldest first.
    #[schemars(length(max = 256))]
    pub consumers: Vec<Consumer>,
    /// Consumers with this key may share the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub sharing_key: Option<String>,
    /// What is elected together: addresses with equal groups are carried by one node. Default: the address itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 384))]
    pub group: Option<String>,
    /// How the node that carries the address holds it.
    #[serde(default)]
    pub mode: AddressMode,
    /// When the last consumer gave the address up. From then on nobody announces it; the pool's `retention` keeps it for
    /// the consumers named here, who were the last. Unset: the address is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
}

/// One user of an address. Bound by kind, namespace and name; the uid is a hint (a cluster restore changes it).
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consumer {
    /// What kind of object it is.
    pub kind: ConsumerKind,
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid when the address was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub uid: Option<String>,
    /// The ports that it uses on the address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub ports: Vec<ConsumerPort>,
    /// Under `externalTrafficPolicy: Local` a digest of the pods behind it, which sharers must have in common; unset
    /// when any node can serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub backends: Option<String>,
    /// What it has the address for; of Services only.
    #[serde(default, skip_serializing_if = "Purpose::is_load_balancer")]
    pub purpose: Purpose,
}

/// Names one consumer of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerName {
    /// What kind of object it is.
    pub kind: ConsumerKind,
    /// Its namespace and name.
    pub name: ServiceName,
}

impl ConsumerName {
    /// The consumer as an object.
    pub fn object(&self) -> ObjectRef {
        ObjectRef::namespaced(self.kind.as_str(), &self.name)
    }
}

/// What a Service has an address for: where it shows it.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Purpose {
    /// The Service is of type LoadBalancer and shows the address in `status.loadBalancer`.
    #[default]
    LoadBalancer,
    /// The Service asks for external addresses by annotation and shows the address in `spec.externalIPs`.
    ExternalIP,
}

impl Purpose {
    fn is_load_balancer(&self) -> bool {
        *self == Self::LoadBalancer
    }
}

/// The kinds of object that an address can be given to.
#[derive(
    Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum ConsumerKind {
    /// A core/v1 Service.
    Service,
    /// A FloatingIP.
    FloatingIP,
}

impl ConsumerKind {
    /// The kind's name, as `kind:` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::FloatingIP => "FloatingIP",
        }
    }
}

impl Consumer {
    /// Its namespace and name.
    pub fn object_name(&self) -> ServiceName {
        ServiceName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Its kind, namespace and name.
    pub fn identity(&self) -> ConsumerName {
        ConsumerName { kind: self.kind, name: self.object_name() }
    }

    /// Its namespace and name, if it is a Service.
    pub fn service(&self) -> Option<ServiceName> {
        (self.kind == ConsumerKind::Service).then(|| self.object_name())
    }
}

/// A port that a consumer uses on an address.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerPort {
    /// `TCP`, `UDP` or `SCTP`.
    #[schemars(length(min = 1, max = 8))]
    pub protocol: String,
    /// 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// What is observed about an address.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualIPStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: some node answers for the address. Not there before one did for the first time. `Reachable`: a node that does
    /// not carry it is answered when it asks for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Who carries the address, one entry a segment; each is written by the owner.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["segment"]))]
    pub layer2: Vec<Layer2Owner>,
}

impl VirtualIP {
    /// What the nodes of the segment that asked for the address found: the condition `Reachable`.
    #[must_use]
    pub fn reachable(&self) -> Option<&Condition> {
        condition::find(&self.status.as_ref()?.conditions, REACHABLE)
    }
}

impl VirtualIPStatus {
    /// Brings `Ready` in line with the entries: of an object of that generation, by somebody who looks at it `now`.
    pub fn judge(&mut self, generation: Option<i64>, now: Time) {
        let newest = self.layer2.iter().max_by(|one, other| one.since.0.cmp(&other.since.0));
        let (status, reason, message, since) = match newest {
            Some(owner) => {
                ("True", "Answering", format!("{} answers for it", owner.node), owner.since.clone())
            }
            None => ("False", "NobodyAnswers", "no node answers for it".to_owned(), now),
        };
        self.observed_generation = generation;
        let ready = Condition {
            type_: READY.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: since,
            observed_generation: generation,
        };
        condition::set(&mut self.conditions, ready);
    }
}

/// The node that answers for an address on one segment.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Layer2Owner {
    /// The segment, named by the on-link prefix that its nodes share, `198.51.100.0/24`: their interfaces may be called
    /// differently. The interface's name where it has no prefix.
    pub segment: String,
    /// The interface by which the owner is on the segment.
    #[serde(default)]
    pub interface: String,
    /// The owner's node name.
    pub node: String,
    /// The claim's term: of two entries for one segment the higher term is the newer one.
    pub term: u64,
    /// When the owner claimed the address.
    pub since: Time,
    /// Why the owner claimed it, in words for people: `silence of n1`, `handed over by n2`.
    pub cause: String,
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn owner(segment: &str, node: &str, since: i64) -> Layer2Owner {
        let (segment, interface, node) = (segment.to_owned(), String::new(), node.to_owned());
        Layer2Owner { segment, interface, node, term: 1, since: at(since), cause: String::new() }
    }

    #[test]
    fn an_address_is_ready_while_a_node_answers_on_some_segment() {
        let layer2 = vec![owner("192.0.2.0/24", "n2", 5), owner("198.51.100.0/24", "n1", 3)];
        let mut status = VirtualIPStatus { layer2, ..VirtualIPStatus::default() };
        let mut judged = |keep: usize| {
            status.layer2.truncate(keep);
            status.judge(Some(7), at(9));
            let [ready] = status.conditions.as_slice() else { panic!("{status:?}") };
            assert_eq!((status.observed_generation, ready.observed_generation), (Some(7), Some(7)));
            (ready.status.clone(), ready.message.clone(), ready.last_transition_time.clone())
        };
        assert_eq!(judged(2), ("True".to_owned(), "n2 answers for it".to_owned(), at(5)));
        assert_eq!(judged(0), ("False".to_owned(), "no node answers for it".to_owned(), at(9)));
    }
}
