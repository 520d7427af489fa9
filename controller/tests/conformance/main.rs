// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What users can rely on when addresses are given: each test is one observable behaviour, named after its number in
//! the catalogue of what the peers' own tests prove. `cargo test -p ferrolb-controller ipam_` runs the allocation ones.

#![cfg(test)]

mod adoption;
mod annotations;
mod catalogue;
mod clientele;
mod configuration;
mod crash;
mod direct;
mod external;
mod families;
mod floating;
mod journal;
mod life_cycle;
mod pools;
mod properties;
mod quota;
mod ranges;
mod retention;
mod routers;
mod scale;
mod services;
mod sharing;
mod wording;
mod world;
