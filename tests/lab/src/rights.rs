// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The right to make network namespaces: root's, or that of an unprivileged user namespace.

use std::any;
use std::fs;
use std::os::unix::process::CommandExt;
use std::panic::Location;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::shell;

/// Set inside the user namespace, so that a failure there does not re-execute for ever.
const ENTERED: &str = "FERROLB_LAB_ENTERED";

/// Bits of the capability sets, capabilities(7).
const CAPABILITIES: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (21, "CAP_SYS_ADMIN")];

/// Whether this process may build a lab.
///
/// # Errors
/// It may not; the message names what is missing.
pub fn check() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status").context("reading own capabilities")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0").trim();
    let effective = u64::from_str_radix(effective, 16).context("CapEff is no number")?;
    let missing: Vec<&str> =
        CAPABILITIES.iter().filter(|(bit, _)| effective & (1 << bit) == 0).map(|(_, name)| *name).collect();
    if !missing.is_empty() {
        bail!("the lab needs {}: run it as root, or in a user namespace of its own", missing.join(", "));
    }
    Ok(())
}

/// Makes sure of the right to build labs, before `main` does anything else: returns if it is there; otherwise replaces this process by the
/// same program with the same arguments as root of a user namespace of its own.
///
/// # Errors
/// This system does not allow it; the message says why and how to go on.
pub fn enter_user_namespace() -> Result<()> {
    if check().is_ok() {
        return Ok(());
    }
    if std::env::var_os(ENTERED).is_some() {
        return check().context("even inside a user namespace of its own");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let error = again(&arguments)?.exec();
    Err(error).context("starting this program again in a user namespace")
}

/// For tests: runs `test` with the right to build labs. Without root the test's binary is started again for this one test inside a user
/// namespace; where that is not allowed, the test fails and says how to go on.
///
/// # Panics
/// The test failed. (A test's way to say so.)
#[track_caller]
pub fn within<T: FnOnce() -> Result<()>>(test: T) {
    if let Err(error) = try_within(test) {
        fail(&error, Location::caller());
    }
}

#[expect(clippy::panic, reason = "a panic is how a test fails")]
fn fail(error: &anyhow::Error, location: &Location<'_>) -> ! {
    panic!("{location}: {error:?}")
}

fn try_within<T: FnOnce() -> Result<()>>(test: T) -> Result<()> {
    if check().is_ok() {
        return test();
    }
    if std::env::var_os(ENTERED).is_some() {
        return check();
    }
    // `crate::module::test_name::{{closure}}`; the test harness knows it without the crate.
    let name = any::type_name::<T>();
    let name = name.trim_end_matches("::{{closure}}").split_once("::").map_or(name, |(_, test)| test);
    let arguments = [name, "--exact", "--nocapture", "--include-ignored"].map(str::to_owned);
    let output = again(&arguments)?.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    anyhow::ensure!(output.status.success(), "{name} failed in its user namespace");
    anyhow::ensure!(text.contains("1 passed"), "{name} was not found in the test binary: {said}");
    Ok(())
}

/// This program, to be started inside a user namespace with a `/run` of its own, where named network namespaces live.
fn again(arguments: &[String]) -> Result<Command> {
    const WRAPPER: [&str; 6] = ["--user", "--map-root-user", "--mount", "--net", "--", "/bin/sh"];
    let probe = Command::new("unshare")
        .args(WRAPPER)
        .args(["-c", "mount -t tmpfs tmpfs /run && ip netns add probe"])
        .env("PATH", shell::search_path())
        .output()
        .context("starting unshare(1) of util-linux")?;
    if !probe.status.success() {
        let said = String::from_utf8_lossy(&probe.stderr);
        bail!("{}", refusal(said.trim(), &|key| fs::read_to_string(format!("/proc/sys/{key}")).ok()));
    }
    let mut command = Command::new("unshare");
    command
        .args(WRAPPER)
        .args(["-c", "mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().context("finding this program's own file")?)
        .args(arguments)
        .env(ENTERED, Uid::current().to_string())
        .env("PATH", shell::search_path());
    Ok(command)
}

/// Why a user namespace was refused and how to go on, by the settings known to refuse them.
fn refusal(said: &str, setting: &dyn Fn(&str) -> Option<String>) -> String {
    let is = |key: &str, value: &str| setting(key).is_some_and(|found| found.trim() == value);
    let (why, remedy) = if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            "AppArmor keeps ordinary users from network rights in user namespaces (Ubuntu 23.10 and later)",
            "run it with sudo, or allow them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    } else if is("kernel/unprivileged_userns_clone", "0") {
        (
            "this system keeps user namespaces from ordinary users",
            "run it with sudo, or allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    } else if is("user/max_user_namespaces", "0") {
        (
            "this system allows no user namespaces",
            "run it with sudo, or allow them: sudo sysctl -w user.max_user_namespaces=15000",
        )
    } else {
        (
            "this system refuses a user namespace, as container runtimes do",
            "run it with sudo; in a container, give it --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN",
        )
    };
    format!("the lab needs root's network rights, and {why}.\nTo go on, {remedy}\n(unshare said: {said})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_setting_at_fault_and_the_way_on() {
        let ubuntu = refusal("write failed", &|key| key.contains("apparmor").then(|| "1\n".to_owned()));
        assert!(ubuntu.contains("AppArmor") && ubuntu.contains("sudo sysctl -w kernel.apparmor"), "{ubuntu}");
        let hardened = refusal("x", &|key| key.ends_with("userns_clone").then(|| "0\n".to_owned()));
        assert!(hardened.contains("kernel.unprivileged_userns_clone=1"), "{hardened}");
        let none = refusal("x", &|_| None);
        assert!(none.contains("sudo") && none.contains("unshare said: x"), "{none}");
    }

    #[test]
    fn a_test_gets_the_rights_it_needs() {
        within(|| {
            check()?;
            Ok(())
        });
    }
}
