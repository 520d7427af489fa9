// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What is wrong with the data path of this node, for conditions, events and metrics.

use std::fmt;

use ferrolb_config::reason::Reason;

/// Something that keeps, or may keep, traffic from flowing through this node. Its `Display` text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `nft` cannot be started.
    NftMissing(String),
    /// `nft` did not apply a transaction; the rules before it are still in force.
    NftFailed(String),
    /// The process may not change the tables.
    NotPermitted,
    /// The kernel does not forward packets of this family; the sysctl that says so.
    ForwardingOff {
        /// The sysctl's name, as `sysctl` wants it.
        sysctl: &'static str,
    },
    /// A chain of another table drops what it does not accept, and does not accept translated connections.
    ForwardPolicyDrop {
        /// The family of its table, as `nft` calls it.
        family: String,
        /// Its table.
        table: String,
        /// Its name.
        chain: String,
    },
    /// `conntrack` cannot be started.
    ConntrackMissing(String),
    /// `conntrack` could not delete entries.
    ConntrackFailed(String),
    /// kube-proxy says that it is unwell.
    KubeProxyUnhealthy(String),
    /// Nobody answers where kube-proxy should say how it is.
    KubeProxySilent(String),
    /// What nobody translates is not refused, because of this.
    Unguarded(Box<Condition>),
}

impl Condition {
    /// The word for it in conditions, events and metrics.
    pub fn reason(&self) -> Reason {
        match self {
            Condition::NftMissing(_) | Condition::NftFailed(_) => Reason::DataPathNotReady,
            Condition::NotPermitted => Reason::MissingCapability,
            Condition::ForwardingOff { .. } => Reason::ForwardingDisabled,
            Condition::ForwardPolicyDrop { .. } => Reason::ForwardDropped,
            Condition::ConntrackMissing(_) | Condition::ConntrackFailed(_) => Reason::StaleFlows,
            Condition::KubeProxyUnhealthy(_) => Reason::KubeProxyUnhealthy,
            Condition::KubeProxySilent(_) => Reason::KubeProxySilent,
            Condition::Unguarded(_) => Reason::Unguarded,
        }
    }

    /// The type of the node's condition that does not hold because of it.
    pub fn breaks(&self) -> &'static str {
        match self {
            Condition::KubeProxyUnhealthy(_) | Condition::KubeProxySilent(_) => "KubeProxyHealthy",
            Condition::Unguarded(_) => "Guarded",
            _ => "DataPathHealthy",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::NftMissing(why) => {
                write!(f, "the program nft cannot be started ({why}); install nftables")
            }
            Condition::NftFailed(why) => write!(f, "nft did not accept the rules: {why}"),
            Condition::NotPermitted => {
                f.write_str("changing nftables needs CAP_NET_ADMIN; run as root or grant the capability")
            }
            Condition::ForwardingOff { sysctl } => write!(
                f,
                "the kernel does not forward packets, so endpoints on other machines and in pods are out of \
                 reach; set it with: sysctl -w {sysctl}=1"
            ),
            Condition::ForwardPolicyDrop { family, table, chain } => write!(
                f,
                "chain {chain} of table {family} {table} drops forwarded packets unless it knows them; if it \
                 does not accept traffic to the endpoints, add: {}",
                remedy(family, table, chain)
            ),
            Condition::ConntrackMissing(why) => write!(
                f,
                "the program conntrack cannot be started ({why}), so UDP flows that began before their rule, or \
                 whose endpoint is gone, are stuck until they pause for 30 s; install conntrack"
            ),
            Condition::ConntrackFailed(why) => write!(f, "conntrack could not delete stale flows: {why}"),
            Condition::KubeProxyUnhealthy(why) => write!(
                f,
                "kube-proxy on this node is unwell, so that no address is carried here: {why}; look at its log"
            ),
            Condition::KubeProxySilent(why) => write!(
                f,
                "whether kube-proxy is well is not known ({why}); if the CNI plugin has taken its place, say \
                 --kube-proxy-healthz none"
            ),
            Condition::Unguarded(why) => write!(
                f,
                "what clients send to ports that no Service uses is not refused, and may go round between this node \
                 and a router: {why}"
            ),
        }
    }
}

fn remedy(family: &str, table: &str, chain: &str) -> String {
    if chain == "FORWARD" {
        // Owned by iptables, whose other users rewrite it with iptables; Docker leaves DOCKER-USER to people.
        let program = if family == "ip6" { "ip6tables" } else { "iptables" };
        format!(
            "{program} -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT (with Docker, into chain DOCKER-USER)"
        )
    } else {
        format!("nft insert rule {family} {table} {chain} ct status dnat accept")
    }
}
