// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Settings of the machine that do not go with virtual IPs on its interfaces: pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ferrolb_config::reason::Reason;

use crate::kernel::InterfaceSettings;
use crate::kernel::links::Links;

/// The interface on which kube-proxy in IPVS mode keeps the addresses of all Services.
const KUBE_IPVS: &str = "kube-ipvs0";

/// A setting that does not go with virtual IPs. Its `Display` text says what to set, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Misfit {
    /// The kernel of every node answers ARP for virtual IPs that it has on an interface of its own.
    EveryNodeAnswers {
        /// The interface that ARP comes in by.
        interface: String,
        /// The one that has the addresses.
        holder: String,
    },
    /// The kernel names virtual IPs as the senders of its own ARP requests.
    ForeignSender {
        /// The interface that ARP goes out by.
        interface: String,
        /// The one that has the addresses.
        holder: String,
    },
    /// The kernel answers for addresses of others.
    ProxyArp {
        /// The interface.
        interface: String,
    },
    /// What comes in by one segment and would be answered by another is dropped.
    StrictReversePath {
        /// The interface.
        interface: String,
    },
}

impl Misfit {
    /// The word for it.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::EveryNodeAnswers { .. } | Self::ForeignSender { .. } => Reason::ArpFlux,
            Self::ProxyArp { .. } => Reason::ProxyArp,
            Self::StrictReversePath { .. } => Reason::StrictReversePath,
        }
    }

    /// The type of the node's condition that does not hold because of it.
    pub(crate) fn breaks(&self) -> &'static str {
        match self {
            Self::EveryNodeAnswers { .. } | Self::ForeignSender { .. } | Self::ProxyArp { .. } => {
                "ArpUnambiguous"
            }
            Self::StrictReversePath { .. } => "ReturnPathOpen",
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryNodeAnswers { interface, holder } => {
                write!(
                    f,
                    "virtual IPs are on {holder} and arp_ignore is 0 on {interface}, so that this node's kernel answers \
                     for them whoever carries them; {}",
                    remedy(holder, interface, "arp_ignore", 1)
                )
            }
            Self::ForeignSender { interface, holder } => {
                write!(
                    f,
                    "virtual IPs are on {holder} and arp_announce is below 2 on {interface}, so that this node's own ARP \
                     requests may draw a virtual IP here; {}",
                    remedy(holder, interface, "arp_announce", 2)
                )
            }
            Self::ProxyArp { interface } => write!(
                f,
                "proxy_arp is on for {interface}, so that this node's kernel may answer for virtual IPs of others; sysctl \
                 -w net.ipv4.conf.{interface}.proxy_arp=0, and net.ipv4.conf.all.proxy_arp=0"
            ),
            Self::StrictReversePath { interface } => write!(
                f,
                "rp_filter is 1 on {interface} and virtual IPs are on several segments: clients whose route back leads \
                 elsewhere are dropped without a sign; sysctl -w net.ipv4.conf.{interface}.rp_filter=2"
            ),
        }
    }
}

fn remedy(holder: &str, interface: &str, setting: &str, value: u8) -> String {
    let sysctl = format!("sysctl -w net.ipv4.conf.{interface}.{setting}={value}");
    if holder == KUBE_IPVS {
        format!("set ipvs.strictARP: true in kube-proxy's configuration, or {sysctl}")
    } else {
        sysctl
    }
}

/// What does not fit on the interfaces that carry these virtual IPs. `settings` tells those of an interface, if they can be
/// read.
pub(crate) fn judge<'a>(
    carrying: impl Iterator<Item = &'a str>,
    is_virtual: impl Fn(IpAddr) -> bool,
    links: &Links,
    settings: impl Fn(&str) -> Option<InterfaceSettings>,
) -> BTreeSet<Misfit> {
    let holds = |link: &crate::kernel::links::Link| {
        let own = link.addresses.iter().map(|net| net.addr());
        own.filter(IpAddr::is_ipv4).any(&is_virtual)
    };
    let holder = links.iter().find(|link| holds(link)).map(|link| link.name.clone());
    let on_ipv4 = |name: &&str| {
        let link = links.named(name);
        link.is_some_and(|link| link.addresses.iter().any(|net| net.addr().is_ipv4()))
    };
    let carrying: Vec<&str> = carrying.filter(on_ipv4).collect();
    let mut misfits = BTreeSet::new();
    for name in &carrying {
        let Some(found) = settings(name) else { continue };
        let interface = || (*name).to_owned();
        if let Some(holder) = &holder {
            if found.arp_ignore == 0 {
                misfits.insert(Misfit::EveryNodeAnswers { interface: interface(), holder: holder.clone() });
            }
            if found.arp_announce < 2 {
                misfits.insert(Misfit::ForeignSender { interface: interface(), holder: holder.clone() });
            }
        }
        if found.proxy_arp > 0 {
            misfits.insert(Misfit::ProxyArp { interface: interface() });
        }
        if found.rp_filter == 1 && carrying.len() > 1 {
            misfits.insert(Misfit::StrictReversePath { interface: interface() });
        }
    }
    misfits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::links::Link;

    const FINE: InterfaceSettings =
        InterfaceSettings { arp_ignore: 1, arp_announce: 2, proxy_arp: 0, rp_filter: 0 };

    fn link(index: u32, name: &str, net: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mac: None,
            up: true,
            loopback: false,
            resolves_neighbours: true,
            master: None,
            kind: None,
            addresses: vec![net.parse().unwrap()],
            gateways: Vec::new(),
        }
    }

    fn reasons(carrying: &[&str], links: &[Link], settings: InterfaceSettings) -> Vec<Reason> {
        let vip: IpAddr = "192.0.2.100".parse().unwrap();
        let links = links.iter().cloned().collect();
        let misfits = judge(carrying.iter().copied(), |it| it == vip, &links, |_| Some(settings));
        misfits.iter().map(Misfit::reason).collect()
    }

    #[test]
    fn what_the_kernel_does_by_default_fits_where_no_interface_has_a_virtual_ip() {
        let links = [link(2, "eth0", "192.0.2.1/24")];
        assert_eq!(reasons(&["eth0"], &links, InterfaceSettings::default()), []);
        let strict = InterfaceSettings { rp_filter: 1, ..FINE };
        assert_eq!(reasons(&["eth0"], &links, strict), [], "one segment has one return path");
    }

    #[test]
    fn virtual_ips_on_kube_ipvs_want_strict_arp() {
        let links = [link(2, "eth0", "192.0.2.1/24"), link(3, "kube-ipvs0", "192.0.2.100/32")];
        assert_eq!(reasons(&["eth0"], &links, FINE), []);
        assert_eq!(reasons(&["eth0"], &links, InterfaceSettings::default()), [Reason::ArpFlux; 2]);
        let holder = KUBE_IPVS.to_owned();
        let text = Misfit::EveryNodeAnswers { interface: "eth0".to_owned(), holder }.to_string();
        assert!(text.contains("ipvs.strictARP: true"), "{text}");
    }

    #[test]
    fn proxy_arp_and_a_strict_return_path_on_one_of_several_segments_are_told() {
        let links = [link(2, "eth0", "192.0.2.1/24"), link(3, "eth1", "198.51.100.1/24")];
        let proxy = InterfaceSettings { proxy_arp: 1, ..FINE };
        assert_eq!(reasons(&["eth0"], &links, proxy), [Reason::ProxyArp]);
        let strict = InterfaceSettings { rp_filter: 1, ..FINE };
        assert_eq!(reasons(&["eth0", "eth1"], &links, strict), [Reason::StrictReversePath; 2]);
        assert_eq!(reasons(&["eth0", "eth1"], &links, InterfaceSettings { rp_filter: 2, ..FINE }), []);
    }

    #[test]
    fn an_interface_without_ipv4_is_not_judged() {
        let links = [link(2, "eth0", "2001:db8::1/64")];
        let bad = InterfaceSettings { proxy_arp: 1, ..FINE };
        assert_eq!(reasons(&["eth0", "missing0"], &links, bad), []);
    }
}
