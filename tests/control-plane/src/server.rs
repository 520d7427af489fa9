// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! kube-apiserver as a process that comes and goes while etcd stays.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrolb_lab::{Process, Site};

use crate::account::token_file;
use crate::patience::{START, until};
use crate::{Account, Kubectl, Options, Place, Program, kubeconfig};

/// How long a server that was asked to end is waited for.
const END: Duration = Duration::from_secs(30);

/// What stays the same over restarts.
#[derive(Debug)]
pub(crate) struct Settings {
    options: Options,
    port: u16,
    etcd: u16,
    accounts: Vec<Account>,
}

impl Settings {
    /// The server listens on `port` and finds etcd on the loopback port `etcd`. Writes the files that it reads into the site's folder.
    pub(crate) fn prepare(site: &Site, options: Options, port: u16, etcd: u16) -> Result<Self> {
        let mut accounts = vec![Account::admin(), Account::controller(), Account::speaker()];
        accounts.extend(options.accounts.iter().cloned());
        let settings = Self { options, port, etcd, accounts };
        let folder = site.folder();
        fs::write(folder.join("tokens.csv"), token_file(&settings.accounts)).context("writing the tokens")?;
        for account in &settings.accounts {
            kubeconfig::write(folder, account, &settings.url())?;
        }
        make_key(&folder.join("sa.key"))?;
        Ok(settings)
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        match &self.options.place {
            Place::Loopback => format!("https://127.0.0.1:{}", self.port),
            Place::Namespace { address, .. } => format!("https://{address}:{}", self.port),
        }
    }

    /// Who is known to it.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    fn command(&self, folder: &Path) -> Result<Command> {
        let (bind, advertise) = match self.options.place {
            Place::Loopback => (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
            Place::Namespace { address, .. } => (Ipv4Addr::UNSPECIFIED, address),
        };
        let path = |name: &str| folder.join(name).display().to_string();
        let ports = &self.options.node_ports;
        let mut command = Command::new(Program::ApiServer.file()?);
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .arg(format!("--bind-address={bind}"))
            .arg(format!("--advertise-address={advertise}"))
            .arg(format!("--secure-port={}", self.port))
            .arg(format!("--cert-dir={}", path("pki")))
            .arg("--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112")
            .arg(format!("--service-node-port-range={}-{}", ports.start(), ports.end()))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", path("sa.key")))
            .arg(format!("--service-account-signing-key-file={}", path("sa.key")))
            .arg(format!("--token-auth-file={}", path("tokens.csv")))
            .arg("--authorization-mode=RBAC")
            // Pods made by hand have no account, and no controller makes one.
            .arg("--disable-admission-plugins=ServiceAccount")
            // Nothing here reaches the API server by its Service.
            .arg("--endpoint-reconciler-type=none");
        Ok(command)
    }
}

/// Starts it and waits until it is ready.
///
/// # Errors
/// It ends, or is not ready in time; what it said is in the message.
pub(crate) fn start(site: &Site, settings: &Settings, kubectl: &Kubectl) -> Result<Process> {
    let folder = site.folder();
    let process = site.start("kube-apiserver", kubectl.namespace.as_ref(), settings.command(folder)?)?;
    await_ready(folder, process, kubectl)
}

fn await_ready(folder: &Path, mut process: Process, kubectl: &Kubectl) -> Result<Process> {
    let ready = until(START, || {
        if !process.is_running() {
            return Ok(false);
        }
        trust(folder)?;
        kubectl.run(&["get", "--raw", "/readyz", "--request-timeout=5s"])?;
        // Everything but this is there when the server is ready.
        kubectl.run(&["get", "--raw", "/api/v1/namespaces/default", "--request-timeout=5s"]).map(|_| true)
    });
    match ready {
        Ok(true) => Ok(process),
        Ok(false) => bail!("kube-apiserver has ended; it said:\n{}", process.log()),
        Err(error) => Err(error.context(format!("kube-apiserver is not ready; it said:\n{}", process.log()))),
    }
}

/// Ends it as an administrator would.
pub(crate) fn stop(mut process: Process) -> Result<()> {
    // Its own shutdown waits for clients that do not let go; what etcd holds is safe in either case.
    if process.terminate(END).is_err() {
        process.kill()?;
    }
    Ok(())
}

/// Throws away the serving certificate and the CA that signed it: the next start makes new ones.
pub(crate) fn forget_certificates(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder.join("pki")).context("removing the server's certificate")
}

/// Writes the CA of the certificate that the server made for itself where kubeconfigs expect it.
fn trust(folder: &Path) -> Result<()> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let file = folder.join("pki/apiserver.crt");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    // The leaf comes first, then the CA.
    let start = text.rfind(BEGIN).filter(|start| *start > 0).context("apiserver.crt holds no CA")?;
    let authority = kubeconfig::authority(folder);
    let wanted = text.get(start..).unwrap_or_default();
    if fs::read_to_string(&authority).is_ok_and(|held| held == wanted) {
        return Ok(());
    }
    // A client that reads it meanwhile must not find half of it.
    let fresh = authority.with_extension("new");
    fs::write(&fresh, wanted).with_context(|| format!("writing {}", fresh.display()))?;
    fs::rename(&fresh, &authority).with_context(|| format!("writing {}", authority.display()))
}

fn make_key(file: &PathBuf) -> Result<()> {
    let output = Command::new("openssl")
        .args(["genrsa", "-out"])
        .arg(file)
        .arg("2048")
        .stdin(Stdio::null())
        .output()
        .context("starting openssl, which makes the key of the ServiceAccounts: install it")?;
    ensure!(output.status.success(), "openssl genrsa: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
