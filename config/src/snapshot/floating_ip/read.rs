// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Reads the spec of a FloatingIP. Every fault is told, as no schema stands before what comes from files.

use std::net::IpAddr;
use std::time::Duration;

use super::{
    Candidates, Carriage, FloatingForm, FloatingPort, FloatingTarget, HealthCheck, Probe, StatusRange,
};
use crate::address::Family;
use crate::api::{self, AddressMode, FloatingIPSpec, IPFamily, Transport};
use crate::name::ServiceName;
use crate::reason::{Reason, Refusal};
use crate::selector::Selector;
use crate::snapshot::Protocol;
use crate::snapshot::faults::Faults;

/// What `spec` asks for, if it can be used, and what is wrong or doubtful in it.
pub(super) fn form(name: &ServiceName, spec: &FloatingIPSpec) -> (Option<FloatingForm>, Vec<Refusal>) {
    let mut faults = Faults::of("FloatingIP", name);
    let families = families(spec, &mut faults);
    let requested = requested(spec, &families, &mut faults);
    let carriage = carriage(spec, &mut faults);
    let candidates = candidates(spec, &mut faults);
    let checks = spec.health_checks.iter().enumerate();
    let health_checks: Vec<_> =
        checks.filter_map(|(index, check)| health_check(index, check, &mut faults)).collect();
    if spec.health_checks.len() > MOST_CHECKS {
        faults.add("spec.healthChecks", format!("there are more than {MOST_CHECKS}"), "Remove some.");
    }
    if let Some(group) = spec.group.as_deref().filter(|group| !is_label(group)) {
        let remedy = "Write lower-case letters, digits and dashes, at most 63.";
        faults.add("spec.group", format!("\"{group}\" is no name of a group"), remedy);
    }
    let form = carriage.map(|carriage| FloatingForm {
        pool: spec.pool.clone(),
        requested,
        families,
        group: spec.group.clone(),
        carriage,
        candidates,
        health_checks,
    });
    let is_usable = faults.first_error().is_none();
    (form.filter(|_| is_usable), faults.into_all())
}

/// As many as the definition of the kind allows.
const MOST_CHECKS: usize = 16;

/// A label of the DNS (RFC 1123), as Kubernetes has it.
fn is_label(text: &str) -> bool {
    let inner = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn families(spec: &FloatingIPSpec, faults: &mut Faults<'_>) -> Vec<Family> {
    let mut families = Vec::new();
    for (index, family) in spec.ip_families.iter().enumerate() {
        let family = match family {
            IPFamily::IPv4 => Family::V4,
            IPFamily::IPv6 => Family::V6,
        };
        if families.contains(&family) {
            let field = format!("spec.ipFamilies[{index}]");
            faults.add(field, format!("{family} stands twice"), "Name each family once.");
        } else {
            families.push(family);
        }
    }
    families
}

fn requested(spec: &FloatingIPSpec, families: &[Family], faults: &mut Faults<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (index, text) in spec.addresses.iter().enumerate() {
        let field = format!("spec.addresses[{index}]");
        match text.parse::<IpAddr>() {
            Ok(address) => {
                let family = Family::of(address);
                if addresses.iter().any(|other| Family::of(*other) == family) {
                    let message = format!("{address} is the second {family} address");
                    faults.add(field, message, "Ask for one address per family.");
                } else {
                    addresses.push(address);
                }
            }
            Err(_) => {
                let remedy = "Write an address, for example 192.0.2.10.";
                faults.add(field, format!("\"{text}\" is not an IP address"), remedy);
            }
        }
    }
    let is_met = families.len() == addresses.len()
        && addresses.iter().all(|address| families.contains(&Family::of(*address)));
    if !families.is_empty() && !addresses.is_empty() && !is_met {
        let message = "spec.addresses asks for other families than spec.ipFamilies";
        let remedy = "Remove spec.ipFamilies, or ask for one address of each of them.";
        faults.add_as(Reason::ContradictoryRequest, "spec.addresses", message, remedy);
    }
    addresses
}

fn carriage(spec: &FloatingIPSpec, faults: &mut Faults<'_>) -> Option<Carriage> {
    match (spec.mode, &spec.target) {
        (AddressMode::Bound, None) => Some(Carriage::Bound),
        (AddressMode::Bound, Some(_)) => {
            let message = "with mode Bound the node's own programs listen on the address";
            let remedy = "Remove spec.target, or write mode ReplyOnly.";
            faults.add_as(Reason::ContradictoryRequest, "spec.target", message, remedy);
            None
        }
        (AddressMode::ReplyOnly, None) => {
            let message =
                "with mode ReplyOnly the address is on no interface, and nothing says where its traffic goes";
            faults.add("spec.target", message, "Add spec.target with ports or a service.");
            None
        }
        (AddressMode::ReplyOnly, Some(target)) => match (target.ports.as_slice(), &target.service) {
            ([], Some(service)) => {
                let service = sibling("spec.target.service", service, faults)?;
                Some(Carriage::ReplyOnly(FloatingTarget::Service(service)))
            }
            ([_, ..], None) => Some(Carriage::ReplyOnly(FloatingTarget::Ports(ports(&target.ports, faults)))),
            ([], None) => {
                faults.add("spec.target", "the target is empty", "Add ports or a service.");
                None
            }
            ([_, ..], Some(_)) => {
                let message = "the target is ports and a service";
                faults.add_as(Reason::ContradictoryRequest, "spec.target", message, "Remove one of the two.");
                None
            }
        },
    }
}

fn ports(list: &[api::FloatingPort], faults: &mut Faults<'_>) -> Vec<FloatingPort> {
    let mut ports: Vec<FloatingPort> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let protocol = match entry.protocol {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
            Transport::Sctp => Protocol::Sctp,
        };
        let port =
            FloatingPort { protocol, port: entry.port, target: entry.target_port.unwrap_or(entry.port) };
        let field = |name: &str| format!("spec.target.ports[{index}].{name}");
        for (name, number) in [("port", port.port), ("targetPort", port.target)] {
            is_port(&field(name), number, faults);
        }
        if ports.iter().any(|other| (other.port, other.protocol) == (port.port, protocol)) {
            let message = format!("{protocol} {} stands twice", port.port);
            faults.add(field("port"), message, "Give each port once.");
        } else {
            ports.push(port);
        }
    }
    ports
}

fn is_port(field: &str, number: u16, faults: &mut Faults<'_>) {
    if number == 0 {
        faults.add(field, "0 is not a port number", "Write 1 to 65535.");
    }
}

/// A Service of the same namespace.
fn sibling(field: &str, name: &str, faults: &mut Faults<'_>) -> Option<ServiceName> {
    if !is_label(name) {
        let remedy = "Write the name of a Service of the same namespace.";
        faults.add(field, format!("\"{name}\" is no name of a Service"), remedy);
        return None;
    }
    Some(ServiceName { namespace: faults.namespace().to_owned(), name: name.to_owned() })
}

fn candidates(spec: &FloatingIPSpec, faults: &mut Faults<'_>) -> Candidates {
    let Some(candidates) = &spec.candidates else { return Candidates::default() };
    let node_selector = candidates.node_selector.as_ref().map(Selector::parse).transpose();
    let node_selector = node_selector.unwrap_or_else(|error| {
        let field = format!("spec.candidates.nodeSelector.{}", error.field);
        faults.add_as(Reason::InvalidSelector, field, error.message, "Correct the selector.");
        None
    });
    let service = candidates.service.as_ref();
    let service = service.and_then(|name| sibling("spec.candidates.service", name, faults));
    Candidates { node_selector, service }
}

fn health_check(index: usize, check: &api::HealthCheck, faults: &mut Faults<'_>) -> Option<HealthCheck> {
    let field = |name: &str| format!("spec.healthChecks[{index}].{name}");
    let numbers = [
        ("intervalSeconds", check.interval_seconds, 3_600),
        ("timeoutSeconds", check.timeout_seconds, 60),
        ("rise", check.rise, 100),
        ("fall", check.fall, 100),
    ];
    for (name, number, most) in numbers {
        if !(1..=most).contains(&number) {
            faults.add(field(name), format!("{number} is out of range"), format!("Write 1 to {most}."));
        }
    }
    let probe = match (&check.http, &check.tcp, &check.exec) {
        (Some(http), None, None) => http_probe(&field, http, faults)?,
        (None, Some(tcp), None) => {
            is_port(&field("tcp.port"), tcp.port, faults);
            Probe::Tcp { port: tcp.port }
        }
        (None, None, Some(exec)) => {
            if exec.command.first().is_none_or(String::is_empty) {
                faults.add(field("exec.command"), "the command is empty", "Name a program.");
                return None;
            }
            Probe::Exec { command: exec.command.clone() }
        }
        (None, None, None) => {
            let remedy =
                "Add http or tcp; commands (exec) are for manifests that are read without a cluster.";
            faults.add(format!("spec.healthChecks[{index}]"), "the check tries nothing", remedy);
            return None;
        }
        _ => {
            let message = "one check is either http, tcp or exec";
            let remedy = "Write a check for each.";
            faults.add_as(
                Reason::ContradictoryRequest,
                format!("spec.healthChecks[{index}]"),
                message,
                remedy,
            );
            return None;
        }
    };
    Some(HealthCheck {
        probe,
        interval: Duration::from_secs(check.interval_seconds.into()),
        timeout: Duration::from_secs(check.timeout_seconds.into()),
        rise: check.rise,
        fall: check.fall,
    })
}

fn http_probe(
    field: &impl Fn(&str) -> String,
    http: &api::HTTPCheck,
    faults: &mut Faults<'_>,
) -> Option<Probe> {
    is_port(&field("http.port"), http.port, faults);
    // What stands in a request line or a header must not end it.
    let is_plain = |text: &str| text.bytes().all(|octet| octet.is_ascii_graphic());
    if !http.path.starts_with('/') || !is_plain(&http.path) || http.path.len() > 1_024 {
        let remedy = "Write printable ASCII that begins with a slash, at most 1024 characters.";
        faults.add(field("http.path"), format!("{:?} is no path", http.path), remedy);
    }
    if let Some(host) = http.host.as_deref().filter(|host| {
        let is_long = host.is_empty() || host.len() > 253;
        is_long || !is_plain(host)
    }) {
        faults.add(
            field("http.host"),
            format!("{host:?} is no host"),
            "Write a name, for example api.example.",
        );
    }
    let Some(expected) = StatusRange::parse(&http.expected_status) else {
        let message = format!("{:?} are no status codes", http.expected_status);
        faults.add(
            field("http.expectedStatus"),
            message,
            "Write one, \"200\", or two with a dash, \"200-399\".",
        );
        return None;
    };
    Some(Probe::Http { port: http.port, path: http.path.clone(), host: http.host.clone(), expected })
}
