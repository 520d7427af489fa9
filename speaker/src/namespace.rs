// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Network namespaces for tests: real interfaces and real frames, nothing left behind.
//!
//! A namespace belongs to a thread and has no name, so the kernel removes it with its interfaces when the thread
//! ends, however the test ends.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::process::Command;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// The name of the interface in each of two connected namespaces.
pub(crate) const WIRE: &str = "wire0";

/// A network namespace and the thread that lives in it.
pub(crate) struct Namespace {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    task: nix::unistd::Pid,
}

impl Namespace {
    /// An empty namespace with its loopback up.
    pub(crate) fn new() -> Self {
        let (jobs, work) = mpsc::channel::<Job>();
        let (ready, entered) = mpsc::channel();
        let thread = thread::spawn(move || {
            let entry = unshare(CloneFlags::CLONE_NEWNET).map(|()| nix::unistd::gettid());
            ready.send(entry).expect("the creator waits");
            for job in work {
                job();
            }
        });
        let task = entered.recv().expect("the thread answers").expect(
            "network tests make namespaces and need CAP_SYS_ADMIN: run them as root, or under `unshare --user --map-root-user`",
        );
        let namespace = Self { jobs: Some(jobs), thread: Some(thread), task };
        namespace.ip("link set lo up");
        namespace
    }

    /// Two namespaces joined by a wire, `wire0` on both ends, up, with the addresses 192.0.2.1 and .2 /24 and
    /// 2001:db8::1 and ::2 /64, and the MAC addresses 02:…:01 and 02:…:02.
    pub(crate) fn pair() -> (Self, Self) {
        let (left, right) = (Self::new(), Self::new());
        left.ip(&format!("link add {WIRE} type veth peer name {WIRE} netns {}", right.task));
        left.configure(1);
        right.configure(2);
        left.wait_for_ipv6();
        right.wait_for_ipv6();
        (left, right)
    }

    /// A switch, whose ports are `port1`, `port2`, …, and as many namespaces plugged into it by their `wire0`, with
    /// the addresses 192.0.2.1, .2, … /24 and 2001:db8::1, ::2, … /64.
    pub(crate) fn switch<const N: usize>() -> (Self, [Self; N]) {
        let switch = Self::new();
        switch.ip("link add switch0 type bridge");
        switch.ip("link set switch0 up");
        let nodes = std::array::from_fn(|position| {
            let (node, host) = (Self::new(), position + 1);
            switch.connect(&node, host);
            node
        });
        nodes.iter().for_each(Self::wait_for_ipv6);
        (switch, nodes)
    }

    /// Plugs a namespace that has lost its `wire0` in again.
    pub(crate) fn plug(&self, node: &Self, host: usize) {
        self.connect(node, host);
        node.wait_for_ipv6();
    }

    fn connect(&self, node: &Self, host: usize) {
        node.ip(&format!("link add {WIRE} type veth peer name port{host} netns {}", self.task));
        self.ip(&format!("link set port{host} master switch0 up"));
        node.configure(host);
    }

    fn configure(&self, host: usize) {
        self.ip(&format!("link set {WIRE} address 02:00:00:00:00:{host:02x}"));
        self.set("net/ipv6/conf/wire0/accept_dad", "0");
        self.ip(&format!("address add 192.0.2.{host}/24 dev {WIRE}"));
        self.ip(&format!("address add 2001:db8::{host}/64 dev {WIRE} nodad"));
        self.ip(&format!("link set {WIRE} up"));
    }

    /// The kernel makes the link-local address and its routes a while after the wire is up.
    fn wait_for_ipv6(&self) {
        let index = self.wire();
        self.run(move || {
            let end = Instant::now() + Duration::from_secs(5);
            let all_nodes = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 9, 0, index);
            let sends = || {
                let addresses = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
                let link_local =
                    addresses.lines().any(|line| line.starts_with("fe80") && line.contains(WIRE));
                link_local
                    && UdpSocket::bind("[::]:0").is_ok_and(|socket| socket.send_to(b"", all_nodes).is_ok())
            };
            while !sends() {
                assert!(Instant::now() < end, "no IPv6 on {WIRE} after 5 s");
                thread::sleep(Duration::from_millis(5));
            }
        });
    }

    /// Runs `work` inside; processes that it starts are inside too.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (give, take) = mpsc::channel();
        let job: Job = Box::new(move || give.send(work()).expect("the caller waits"));
        self.jobs.as_ref().expect("alive until dropped").send(job).expect("the thread lives");
        take.recv().expect("the job inside the namespace ran to its end")
    }

    /// Starts `work` on another thread inside.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        // A new thread starts in the namespace of the one that starts it.
        self.run(move || thread::spawn(work))
    }

    /// `ip` with these arguments, inside.
    pub(crate) fn ip(&self, arguments: &str) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let shown = arguments.join(" ");
        let output =
            self.run(move || Command::new("ip").args(arguments).output().expect("iproute2 is installed"));
        assert!(output.status.success(), "ip {shown}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sets a sysctl, inside.
    pub(crate) fn set(&self, name: &str, value: &'static str) {
        let path = format!("/proc/sys/{name}");
        self.run(move || std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}")));
    }

    /// The number of `wire0`.
    pub(crate) fn wire(&self) -> u32 {
        self.run(|| nix::net::if_::if_nametoindex(WIRE).expect("wire0 exists"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A job that panicked has already failed its test.
            let _ended = thread.join();
        }
    }
}
