// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A lab whose first node runs a data path.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_lab::addresses::{POD_TCP, POD_UDP, pod_v4, pod_v6};
use ferrolb_lab::backend::{self, Server};
use ferrolb_lab::{Lab, Namespace, Node, Place};
use ferrolb_speaker::datapath::{
    self, Backends, Clients, Condition, DataPath, Frontend, Observed, Protocol, Role, Setup, Source,
};
use tokio::sync::{mpsc, watch};

pub const VIP4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 100));
pub const VIP6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x100));
pub const BOTH: [IpAddr; 2] = [VIP4, VIP6];
/// Long enough for anything that should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(5);

/// Two nodes with a pod each, of which `n1` carries the virtual IPs.
pub struct Rig {
    pub lab: Lab,
    _servers: Vec<Server>,
}

impl Rig {
    pub fn build() -> Result<Self> {
        let lab = Lab::build(2)?;
        let servers = backend::in_pods(&lab)?;
        let rig = Rig { lab, _servers: servers };
        rig.point(&rig.lab.client, Place::Node(1))?;
        Ok(rig)
    }

    /// Tells a station which node carries the virtual IPs.
    pub fn point(&self, station: &Namespace, owner: Place) -> Result<()> {
        for vip in BOTH {
            let mac = owner.mac().to_string();
            self.shell(
                station,
                "ip",
                &["neigh", "replace", &vip.to_string(), "lladdr", &mac, "dev", "eth0"],
            )?;
        }
        Ok(())
    }

    pub fn node(&self) -> &Node {
        self.lab.nodes.first().unwrap_or_else(|| unreachable!("a lab has nodes"))
    }

    pub fn shell(&self, namespace: &Namespace, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments);
        self.lab.output(namespace, command)
    }

    pub fn nft(&self, arguments: &[&str]) -> Result<String> {
        self.shell(&self.node().namespace, "nft", arguments)
    }

    /// Starts a data path on `n1` and waits until it has done what `desired` says.
    pub fn start(&self, desired: &DataPath) -> Result<Running> {
        self.start_on(self.node(), desired)
    }

    /// The same on any node.
    pub fn start_on(&self, node: &Node, desired: &DataPath) -> Result<Running> {
        let running = self.start_undecided(node)?;
        running.set(desired)?;
        Ok(running)
    }

    /// Starts a data path that is not told yet what to do.
    pub fn start_undecided(&self, node: &Node) -> Result<Running> {
        self.start_as(node, Setup::NFTables)
    }

    /// The same, set up in another way.
    pub fn start_as(&self, node: &Node, setup: Setup) -> Result<Running> {
        let (desire, desired) = watch::channel(None);
        let (end, mut ending) = mpsc::channel(1);
        let (started, starting) = std::sync::mpsc::sync_channel(1);
        let thread = node.namespace.start("datapath", move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let handle = datapath::start(setup, desired);
                started.send(handle.observed())?;
                match ending.recv().await {
                    Some(End::Linger(rest)) => Ok(handle.linger(rest).await),
                    Some(End::Kill) | None => Ok(Ok(())),
                }
            })
        })?;
        let observed = starting.recv_timeout(SOON)?;
        Ok(Running { desire, observed, end, thread })
    }

    /// What the backend says to a request from the client: (node, client's address).
    pub fn ask(&self, vip: IpAddr, port: u16) -> Result<(String, IpAddr)> {
        backend::ask(&self.lab.client, SocketAddr::new(vip, port))
    }

    /// How a connection attempt of the client ends.
    pub fn connect(&self, target: SocketAddr, patience: Duration) -> Result<Result<(), std::io::ErrorKind>> {
        self.lab
            .client
            .run(|| Ok(TcpStream::connect_timeout(&target, patience).map(drop).map_err(|error| error.kind())))
    }

    /// A datagram from a new socket of the client, answered within `patience` or not.
    pub fn udp_answers(&self, target: SocketAddr, patience: Duration) -> Result<bool> {
        self.lab.client.run(|| Ok(exchange(&udp_socket(target)?, patience)))
    }

    /// Whether the client's ping is answered.
    pub fn ping(&self, target: IpAddr) -> bool {
        self.shell(&self.lab.client, "ping", &["-c1", "-W1", &target.to_string()]).is_ok()
    }
}

enum End {
    Kill,
    Linger(Duration),
}

/// A running data path.
pub struct Running {
    desire: watch::Sender<Option<Arc<DataPath>>>,
    observed: watch::Receiver<Observed>,
    end: mpsc::Sender<End>,
    thread: JoinHandle<Result<Result<(), Condition>>>,
}

impl Running {
    /// Tells it what to do and waits until that is in the kernel.
    pub fn set(&self, desired: &DataPath) -> Result<()> {
        self.desire(desired);
        self.wait("the rules", |observed| observed.serving.as_deref() == Some(desired))
    }

    pub fn desire(&self, desired: &DataPath) {
        self.desire.send_replace(Some(Arc::new(desired.clone())));
    }

    pub fn observed(&self) -> Observed {
        self.observed.borrow().clone()
    }

    pub fn wait(&self, what: &str, done: impl Fn(&Observed) -> bool) -> Result<()> {
        eventually(what, SOON, || Ok(done(&self.observed())))
    }

    /// Ends it as SIGKILL would: the rules stay as they are.
    pub fn kill(self) -> Result<()> {
        self.finish(End::Kill)
    }

    pub fn linger(self, rest: Duration) -> Result<()> {
        self.finish(End::Linger(rest))
    }

    fn finish(self, end: End) -> Result<()> {
        self.end.blocking_send(end).context("the data path ended by itself")?;
        let result = self.thread.join().map_err(|_| anyhow::anyhow!("the data path panicked"))??;
        result.map_err(|condition| anyhow::anyhow!("{condition}"))
    }
}

/// Waits until `done`, looking again and again.
pub fn eventually(what: &str, patience: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + patience;
    while !done()? {
        ensure!(Instant::now() < until, "{what} did not come within {patience:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The flows of a client that opens a new UDP socket for each datagram, one after the other.
pub struct NewFlows {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(usize, usize)>>,
}

impl NewFlows {
    pub fn start(rig: &Rig, target: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = rig.lab.client.start("new-flows", move || {
            let (mut sent, mut lost) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                sent += 1;
                let begun = Instant::now();
                if !exchange(&udp_socket(target)?, Duration::from_millis(500)) {
                    eprintln!("a flow to {target} was lost after {:?}", begun.elapsed());
                    lost += 1;
                }
            }
            Ok((sent, lost))
        })?;
        Ok(NewFlows { stop, thread })
    }

    /// How many flows there were, and how many got no answer.
    pub fn finish(self) -> Result<(usize, usize)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the prober panicked"))?
    }
}

pub fn udp_socket(target: SocketAddr) -> Result<UdpSocket> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(target)?;
    Ok(socket)
}

/// Sends a datagram and waits for the answer.
pub fn exchange(socket: &UdpSocket, patience: Duration) -> bool {
    let patient = socket.set_read_timeout(Some(patience)).is_ok();
    patient && socket.send(b"ask").is_ok() && socket.recv(&mut [0; 64]).is_ok()
}

/// The pods behind the nodes of `indices`, on both families.
pub fn pods(indices: &[u8], port: u16) -> Vec<SocketAddr> {
    let both = |index: &u8| [IpAddr::V4(pod_v4(*index)), IpAddr::V6(pod_v6(*index))];
    indices.iter().flat_map(both).map(|pod| SocketAddr::new(pod, port)).collect()
}

pub fn backends(source: Source, endpoints: Vec<SocketAddr>) -> Backends {
    Backends {
        service: "default/echo".to_owned(),
        source,
        endpoints: endpoints.into_iter().collect(),
        affinity: false,
        clients: Clients::Anyone,
    }
}

pub fn frontend(address: IpAddr, protocol: Protocol, port: u16) -> Frontend {
    Frontend { address, protocol, port: NonZeroU16::new(port).unwrap_or(NonZeroU16::MAX) }
}

/// Both virtual IPs on this node, TCP 80 and UDP 53 of each leading to the pods behind the nodes of `indices`.
pub fn service(source: Source, indices: &[u8]) -> DataPath {
    let mut desired = DataPath::default();
    for vip in BOTH {
        desired.vips.insert(vip, Role::Candidate);
        for (protocol, port, pod_port) in [(Protocol::Tcp, 80, POD_TCP), (Protocol::Udp, 53, POD_UDP)] {
            let backends = backends(source, pods(indices, pod_port));
            desired.ports.insert(frontend(vip, protocol, port), Arc::new(backends));
        }
    }
    desired
}
