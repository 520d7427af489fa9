// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! FerroLB itself in a lab: a controller and a speaker on every node, which share a folder of manifests and a folder of state.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::backend::{self, Server};
use crate::frame::{Content, Frame};
use crate::trial::Contender;
use crate::{Lab, Place, Process};

/// How long until everything is decided and carried after the start.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often speakers say hello (speaker/layer2's default).
const HELLO: Duration = Duration::from_millis(75);
/// Where hellos go to.
const HELLO_PORT: u16 = 7948;

/// The secret of the speakers' hellos.
pub const HELLO_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running FerroLB on all nodes of a lab of its own.
#[derive(Debug)]
pub struct Installation {
    // Fields drop in this order: processes and servers before the namespaces they live in.
    speakers: BTreeMap<String, Process>,
    controller: Option<Process>,
    servers: Vec<Server>,
    binary: PathBuf,
    speaker_arguments: Vec<String>,
    lab: Lab,
}

/// An installation whose UDP echo is probed in trials.
#[derive(Debug)]
pub struct Contestant {
    /// What runs.
    pub installation: Installation,
    name: &'static str,
    hello: Duration,
    target: SocketAddr,
    target_v6: Option<SocketAddr>,
}

/// The part of `ferrolb status -o json` that is read here.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// The addresses in use.
    pub addresses: Vec<AddressStatus>,
    /// The speakers.
    #[serde(default)]
    pub speakers: Vec<SpeakerStatus>,
}

/// One speaker.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatus {
    /// Its node.
    pub node: String,
    /// What the keys of its hellos are called, the one that signs first.
    pub hello_keys: Vec<String>,
    /// The profile that it follows.
    pub profile: String,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
}

/// A condition that does not hold.
#[derive(Debug, Deserialize)]
pub struct Problem {
    /// One CamelCase word.
    pub reason: String,
    /// What is wrong and what can be done.
    pub message: String,
}

impl Status {
    /// The terms of an address's claims, one a segment; each grows with every move.
    ///
    /// # Errors
    /// The address is not in use.
    pub fn terms(&self, address: IpAddr) -> Result<Vec<u64>> {
        let found = self.addresses.iter().find(|found| found.address == address);
        let found = found.with_context(|| format!("{address} is not in use: {self:?}"))?;
        Ok(found.carriers.iter().map(|carrier| carrier.term).collect())
    }

    /// Some address is in use, and some node carries every address.
    fn is_settled(&self) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(|address| !address.carriers.is_empty())
    }
}

/// One address in use.
#[derive(Debug, Deserialize)]
pub struct AddressStatus {
    /// The address.
    pub address: IpAddr,
    /// Who uses it, as `namespace/name`.
    pub services: Vec<String>,
    /// Who carries it.
    pub carriers: Vec<Carrier>,
    /// What another node saw that asked for it.
    pub reachable: Option<Reachable>,
}

/// What another node saw that asked for an address.
#[derive(Debug, Deserialize)]
pub struct Reachable {
    /// It was answered.
    pub reached: bool,
    /// What it saw, in one word.
    pub reason: String,
    /// Who asked whom.
    pub message: String,
}

/// A node that carries an address.
#[derive(Debug, Deserialize)]
pub struct Carrier {
    /// The node.
    pub node: String,
    /// Grows with every move.
    pub term: u64,
    /// Why this node took it.
    pub why: String,
}

impl Installation {
    /// Prepares folders in `lab` with copies of `manifests` (file name, text), starts the servers in the pods, and nothing else yet.
    ///
    /// # Errors
    /// The lab fails.
    pub fn prepare(lab: Lab, binary: &Path, manifests: &[(&str, &str)]) -> Result<Self> {
        let servers = backend::in_pods(&lab)?;
        let installation = Self {
            speakers: BTreeMap::new(),
            controller: None,
            servers,
            binary: binary.to_owned(),
            speaker_arguments: Vec::new(),
            lab,
        };
        fs::create_dir_all(installation.source()).context("making the folder of manifests")?;
        fs::create_dir_all(installation.state()).context("making the folder of state")?;
        for (name, text) in manifests {
            installation.write(name, text)?;
        }
        fs::write(installation.key(), HELLO_KEY).context("writing the key of the hellos")?;
        Ok(installation)
    }

    /// Starts every speaker from now on with these arguments too.
    #[must_use]
    pub fn with_speaker_arguments(mut self, arguments: &[&str]) -> Self {
        self.speaker_arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// Starts a controller and a speaker on every node, and waits until some node carries every address.
    ///
    /// # Errors
    /// A process does not start or ends, or nobody carries an address in time.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.settled().map(drop)
    }

    /// Starts a controller and a speaker on every node.
    ///
    /// # Errors
    /// A process does not start.
    pub fn launch(&mut self) -> Result<()> {
        self.start_controller()?;
        let names: Vec<String> = self.lab.nodes.iter().map(|node| node.name.clone()).collect();
        for name in names {
            self.start_speaker(&name)?;
        }
        Ok(())
    }

    /// The folder of manifests.
    pub fn source(&self) -> PathBuf {
        self.lab.folder().join("source")
    }

    /// The folder of decisions and observations.
    pub fn state(&self) -> PathBuf {
        self.lab.folder().join("state")
    }

    fn key(&self) -> PathBuf {
        self.lab.folder().join("hello.key")
    }

    /// Gives all speakers these keys, one a line; they follow the file while they run.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn set_keys(&self, keys: &[&str]) -> Result<()> {
        let (beside, file) = (self.lab.folder().join("hello.key.new"), self.key());
        fs::write(&beside, keys.join("\n")).with_context(|| format!("writing {}", beside.display()))?;
        fs::rename(&beside, &file).with_context(|| format!("putting {} in place", file.display()))
    }

    /// Writes a manifest as an editor does: beside, then renamed.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let (beside, file) = (self.lab.folder().join(name), self.source().join(name));
        fs::write(&beside, text).with_context(|| format!("writing {}", beside.display()))?;
        fs::rename(&beside, &file).with_context(|| format!("putting {} in place", file.display()))
    }

    /// A `ferrolb` command on these folders.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).arg("--source").arg(self.source()).arg("--state").arg(self.state());
        command
    }

    /// Starts the controller.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_controller(&mut self) -> Result<()> {
        self.controller = Some(self.lab.start("controller", None, self.command("controller"))?);
        Ok(())
    }

    /// Starts the speaker of `node`.
    ///
    /// # Errors
    /// There is no such node, or it cannot be started.
    pub fn start_speaker(&mut self, node: &str) -> Result<()> {
        let key = self.key();
        self.speak(node, &key)
    }

    /// Starts the speaker of `node` with a key that the others do not know.
    ///
    /// # Errors
    /// There is no such node, or it cannot be started.
    pub fn start_speaker_with_key(&mut self, node: &str, key: &str) -> Result<()> {
        let file = self.lab.folder().join(format!("{node}.key"));
        fs::write(&file, key).context("writing another key")?;
        self.speak(node, &file)
    }

    fn speak(&mut self, node: &str, key: &Path) -> Result<()> {
        let namespace = self.lab.node(node)?.namespace.clone();
        let mut command = self.command("speaker");
        command.args(["--node-name", node]).arg("--hello-key-file").arg(key).args(&self.speaker_arguments);
        let speaker = self.lab.start(&format!("speaker-{node}"), Some(&namespace), command)?;
        self.speakers.insert(node.to_owned(), speaker);
        Ok(())
    }

    /// The controller's process.
    ///
    /// # Errors
    /// It was not started.
    pub fn controller(&mut self) -> Result<&mut Process> {
        self.controller.as_mut().context("the controller was not started")
    }

    /// The speaker's process on `node`.
    ///
    /// # Errors
    /// It does not run.
    pub fn speaker(&mut self, node: &str) -> Result<&mut Process> {
        self.speakers.get_mut(node).with_context(|| format!("no speaker runs on {node}"))
    }

    /// Asks the speaker of `node` to leave (SIGTERM) and waits until it has ended well.
    ///
    /// # Errors
    /// It does not run, or ends with a failure, or not within 10 s.
    pub fn stop_speaker(&mut self, node: &str) -> Result<()> {
        let mut speaker = self.speakers.remove(node).with_context(|| format!("no speaker runs on {node}"))?;
        let status = speaker.terminate(Duration::from_secs(10))?;
        anyhow::ensure!(status.success(), "the speaker of {node} ended with {status}:\n{}", speaker.log());
        Ok(())
    }

    /// What `ferrolb status` says.
    ///
    /// # Errors
    /// It fails, or its output is not the documented JSON.
    pub fn status(&self) -> Result<Status> {
        serde_json::from_str(&self.status_text()?).context("reading the output of ferrolb status -o json")
    }

    /// The same, as text: JSON.
    ///
    /// # Errors
    /// It fails.
    pub fn status_text(&self) -> Result<String> {
        let output = self.command("status").args(["-o", "json"]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("ferrolb status failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until some node carries every address and at least one address is in use.
    ///
    /// # Errors
    /// That takes longer than 20 s, or a process has ended.
    pub fn settled(&mut self) -> Result<Status> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = match self.status() {
                Ok(status) if status.is_settled() => return Ok(status),
                other => other,
            };
            for process in self.controller.iter_mut().chain(self.speakers.values_mut()) {
                if !process.is_running() {
                    bail!("{} has ended; it said:\n{}", process.name(), process.log());
                }
            }
            if Instant::now() > deadline {
                bail!("not every address is carried within {PATIENCE:?}: {:?}\n{}", status, self.logs());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The end of what every process printed, for a failure's message.
    pub fn logs(&self) -> String {
        let processes = self.controller.iter().chain(self.speakers.values());
        processes.map(|process| format!("--- {}\n{}\n", process.name(), process.log_end(15))).collect()
    }

    /// The address of one family that `service` (`namespace/name`) was given.
    ///
    /// # Errors
    /// It has none.
    pub fn address_of(&self, service: &str, ipv4: bool) -> Result<IpAddr> {
        let status = self.status()?;
        let mut addresses =
            status.addresses.iter().filter(|found| found.services.iter().any(|name| name == service));
        let found = addresses.find(|found| found.address.is_ipv4() == ipv4);
        found.map(|found| found.address).with_context(|| format!("{service} has no such address: {status:?}"))
    }

    /// Makes it a contender: trials probe the IPv4 address of `service` (`namespace/name`), whose `port` echoes UDP.
    ///
    /// # Errors
    /// The Service has no IPv4 address.
    pub fn contend(self, service: &str, port: u16) -> Result<Contestant> {
        let target = SocketAddr::new(self.address_of(service, true)?, port);
        // Of a Service with addresses of both families; most have one.
        let target_v6 = self.address_of(service, false).ok().map(|address| SocketAddr::new(address, port));
        Ok(Contestant { installation: self, name: "FerroLB", hello: HELLO, target, target_v6 })
    }

    /// The same for addresses that are put on the nodes' interfaces: every node echoes UDP there by itself.
    ///
    /// # Errors
    /// The lab fails.
    pub fn contend_bound(mut self, target: SocketAddr, target_v6: SocketAddr) -> Result<Contestant> {
        for node in &self.lab.nodes {
            for at in [target, target_v6] {
                self.servers.push(backend::udp_echo(&node.namespace, node, at)?);
            }
        }
        let target_v6 = Some(target_v6);
        Ok(Contestant { installation: self, name: "FerroLB, bound", hello: HELLO, target, target_v6 })
    }

    /// The lab that it runs in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }
}

impl Contestant {
    /// The same under another name, with speakers that say hello each `hello`.
    #[must_use]
    pub fn called(self, name: &'static str, hello: Duration) -> Self {
        Self { name, hello, ..self }
    }
}

impl Contender for Contestant {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lab(&self) -> &Lab {
        &self.installation.lab
    }

    fn target(&self) -> SocketAddr {
        self.target
    }

    fn target_v6(&self) -> Option<SocketAddr> {
        self.target_v6
    }

    fn advert_interval(&self) -> Duration {
        self.hello
    }

    fn process(&self, node: &str) -> Result<&Process> {
        self.installation.speakers.get(node).with_context(|| format!("no speaker runs on {node}"))
    }

    // Hellos go over IPv4 wherever there is IPv4, whatever the family of the addresses.
    fn is_advert(&self, frame: &Frame, place: Place, _: IpAddr) -> bool {
        matches!(frame.content, Content::Udp { from, port: HELLO_PORT, .. } if from == IpAddr::V4(place.ipv4()))
    }

    fn recovery(&self) -> Duration {
        Duration::from_millis(2000)
    }

    fn leave(&mut self, node: &str) -> Result<()> {
        self.installation.stop_speaker(node)
    }

    fn rejoin(&mut self, node: &str) -> Result<()> {
        self.installation.start_speaker(node)
    }
}
