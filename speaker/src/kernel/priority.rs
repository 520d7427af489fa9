// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Keeping the thread that hears hellos from being held up: by other threads, by paging, by a CPU limit.
//!
//! Each measure is wanted, none is needed: without the right the speaker runs on and says so.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Something that makes late hellos, and so needless take-overs, more likely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortcoming {
    /// The thread has no raised priority: `CAP_SYS_NICE` is missing.
    OrdinaryPriority(String),
    /// Memory may be paged out: `CAP_IPC_LOCK` is missing.
    UnlockedMemory(String),
    /// The process's cgroup has a CPU limit, which stops all its threads for tens of milliseconds at a time.
    CpuLimit(String),
}

impl Shortcoming {
    /// A name for conditions and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OrdinaryPriority(_) => "OrdinaryPriority",
            Self::UnlockedMemory(_) => "UnlockedMemory",
            Self::CpuLimit(_) => "CpuLimit",
        }
    }
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrdinaryPriority(error) => write!(
                f,
                "the layer-2 thread runs at ordinary priority ({error}): a busy node may lose addresses that it could \
                 keep; give the speaker CAP_SYS_NICE"
            ),
            Self::UnlockedMemory(error) => write!(
                f,
                "memory is not locked ({error}): a node that swaps may lose addresses that it could keep; give the \
                 speaker CAP_IPC_LOCK"
            ),
            Self::CpuLimit(limit) => write!(
                f,
                "the speaker's cgroup has a CPU limit ({limit}): it stops hellos for tens of milliseconds; remove \
                 resources.limits.cpu"
            ),
        }
    }
}

/// Raises the calling thread above ordinary ones: real-time if allowed, a lower nice value otherwise.
///
/// Threads and processes that it starts do not inherit it.
///
/// # Errors
/// Neither is allowed.
pub fn raise_this_thread() -> Result<(), Shortcoming> {
    real_time().or_else(|_| lower_nice()).map_err(|error| Shortcoming::OrdinaryPriority(error.to_string()))
}

/// The lowest real-time priority is above every ordinary thread, and below whatever else is real-time on the node.
fn real_time() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    #[expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper")]
    // SAFETY: 0 is the calling thread, and the pointer is to a live local.
    let result = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const parameters)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn lower_nice() -> io::Result<()> {
    #[expect(unsafe_code, reason = "setpriority has no safe wrapper")]
    // SAFETY: takes no pointers; 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a thread of this process may have real-time priority, tried on one that ends at once.
///
/// # Errors
/// It may not.
pub fn check_real_time() -> Result<(), Shortcoming> {
    let tried = std::thread::Builder::new().name("priority".into()).spawn(real_time);
    let tried = tried.and_then(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())));
    tried.map_err(|error| Shortcoming::OrdinaryPriority(error.to_string()))
}

/// Keeps the process's pages in memory from when they are first touched.
///
/// # Errors
/// The right is missing. A finite limit is not used: once it was reached, allocations would fail.
pub fn lock_memory() -> Result<(), Shortcoming> {
    try_lock_memory().map_err(|error| Shortcoming::UnlockedMemory(error.to_string()))
}

fn try_lock_memory() -> nix::Result<()> {
    let lock = || {
        // Populating every reserved stack and arena at once would cost far more memory than is used.
        let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
        mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)
    };
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if soft == RLIM_INFINITY {
        return lock();
    }
    // With a limit of nothing the call succeeds only for whom limits do not count.
    setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard)?;
    let result = lock();
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    result
}

/// Whether one of the process's cgroups, of version 2 or 1, limits its CPU time.
///
/// # Errors
/// One does.
pub fn check_cpu_limit() -> Result<(), Shortcoming> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match own.lines().find_map(cpu_limit) {
        Some(limit) => Err(Shortcoming::CpuLimit(limit)),
        None => Ok(()),
    }
}

/// The first limit on the way from a cgroup up to its root; `line` is one of `/proc/self/cgroup`, cgroups(7).
fn cpu_limit(line: &str) -> Option<String> {
    let (root, cgroup, file) = hierarchy(line)?;
    root.join(cgroup).ancestors().take_while(|path| path.starts_with(&root)).find_map(|path| {
        let limit = std::fs::read_to_string(path.join(file)).ok()?;
        is_limited(&limit).then(|| format!("{file} {}", limit.trim()))
    })
}

/// Where the limits of the cgroup in `line` stand: the root of its hierarchy, its path below, and the file's name.
fn hierarchy(line: &str) -> Option<(PathBuf, &str, &'static str)> {
    let (_, line) = line.split_once(':')?;
    let (controllers, cgroup) = line.split_once(":/")?;
    let root = PathBuf::from("/sys/fs/cgroup");
    match controllers {
        "" => Some((root, cgroup, "cpu.max")),
        _ if controllers.split(',').any(|controller| controller == "cpu") => {
            Some((root.join(controllers), cgroup, "cpu.cfs_quota_us"))
        }
        _ => None,
    }
}

/// Without a limit, version 2 says `max` and version 1 a negative number.
fn is_limited(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|quota| quota != "max" && !quota.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quota_is_a_limit() {
        assert!(is_limited("10000 100000\n"));
        assert!(!is_limited("max 100000\n"));
        assert!(is_limited("50000\n"));
        assert!(!is_limited("-1\n"));
        assert!(!is_limited(""));
    }

    #[test]
    fn limits_of_both_versions_of_cgroups_are_looked_for_where_they_stand() {
        let found = |line| hierarchy(line).map(|(root, cgroup, file)| (root.join(cgroup), file));
        assert_eq!(found("0::/pod/a"), Some(("/sys/fs/cgroup/pod/a".into(), "cpu.max")));
        assert_eq!(found("4:cpu,cpuacct:/"), Some(("/sys/fs/cgroup/cpu,cpuacct".into(), "cpu.cfs_quota_us")));
        assert_eq!(found("1:cpu:/a"), Some(("/sys/fs/cgroup/cpu/a".into(), "cpu.cfs_quota_us")));
        for other in ["2:cpuset:/a", "9:name=systemd:/", ""] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn raising_a_thread_works_or_says_which_right_is_missing() {
        let outcome = std::thread::spawn(raise_this_thread).join().expect("no panic");
        for outcome in [outcome, check_real_time()] {
            if let Err(shortcoming) = outcome {
                assert!(shortcoming.to_string().contains("CAP_SYS_NICE"));
            }
        }
    }
}
