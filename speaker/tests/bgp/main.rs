// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Sessions with real routers. Each cell of the table in docs/interoperability.md is one test of the same name.

mod both;
mod cells;
mod half_open;
mod hostile;
mod listening;
mod multiprotocol;
mod nodes;
mod peers;
mod seen;
mod stage;
mod stopping;
mod unnumbered;
mod watched;
mod whole;

/// A router's row of the table.
macro_rules! row {
    ($row:ident, $daemon:ident, $($cell:ident),+ $(,)?) => {
        mod $row {
            $(
                #[test]
                fn $cell() {
                    ferrolb_lab::rights::within(|| crate::cells::$cell(ferrolb_lab::router::Daemon::$daemon));
                }
            )+
        }
    };
}

row!(
    bird,
    Bird,
    ebgp_carries_routes,
    ibgp_carries_routes_with_their_preference,
    ipv6_carries_the_session,
    both_families_go_over_one_session,
    large_communities_arrive,
    only_the_right_password_opens_the_session,
    a_router_that_wants_proof_of_nearness_gets_it,
    routes_outlive_a_restart_and_no_shutdown,
    ipv4_routes_take_an_ipv6_next_hop,
    link_local_addresses_are_enough,
    routes_come_change_and_go,
    a_router_that_asks_gets_everything_again,
    a_dead_path_ends_the_session_long_before_the_hold_time,
    a_router_may_connect_to_us,
);

row!(
    frr,
    Frr,
    ebgp_carries_routes,
    ibgp_carries_routes_with_their_preference,
    ipv6_carries_the_session,
    both_families_go_over_one_session,
    large_communities_arrive,
    only_the_right_password_opens_the_session,
    a_router_that_wants_proof_of_nearness_gets_it,
    routes_outlive_a_restart_and_no_shutdown,
    ipv4_routes_take_an_ipv6_next_hop,
    link_local_addresses_are_enough,
    routes_come_change_and_go,
    a_router_that_asks_gets_everything_again,
    a_dead_path_ends_the_session_long_before_the_hold_time,
    a_router_may_connect_to_us,
);

row!(
    gobgp,
    GoBgp,
    ebgp_carries_routes,
    ibgp_carries_routes_with_their_preference,
    ipv6_carries_the_session,
    both_families_go_over_one_session,
    large_communities_arrive,
    only_the_right_password_opens_the_session,
    a_router_that_wants_proof_of_nearness_gets_it,
    routes_outlive_a_restart_and_no_shutdown,
    ipv4_routes_take_an_ipv6_next_hop,
    link_local_addresses_are_enough,
    routes_come_change_and_go,
    a_router_may_connect_to_us,
);

row!(
    openbgpd,
    OpenBgpd,
    ebgp_carries_routes,
    ibgp_carries_routes_with_their_preference,
    ipv6_carries_the_session,
    both_families_go_over_one_session,
    large_communities_arrive,
    only_the_right_password_opens_the_session,
    a_router_that_wants_proof_of_nearness_gets_it,
    routes_outlive_a_restart_and_no_shutdown,
    link_local_addresses_are_enough,
    routes_come_change_and_go,
    a_router_that_asks_gets_everything_again,
    a_router_may_connect_to_us,
);

row!(
    exabgp,
    ExaBgp,
    ebgp_carries_routes,
    ibgp_carries_routes_with_their_preference,
    ipv6_carries_the_session,
    both_families_go_over_one_session,
    large_communities_arrive,
    only_the_right_password_opens_the_session,
    a_router_that_wants_proof_of_nearness_gets_it,
    ipv4_routes_take_an_ipv6_next_hop,
    routes_come_change_and_go,
    a_router_that_asks_gets_everything_again,
    a_router_may_connect_to_us,
);
