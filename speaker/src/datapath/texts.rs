// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Tests: the texts that `nft` gets to see.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;

use super::fixed::fixed_chains;
use super::found::{FoundElement, Leftovers};
use super::mode::Mode;
use super::model::{Backends, Clients, DataPath, Frontend, Protocol, Role, Source};
use super::ruleset::{Container, Family, Kind, Ruleset, ruleset};
use super::transaction;

fn frontend(address: &str, protocol: Protocol, port: u16) -> Frontend {
    Frontend { address: address.parse().unwrap(), protocol, port: port.try_into().unwrap() }
}

fn backends(source: Source, endpoints: &[&str]) -> Backends {
    Backends {
        service: "default/web".to_owned(),
        source,
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
        affinity: false,
        clients: Clients::Anyone,
    }
}

fn with(ports: &[(Frontend, Backends)]) -> DataPath {
    DataPath {
        vips: ports.iter().map(|(frontend, _)| (frontend.address, Role::Candidate)).collect(),
        ports: ports.iter().map(|(port, backends)| (*port, Arc::new(backends.clone()))).collect(),
        ..DataPath::default()
    }
}

fn web(endpoints: &[&str]) -> Ruleset {
    ruleset(&with(&[(frontend("192.0.2.1", Protocol::Tcp, 80), backends(Source::Masqueraded, endpoints))]))
}

/// What a process that wrote `rules` left, or lets linger.
pub(super) fn left_by(rules: &Ruleset, expires: bool) -> Leftovers {
    let element = |target: &Option<String>| FoundElement { target: target.clone(), expires };
    Leftovers {
        chains: rules.chains.iter().map(|(name, chain)| (name.clone(), Some(chain.digest.clone()))).collect(),
        elements: rules
            .elements
            .iter()
            .map(|(container, elements)| {
                (*container, elements.iter().map(|(key, target)| (key.clone(), element(target))).collect())
            })
            .collect(),
        base_chains: fixed_chains(Mode::NFTables)
            .into_iter()
            .filter(|chain| chain.hook.is_some())
            .map(|chain| chain.name.to_owned())
            .collect(),
    }
}

/// The lines of a text that do not declare what every table has.
fn changes(text: &str) -> String {
    let declares = |line: &&str| {
        let own = ["port/", "element", "delete", "flush map", "flush set"];
        own.iter().any(|word| line.contains(word))
    };
    text.lines().filter(declares).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_text_declares_everything() {
    assert_snapshot!(transaction::take_over(Mode::NFTables, &Leftovers::default(), &Ruleset::default()), @r#"
    add table inet ferrolb
    add map inet ferrolb ports4 { type ipv4_addr . inet_proto . inet_service : verdict; flags timeout; }
    add map inet ferrolb ports6 { type ipv6_addr . inet_proto . inet_service : verdict; flags timeout; }
    add set inet ferrolb candidates4 { type ipv4_addr; flags timeout; }
    add set inet ferrolb candidates6 { type ipv6_addr; flags timeout; }
    add set inet ferrolb elsewhere4 { type ipv4_addr; flags timeout; }
    add set inet ferrolb elsewhere6 { type ipv6_addr; flags timeout; }
    add set inet ferrolb masquerade4 { type ipv4_addr . inet_proto . ipv4_addr . inet_service; flags timeout; }
    add set inet ferrolb masquerade6 { type ipv6_addr . inet_proto . ipv6_addr . inet_service; flags timeout; }
    add set inet ferrolb hairpin4 { type ipv4_addr . ipv4_addr; flags timeout; }
    add set inet ferrolb hairpin6 { type ipv6_addr . ipv6_addr; flags timeout; }
    add chain inet ferrolb refuse
    flush chain inet ferrolb refuse
    add rule inet ferrolb refuse ct state invalid drop
    add rule inet ferrolb refuse meta l4proto tcp reject with tcp reset
    add rule inet ferrolb refuse reject
    add chain inet ferrolb guard { type filter hook prerouting priority filter - 5; policy accept; }
    flush chain inet ferrolb guard
    add rule inet ferrolb guard ip daddr @candidates4 fib daddr type != local goto refuse
    add rule inet ferrolb guard ip daddr @elsewhere4 fib daddr . iif oif exists drop
    add rule inet ferrolb guard ip6 daddr @candidates6 fib daddr type != local goto refuse
    add rule inet ferrolb guard ip6 daddr @elsewhere6 fib daddr . iif oif exists drop
    add chain inet ferrolb prerouting { type nat hook prerouting priority dstnat - 5; policy accept; }
    flush chain inet ferrolb prerouting
    add rule inet ferrolb prerouting ip daddr . meta l4proto . th dport vmap @ports4
    add rule inet ferrolb prerouting ip6 daddr . meta l4proto . th dport vmap @ports6
    add rule inet ferrolb prerouting ip daddr @candidates4 icmp type echo-request redirect
    add rule inet ferrolb prerouting ip6 daddr @candidates6 icmpv6 type echo-request redirect
    add chain inet ferrolb output { type nat hook output priority -105; policy accept; }
    flush chain inet ferrolb output
    add rule inet ferrolb output ip daddr . meta l4proto . th dport vmap @ports4
    add rule inet ferrolb output ip6 daddr . meta l4proto . th dport vmap @ports6
    add chain inet ferrolb postrouting { type nat hook postrouting priority srcnat - 5; policy accept; }
    flush chain inet ferrolb postrouting
    add rule inet ferrolb postrouting ct status dnat ct original ip daddr . meta l4proto . ip daddr . th dport @masquerade4 masquerade fully-random
    add rule inet ferrolb postrouting ct status dnat ct original ip6 daddr . meta l4proto . ip6 daddr . th dport @masquerade6 masquerade fully-random
    add rule inet ferrolb postrouting ct status dnat ip saddr . ip daddr @hairpin4 masquerade fully-random
    add rule inet ferrolb postrouting ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade fully-random
    "#);
}

#[test]
fn beside_kube_proxy_pings_are_left_to_it() {
    let rules = |mode| {
        let text = transaction::take_over(mode, &Leftovers::default(), &Ruleset::default());
        text.lines().filter(|line| line.starts_with("add rule")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, beside) = (rules(Mode::NFTables), rules(Mode::KubeProxy));
    let more: Vec<&String> = all.iter().filter(|rule| !beside.contains(rule)).collect();
    assert_snapshot!(more.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join("\n"), @r#"
    add rule inet ferrolb prerouting ip daddr @candidates4 icmp type echo-request redirect
    add rule inet ferrolb prerouting ip6 daddr @candidates6 icmpv6 type echo-request redirect
    "#);
    assert_eq!(beside.len(), all.len() - more.len());
}

#[test]
fn what_stays_on_this_node_is_redirected_and_not_masqueraded() {
    let local = with(&[
        (frontend("192.0.2.1", Protocol::Tcp, 443), backends(Source::Kept, &["0.0.0.0:6443"])),
        (frontend("2001:db8::1", Protocol::Udp, 53), backends(Source::Kept, &["[::]:5353"])),
    ]);
    assert_snapshot!(transaction::update(&Ruleset::default(), &ruleset(&local)), @r#"
    add chain inet ferrolb port/tcp/443/192.0.2.1
    flush chain inet ferrolb port/tcp/443/192.0.2.1
    add rule inet ferrolb port/tcp/443/192.0.2.1 meta l4proto tcp redirect to :6443 comment "default/web 1db1d51098385b31"
    add chain inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1
    flush chain inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1
    add rule inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1 meta l4proto udp redirect to :5353 comment "default/web d151e98197144264"
    add element inet ferrolb ports4 { 192.0.2.1 . tcp . 443 : goto port/tcp/443/192.0.2.1 }
    add element inet ferrolb ports6 { 2001:db8::1 . udp . 53 : goto port/udp/53/2001-db8-0-0-0-0-0-1 }
    add element inet ferrolb candidates4 { 192.0.2.1 }
    add element inet ferrolb candidates6 { 2001:db8::1 }
    "#);
}

#[test]
fn endpoints_of_policy_cluster_are_masqueraded() {
    assert_snapshot!(transaction::update(&Ruleset::default(), &web(&["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"])), @r#"
    add chain inet ferrolb port/tcp/80/192.0.2.1
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    add rule inet ferrolb port/tcp/80/192.0.2.1 numgen random mod 3 0 meta l4proto tcp dnat ip to 10.0.0.1:8080
    add rule inet ferrolb port/tcp/80/192.0.2.1 numgen random mod 2 0 meta l4proto tcp dnat ip to 10.0.0.2:8080
    add rule inet ferrolb port/tcp/80/192.0.2.1 meta l4proto tcp dnat ip to 10.0.0.3:8080 comment "default/web e3b0f6ff5f0110d8"
    add element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 : goto port/tcp/80/192.0.2.1 }
    add element inet ferrolb candidates4 { 192.0.2.1 }
    add element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080, 192.0.2.1 . tcp . 10.0.0.2 . 8080, 192.0.2.1 . tcp . 10.0.0.3 . 8080 }
    "#);
}

#[test]
fn endpoints_of_policy_local_keep_the_client_and_reach_themselves() {
    let local = with(&[(
        frontend("2001:db8::1", Protocol::Udp, 53),
        backends(Source::Kept, &["[fd00::1]:53", "10.0.0.1:53"]),
    )]);
    assert_snapshot!(transaction::update(&Ruleset::default(), &ruleset(&local)), @r#"
    add chain inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1
    flush chain inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1
    add rule inet ferrolb port/udp/53/2001-db8-0-0-0-0-0-1 meta l4proto udp dnat ip6 to [fd00::1]:53 comment "default/web c12828598543d96f"
    add element inet ferrolb ports6 { 2001:db8::1 . udp . 53 : goto port/udp/53/2001-db8-0-0-0-0-0-1 }
    add element inet ferrolb candidates6 { 2001:db8::1 }
    add element inet ferrolb hairpin6 { fd00::1 . fd00::1 }
    "#);
}

#[test]
fn affinity_hashes_the_client_and_ranges_are_merged() {
    let mut service = backends(Source::Masqueraded, &["10.0.0.1:8080", "10.0.0.2:8080"]);
    service.affinity = true;
    let ranges = ["198.51.0.0/16", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];
    service.clients = Clients::Within(ranges.iter().map(|range| range.parse().unwrap()).collect());
    let rules = ruleset(&with(&[(frontend("192.0.2.1", Protocol::Tcp, 80), service)]));
    assert_snapshot!(transaction::update(&Ruleset::default(), &rules), @r#"
    add chain inet ferrolb port/tcp/80/192.0.2.1
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    add rule inet ferrolb port/tcp/80/192.0.2.1 ip saddr != { 198.51.0.0/16, 203.0.113.0/24 } drop
    add rule inet ferrolb port/tcp/80/192.0.2.1 jhash ip saddr mod 2 seed 0x466c4c42 0 meta l4proto tcp dnat ip to 10.0.0.1:8080
    add rule inet ferrolb port/tcp/80/192.0.2.1 meta l4proto tcp dnat ip to 10.0.0.2:8080 comment "default/web f2b49ab2e773ac35"
    add element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 : goto port/tcp/80/192.0.2.1 }
    add element inet ferrolb candidates4 { 192.0.2.1 }
    add element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080, 192.0.2.1 . tcp . 10.0.0.2 . 8080 }
    "#);
}

#[test]
fn a_port_without_endpoints_of_its_family_is_not_translated() {
    let rules = ruleset(&with(&[(
        frontend("192.0.2.1", Protocol::Tcp, 80),
        backends(Source::Kept, &["[fd00::1]:80"]),
    )]));
    assert_snapshot!(transaction::update(&Ruleset::default(), &rules), @"add element inet ferrolb candidates4 { 192.0.2.1 }");
}

#[test]
fn an_endpoint_of_two_ports_keeps_the_client_if_one_of_them_does() {
    let both = with(&[
        (frontend("192.0.2.1", Protocol::Tcp, 80), backends(Source::Kept, &["10.0.0.1:8080"])),
        (
            frontend("192.0.2.1", Protocol::Tcp, 81),
            backends(Source::Masqueraded, &["10.0.0.1:8080", "10.0.0.2:8080"]),
        ),
    ]);
    let masquerade = Container { kind: Kind::Masquerade, family: Family::V4 };
    let keys: Vec<String> = ruleset(&both).elements[&masquerade].keys().cloned().collect();
    assert_eq!(keys, ["192.0.2.1 . tcp . 10.0.0.2 . 8080"]);
}

#[test]
fn an_address_that_only_others_may_carry_is_dropped() {
    let mut desired = DataPath::default();
    desired.vips.insert("192.0.2.1".parse().unwrap(), Role::Elsewhere);
    assert_snapshot!(transaction::update(&Ruleset::default(), &ruleset(&desired)), @"add element inet ferrolb elsewhere4 { 192.0.2.1 }");
}

#[test]
fn a_changed_endpoint_touches_its_chain_and_its_elements_only() {
    assert_snapshot!(transaction::update(&web(&["10.0.0.1:8080"]), &web(&["10.0.0.2:8080"])), @r#"
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    add rule inet ferrolb port/tcp/80/192.0.2.1 meta l4proto tcp dnat ip to 10.0.0.2:8080 comment "default/web 01f7a331558f0a3b"
    delete element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 }
    add element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.2 . 8080 }
    "#);
}

#[test]
fn nothing_to_change_is_an_empty_text() {
    assert_eq!(transaction::update(&web(&["10.0.0.1:8080"]), &web(&["10.0.0.1:8080"])), "");
}

#[test]
fn a_removed_port_takes_its_chain_along() {
    assert_snapshot!(transaction::update(&web(&["10.0.0.1:8080"]), &Ruleset::default()), @r#"
    delete element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 }
    delete element inet ferrolb candidates4 { 192.0.2.1 }
    delete element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 }
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    delete chain inet ferrolb port/tcp/80/192.0.2.1
    "#);
}

#[test]
fn lingering_elements_get_a_lifetime() {
    assert_snapshot!(transaction::linger(&web(&["10.0.0.1:8080"]).elements, Duration::from_secs(90)), @r#"
    delete element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 }
    delete element inet ferrolb candidates4 { 192.0.2.1 }
    delete element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 }
    add element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 timeout 90000ms : goto port/tcp/80/192.0.2.1 }
    add element inet ferrolb candidates4 { 192.0.2.1 timeout 90000ms }
    add element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 timeout 90000ms }
    "#);
}

#[test]
fn elements_that_linger_already_are_not_given_more_time() {
    let found = left_by(&web(&["10.0.0.1:8080"]), true);
    assert_eq!(transaction::linger(&found.unlimited(), Duration::from_secs(90)), "");
}

#[test]
fn what_a_killed_process_left_and_is_wanted_stays_untouched() {
    let rules = web(&["10.0.0.1:8080"]);
    assert_eq!(changes(&transaction::take_over(Mode::NFTables, &left_by(&rules, false), &rules)), "");
}

#[test]
fn what_a_killed_process_left_and_is_not_wanted_goes() {
    let text = transaction::take_over(
        Mode::NFTables,
        &left_by(&web(&["10.0.0.1:8080"]), false),
        &Ruleset::default(),
    );
    assert_snapshot!(changes(&text), @r#"
    delete element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 }
    delete element inet ferrolb candidates4 { 192.0.2.1 }
    delete element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 }
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    delete chain inet ferrolb port/tcp/80/192.0.2.1
    "#);
}

#[test]
fn elements_with_a_lifetime_are_replaced() {
    let rules = web(&["10.0.0.1:8080"]);
    assert_snapshot!(changes(&transaction::take_over(Mode::NFTables, &left_by(&rules, true), &rules)), @r#"
    flush map inet ferrolb ports4
    flush set inet ferrolb candidates4
    flush set inet ferrolb masquerade4
    add element inet ferrolb ports4 { 192.0.2.1 . tcp . 80 : goto port/tcp/80/192.0.2.1 }
    add element inet ferrolb candidates4 { 192.0.2.1 }
    add element inet ferrolb masquerade4 { 192.0.2.1 . tcp . 10.0.0.1 . 8080 }
    "#);
}

#[test]
fn chains_that_somebody_may_have_changed_are_written_again() {
    let rules = web(&["10.0.0.1:8080"]);
    let text = transaction::take_over(Mode::NFTables, &left_by(&rules, false).distrusted(), &rules);
    assert_snapshot!(changes(&text), @r#"
    add chain inet ferrolb port/tcp/80/192.0.2.1
    flush chain inet ferrolb port/tcp/80/192.0.2.1
    add rule inet ferrolb port/tcp/80/192.0.2.1 meta l4proto tcp dnat ip to 10.0.0.1:8080 comment "default/web 903fa566ca49bca2"
    "#);
}

#[test]
fn a_service_name_from_a_file_cannot_break_out_of_its_comment() {
    let mut service = backends(Source::Kept, &["10.0.0.1:80"]);
    service.service = format!("x\" ; flush ruleset # \n{}", "y".repeat(200));
    let rules = ruleset(&with(&[(frontend("192.0.2.1", Protocol::Tcp, 80), service)]));
    let chain = rules.chains.values().next().unwrap();
    let (_, comment) = chain.rules[0].split_once("comment ").unwrap();
    assert!(comment.starts_with("\"x????flush?ruleset????yyy"), "{comment}");
    assert!(comment.len() <= 127 + 2, "the kernel takes no more");
}
