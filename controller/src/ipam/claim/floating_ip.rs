// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What a FloatingIP asks for.

use ferrolb_config::address::Family;
use ferrolb_config::api::{ConsumerKind, Purpose};
use ferrolb_config::snapshot::{Carriage, Consent, FloatingForm, FloatingIP, FloatingTarget};

use super::{Claim, Families, Named, Request, Standing};

impl<'a> Claim<'a> {
    /// Reads the claim of a FloatingIP: of what it asks for, or of what was last accepted.
    pub fn of_floating_ip(floating_ip: &'a FloatingIP) -> Self {
        let form = floating_ip.in_force();
        let pool = form.and_then(|form| form.pool.as_deref());
        let named = form.and_then(|form| Named::new(&form.requested));
        let request = match (named, pool) {
            (Some(addresses), pool) => Request::Named { addresses, pool },
            (None, Some(pool)) => Request::Pool(pool),
            (None, None) => Request::Any,
        };
        let said = form.map(|form| form.families.as_slice()).unwrap_or_default();
        let families = match (named, said) {
            (Some(Named::Pair(..)), _) | (None, [_, _, ..]) => Families::Both,
            (None, [family]) => Families::One(*family),
            (Some(Named::One(address)), _) => Families::One(Family::of(address)),
            (None, []) => Families::Either,
        };
        let mut ports: Vec<_> = match form.map(|form| &form.carriage) {
            Some(Carriage::ReplyOnly(FloatingTarget::Ports(ports))) => {
                ports.iter().map(|port| (port.protocol, port.port)).collect()
            }
            Some(Carriage::ReplyOnly(FloatingTarget::Service(_)) | Carriage::Bound) | None => Vec::new(),
        };
        ports.sort_unstable();
        let standing = match &floating_ip.refusal {
            _ if floating_ip.deleting => Standing::Leaving,
            Some(refusal) => Standing::Frozen(refusal.clone()),
            None => Standing::Open,
        };
        Self {
            kind: ConsumerKind::FloatingIP,
            consumer: &floating_ip.name,
            uid: floating_ip.uid.as_deref(),
            created: floating_ip.created.as_ref(),
            families,
            request,
            sharing: None,
            consent: &Consent::OwnNamespace,
            labels: &floating_ip.labels,
            purpose: Purpose::LoadBalancer,
            mode: form.map(FloatingForm::mode).unwrap_or_default(),
            ports,
            backends: None,
            shown: &floating_ip.status_addresses,
            shown_by: None,
            standing,
        }
    }
}
