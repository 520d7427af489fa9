// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FerroLB in a cluster of the lab: installed as users install it, its programs started as the kubelet would start them, with the
//! rights of their ServiceAccounts.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_lab::{Lab, Namespace, Process};
use serde_json::Value;

use crate::{Account, Answer, Cluster, Kubectl};

/// What `kubectl apply -k` is told.
pub const DEPLOYMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/base");

/// How long a program that was asked to leave is waited for.
const LEAVE: Duration = Duration::from_secs(20);

/// Applies what users apply and waits until our kinds can be used.
///
/// # Errors
/// The API server refuses some of it.
pub fn install(kubectl: &Kubectl) -> Result<Answer> {
    let said = kubectl.feed(&["apply", "-k", DEPLOYMENT], "")?;
    kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    Ok(said)
}

/// Asks a program to leave (SIGTERM), as the kubelet does, and waits for its end.
///
/// # Errors
/// It does not end, or not well.
pub fn ended_well(program: &mut Process) -> Result<()> {
    let status = program.terminate(LEAVE)?;
    ensure!(status.success(), "{} ended with {status}:\n{}", program.name(), program.log_end(20));
    Ok(())
}

/// FerroLB in a cluster of its own.
#[derive(Debug)]
pub struct Installation {
    // Fields drop in this order: processes before the namespaces they live in.
    speakers: BTreeMap<String, Process>,
    controllers: BTreeMap<String, Process>,
    binary: PathBuf,
    told: Vec<String>,
    cluster: Cluster,
}

impl Installation {
    /// Nothing is installed yet, see [`install`], and no program of it runs.
    ///
    /// # Errors
    /// The lab's folder cannot be written.
    pub fn prepare(cluster: Cluster, binary: &Path) -> Result<Self> {
        let key: String = std::iter::repeat_n("0123456789abcdef", 4).collect();
        fs::write(cluster.lab().folder().join("hello.key"), key).context("writing the key of the hellos")?;
        let (speakers, controllers) = Default::default();
        Ok(Self { speakers, controllers, binary: binary.to_owned(), told: Vec::new(), cluster })
    }

    /// The same, with `arguments` for the controllers and the speakers as an overlay adds them.
    #[must_use]
    pub fn told(self, arguments: &[&str]) -> Self {
        Self { told: arguments.iter().map(|&argument| argument.to_owned()).collect(), ..self }
    }

    /// Starts a controller beside the API server and a speaker on every node.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn launch(&mut self) -> Result<()> {
        self.start_controller("controller")?;
        self.start_speakers()
    }

    /// Starts the speaker of every node.
    ///
    /// # Errors
    /// One of them cannot be started.
    pub fn start_speakers(&mut self) -> Result<()> {
        let names: Vec<String> = self.lab().nodes.iter().map(|node| node.name.clone()).collect();
        names.iter().try_for_each(|name| self.start_speaker(name))
    }

    /// Starts a controller, called `name`, beside the API server.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_controller(&mut self, name: &str) -> Result<()> {
        let command = self.command("controller", name, &Account::controller())?;
        let namespace = self.cluster.plane().namespace().cloned();
        self.controllers.insert(name.to_owned(), self.start(name, namespace.as_ref(), command)?);
        Ok(())
    }

    /// Starts the speaker of `node`.
    ///
    /// # Errors
    /// There is no such node, or it cannot be started.
    pub fn start_speaker(&mut self, node: &str) -> Result<()> {
        let name = format!("speaker-{node}");
        let mut command = self.command("speaker", &name, &Account::speaker())?;
        command.args(["--node-name", node, "--hello-key-file"]).arg(self.lab().folder().join("hello.key"));
        let namespace = self.lab().node(node)?.namespace.clone();
        self.speakers.insert(node.to_owned(), self.start(&name, Some(&namespace), command)?);
        Ok(())
    }

    fn command(&self, program: &str, name: &str, account: &Account) -> Result<Command> {
        let state = self.lab().folder().join(format!("{name}.state"));
        fs::create_dir_all(&state).with_context(|| format!("making {}", state.display()))?;
        let mut command = Command::new(&self.binary);
        command.arg(program).arg("--kubeconfig").arg(self.cluster.plane().kubeconfig(account)?);
        command.arg("--state").arg(state).args(&self.told);
        Ok(command)
    }

    fn start(&self, name: &str, namespace: Option<&Namespace>, command: Command) -> Result<Process> {
        self.lab().start(name, namespace, command)
    }

    /// The process of the speaker on `node`.
    ///
    /// # Errors
    /// It does not run.
    pub fn speaker(&mut self, node: &str) -> Result<&mut Process> {
        self.speakers.get_mut(node).with_context(|| format!("no speaker runs on {node}"))
    }

    /// Lets go of the speaker of `node`, which runs on, so that another can be started beside it.
    ///
    /// # Errors
    /// It does not run.
    pub fn release_speaker(&mut self, node: &str) -> Result<Process> {
        self.speakers.remove(node).with_context(|| format!("no speaker runs on {node}"))
    }

    /// The processes of all speakers.
    pub fn speakers(&mut self) -> impl Iterator<Item = &mut Process> {
        self.speakers.values_mut()
    }

    /// The process of the controller called `name`.
    ///
    /// # Errors
    /// It does not run.
    pub fn controller(&mut self, name: &str) -> Result<&mut Process> {
        self.controllers.get_mut(name).with_context(|| format!("no controller {name} runs"))
    }

    /// Asks the speaker of `node` to leave, as the kubelet does, and waits for its end.
    ///
    /// # Errors
    /// It does not run, or does not end well.
    pub fn stop_speaker(&mut self, node: &str) -> Result<()> {
        ended_well(&mut self.release_speaker(node)?)
    }

    /// The address of one family that the status of `service` (in `default`) shows.
    ///
    /// # Errors
    /// It shows none.
    pub fn address_of(&self, service: &str, ipv4: bool) -> Result<IpAddr> {
        let found: Value = self.kubectl().get(&["service", service])?;
        let ingress = found.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
        let addresses =
            ingress.into_iter().flatten().filter_map(|entry| entry.get("ip")?.as_str()?.parse().ok());
        let mut wanted = addresses.filter(|address: &IpAddr| address.is_ipv4() == ipv4);
        wanted.next().with_context(|| format!("{service} shows {ingress:?}"))
    }

    /// The node that the VirtualIP of an IPv4 address names as its owner.
    ///
    /// # Errors
    /// There is no such VirtualIP, or it names none.
    pub fn reported_owner(&self, address: IpAddr) -> Result<String> {
        let found: Value = self.kubectl().get(&["virtualip", &address.to_string()])?;
        let owner = found.pointer("/status/layer2/0/node").and_then(Value::as_str);
        owner
            .map(str::to_owned)
            .with_context(|| format!("{address} is reported as {:?}", found.get("status")))
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        self.cluster.plane().kubectl()
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The cluster that it is in, to stop and start its API server.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// The lab that it is in.
    pub fn lab(&self) -> &Lab {
        self.cluster.lab()
    }

    /// The end of what every program printed, for a failure's message.
    pub fn logs(&self) -> String {
        let ours = self.controllers.values().chain(self.speakers.values());
        let ours: String =
            ours.map(|process| format!("--- {}\n{}\n", process.name(), process.log_end(25))).collect();
        ours + &self.cluster.logs()
    }
}
