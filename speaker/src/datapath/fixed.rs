// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The chains that stay as they are while Services come and go.

use super::mode::Mode;
use super::ruleset::Family;

/// A chain that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FixedChain {
    pub(crate) name: &'static str,
    /// The hook, for a base chain.
    pub(crate) hook: Option<&'static str>,
    pub(crate) rules: Vec<String>,
}

/// The chains that every state of the table has, those that others jump to first. Where kube-proxy translates, ours do so
/// for FloatingIPs alone, and pings are left to it; what reaches the guard was translated by nobody.
///
/// Ours come 5 before the usual priorities: two tables' translations at one hook do not chain, the first wins,
/// and the order of registration must not decide who that is.
///
/// The guard refuses before routing, not in the forward hook: the kernel sends an ICMP redirect for a packet that would
/// leave by the interface it came from (`ip_forward()`), and its rate limit then eats the "port unreachable".
/// An address that is bound on this machine is left to who listens there; packets to an address that lives elsewhere
/// are dropped if they would leave by the interface they came from, while those of this node's pods may go there.
pub(crate) fn fixed_chains(mode: Mode) -> Vec<FixedChain> {
    let mut chains = guard();
    chains.extend(translation(mode));
    chains
}

fn translation(mode: Mode) -> Vec<FixedChain> {
    let per_family = |rule: &dyn Fn(Family) -> String| Family::BOTH.map(rule).to_vec();
    let translate = per_family(&|family| {
        format!("{} daddr . meta l4proto . th dport vmap @ports{}", family.header(), family.digit())
    });
    let ping = per_family(&|family| {
        let (header, digit) = (family.header(), family.digit());
        format!("{header} daddr @candidates{digit} {} redirect", family.echo_request())
    });
    let masquerade = per_family(&|family| {
        let (header, digit) = (family.header(), family.digit());
        format!(
            "ct status dnat ct original {header} daddr . meta l4proto . {header} daddr . th dport \
             @masquerade{digit} masquerade fully-random"
        )
    });
    let hairpin = per_family(&|family| {
        let (header, digit) = (family.header(), family.digit());
        format!("ct status dnat {header} saddr . {header} daddr @hairpin{digit} masquerade fully-random")
    });
    vec![
        base(
            "prerouting",
            "type nat hook prerouting priority dstnat - 5; policy accept;",
            match mode {
                Mode::NFTables => [translate.clone(), ping].concat(),
                Mode::KubeProxy => translate.clone(),
            },
        ),
        base("output", "type nat hook output priority -105; policy accept;", translate),
        base(
            "postrouting",
            "type nat hook postrouting priority srcnat - 5; policy accept;",
            [masquerade, hairpin].concat(),
        ),
    ]
}

fn guard() -> Vec<FixedChain> {
    let guard = Family::BOTH
        .into_iter()
        .flat_map(|family| {
            let (header, digit) = (family.header(), family.digit());
            [
                format!("{header} daddr @candidates{digit} fib daddr type != local goto refuse"),
                format!("{header} daddr @elsewhere{digit} fib daddr . iif oif exists drop"),
            ]
        })
        .collect();
    vec![
        FixedChain {
            name: "refuse",
            hook: None,
            rules: vec![
                // Out of window, so not translated although its connection is: a reset would kill that one.
                "ct state invalid drop".to_owned(),
                "meta l4proto tcp reject with tcp reset".to_owned(),
                "reject".to_owned(),
            ],
        },
        base("guard", "type filter hook prerouting priority filter - 5; policy accept;", guard),
    ]
}

fn base(name: &'static str, hook: &'static str, rules: Vec<String>) -> FixedChain {
    FixedChain { name, hook: Some(hook), rules }
}
