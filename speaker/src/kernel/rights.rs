// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The rights without which a speaker is of no use, and how to give them.

use std::fmt;
use std::io;
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket, Type};

/// A capability (capabilities(7)) that a speaker needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Raw sockets for ARP and neighbour discovery.
    NetRaw,
    /// Rules for the traffic to virtual IPs.
    NetAdmin,
}

impl Capability {
    const ALL: [Self; 2] = [Self::NetRaw, Self::NetAdmin];

    const fn number(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
        }
    }

    const fn what_for(self) -> &'static str {
        match self {
            Self::NetRaw => "CAP_NET_RAW (raw sockets, to answer ARP and neighbour discovery)",
            Self::NetAdmin => "CAP_NET_ADMIN (nftables rules and addresses, to lead traffic on)",
        }
    }
}

/// Rights that the process lacks; shown as one line with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRights {
    missing: Vec<Capability>,
    program: PathBuf,
}

impl fmt::Display for MissingRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<&str> = self.missing.iter().map(|capability| capability.what_for()).collect();
        write!(
            f,
            "the speaker lacks {}: run it with sudo, or once \
             `sudo setcap cap_net_raw,cap_net_admin,cap_sys_nice,cap_ipc_lock+ep {}`, or in Kubernetes set \
             securityContext.capabilities.add: [NET_RAW, NET_ADMIN, SYS_NICE, IPC_LOCK]",
            missing.join(" and "),
            self.program.display()
        )
    }
}

impl std::error::Error for MissingRights {}

/// Checks these rights before anything is begun.
///
/// # Errors
/// Some are missing.
pub fn check(wanted: &[Capability]) -> Result<(), MissingRights> {
    let missing: Vec<Capability> =
        wanted.iter().copied().filter(|capability| !is_granted(*capability)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ferrolb"));
    Err(MissingRights { missing, program })
}

fn is_granted(capability: Capability) -> bool {
    match capability {
        // Only the attempt tells: the right must hold in the user namespace that the network namespace belongs to.
        Capability::NetRaw => {
            let socket = Socket::new_raw(Domain::PACKET, Type::RAW.cloexec(), Some(Protocol::from(0)));
            !socket.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        }
        Capability::NetAdmin => match std::fs::read_to_string("/proc/thread-self/status") {
            Ok(status) => effective(&status).is_none_or(|set| set & (1 << capability.number()) != 0),
            Err(_) => true,
        },
    }
}

/// The effective set in the text of `/proc/…/status`.
fn effective(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

/// Lets the tools that the speaker starts (`nft`, `conntrack`) have its network rights when it got them from its file
/// (`setcap`) and is not root: file capabilities alone end with the process.
///
/// # Errors
/// The kernel refuses; the tools will then say that they lack the right.
pub fn pass_on_to_tools() -> io::Result<()> {
    let mut header = CapabilityHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    capability_call(libc::SYS_capget, &mut header, &mut sets)?;
    let [low, _] = &mut sets;
    let wanted = Capability::ALL.into_iter().fold(0, |bits, capability| bits | (1 << capability.number()));
    low.inheritable |= wanted & low.permitted;
    let granted = low.inheritable;
    capability_call(libc::SYS_capset, &mut header, &mut sets)?;
    for capability in Capability::ALL {
        if granted & (1 << capability.number()) != 0 {
            raise_ambient(capability)?;
        }
    }
    Ok(())
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// The sets of capabilities 0 to 31, or 32 to 63.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capability_call(
    call: libc::c_long,
    header: &mut CapabilityHeader,
    sets: &mut [CapabilitySets; 2],
) -> io::Result<()> {
    #[expect(unsafe_code, reason = "capget and capset have no safe wrapper among our dependencies")]
    // SAFETY: both structures are laid out as capget(2) says for version 3, which uses two sets.
    let result = unsafe { libc::syscall(call, std::ptr::from_mut(header), sets.as_mut_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn raise_ambient(capability: Capability) -> io::Result<()> {
    let number = libc::c_ulong::from(capability.number());
    #[expect(unsafe_code, reason = "prctl has no safe wrapper for ambient capabilities")]
    // SAFETY: takes no pointers.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            number,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read_from_the_status() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000003000\nCapBnd:\t0\n"), Some(0x3000));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn missing_rights_are_told_in_one_line_with_the_remedy() {
        let missing = MissingRights { missing: vec![Capability::NetRaw], program: "/opt/ferrolb".into() };
        let text = missing.to_string();
        assert!(!text.contains('\n'));
        for part in ["CAP_NET_RAW", "sudo setcap", "/opt/ferrolb", "securityContext"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("CAP_NET_ADMIN ("));
    }

    /// Drops the calling thread's effective rights; capabilities are each thread's own.
    fn drop_effective() {
        let mut header = CapabilityHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let mut sets = [CapabilitySets::default(); 2];
        capability_call(libc::SYS_capget, &mut header, &mut sets).expect("own rights");
        for set in &mut sets {
            set.effective = 0;
        }
        capability_call(libc::SYS_capset, &mut header, &mut sets).expect("fewer rights are always allowed");
    }

    #[test]
    fn a_thread_without_rights_is_told_which_ones_it_lacks() {
        let missing = std::thread::spawn(|| {
            drop_effective();
            check(&Capability::ALL)
        });
        let missing = missing.join().expect("no panic").expect_err("no rights are left");
        assert_eq!(missing.missing, Capability::ALL);
    }

    #[test]
    fn with_the_rights_the_tools_that_are_started_have_them_too() {
        let thread = std::thread::spawn(|| {
            check(&Capability::ALL)
                .expect("network tests need CAP_NET_RAW and CAP_NET_ADMIN: run them as root");
            pass_on_to_tools().expect("own rights may be passed on");
            std::fs::read_to_string("/proc/thread-self/status").expect("procfs")
        });
        let status = thread.join().expect("no panic");
        let ambient = status.lines().find_map(|line| line.strip_prefix("CapAmb:")).expect("a line");
        let ambient = u64::from_str_radix(ambient.trim(), 16).expect("hexadecimal");
        assert_eq!(ambient & 0x3000, 0x3000);
    }
}
