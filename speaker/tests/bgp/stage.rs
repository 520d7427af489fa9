// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! A speaker at one end of a wire, and a router at the other.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ferrolb_bfd::{Interval, Path, SessionConfig, SessionView, Timing};
use ferrolb_bgp::peer::Role;
use ferrolb_bgp::{Asn, Capabilities, Families, HoldTime, PeerAs, PeerConfig, RouterId, Stop};
use ferrolb_lab::Namespace;
use ferrolb_lab::router::{Daemon, NODE_LINK, Neighbour, Over, Router, Table, Wire};
use ferrolb_speaker::bfd::{Bfd, PathSettings, Standing};
use ferrolb_speaker::bgp::{Announcement, Listener, PeerSettings, Session, View, Wish};
use ferrolb_speaker::kernel::router_socket::{Password, Reach, Transport, everywhere};
use tokio::sync::{oneshot, watch};

/// Long enough for what takes a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(40);
const PORT: u16 = 179;
const HUNDRED: Interval = Interval::from_millis(100);

/// A wire with both ends.
pub struct Stage {
    pub speaker: Speaker,
    pub router: Box<dyn Router>,
    pub wire: Wire,
}

impl Stage {
    /// Starts a router and a speaker that shall come to a session.
    pub fn build(daemon: Daemon, node: &Neighbour) -> Result<Self> {
        Self::with(daemon, node, &settings(node)?)
    }

    /// The same with a speaker of other settings than what the router expects.
    pub fn with(daemon: Daemon, node: &Neighbour, settings: &PeerSettings) -> Result<Self> {
        let wire = Wire::build()?;
        let router = daemon.start(&wire, node)?;
        let speaker = Speaker::start(&wire.node, settings, Extras::of(node), BTreeMap::new())?;
        Ok(Self { speaker, router, wire })
    }

    /// Waits until the router shows what `expected` wants to see.
    pub fn router_shows(&self, what: &str, expected: impl Fn(&Table) -> bool) -> Result<Table> {
        let begun = Instant::now();
        let mut last = Ok(Table::new());
        while begun.elapsed() < SOON {
            // It may not yet listen to questions.
            last = self.router.routes();
            if let Ok(table) = &last
                && expected(table)
            {
                return last;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let view = self.speaker.view.borrow();
        anyhow::bail!(
            "the router does not show {what}; it shows {last:#?}\nand says {}\nwe say {} {:?}",
            self.router.story(),
            view.peer.state,
            view.last_error(),
        )
    }

    /// Waits until BFD finds the path so.
    pub fn path_is(&self, what: &str, expected: impl Fn(&SessionView) -> bool) -> Result<()> {
        let path = self.speaker.path.as_ref().context("BFD does not look after the path")?;
        let begun = Instant::now();
        loop {
            let standing = path.borrow().clone();
            if standing.session.as_ref().is_some_and(&expected) {
                return Ok(());
            }
            ensure!(begun.elapsed() < SOON, "the path is not {what}: {standing:#?}\n{}", self.router.story());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until both sides are in session and the router was told everything.
    pub fn is_up(&self) -> Result<View> {
        self.speaker.sees("a session", View::is_up_to_date).with_context(|| self.router.story())
    }
}

/// What a speaker does besides its session.
#[derive(Default)]
pub struct Extras {
    /// It takes connections.
    pub listens: bool,
    /// BFD looks after the path.
    pub watched: Option<PathSettings>,
    /// A second session with the same routes.
    pub beside: Option<PeerSettings>,
}

impl Extras {
    /// What a router of `node` expects.
    pub fn of(node: &Neighbour) -> Self {
        let interface = NonZeroU32::new(NODE_LINK);
        let session = |peer| SessionConfig {
            path: Path::SingleHop { peer, interface },
            role: ferrolb_bfd::Role::Active,
            timing: Timing::new(HUNDRED, HUNDRED, 3).unwrap_or(Timing::DEFAULT),
        };
        let peer = Wire::router_address(node.over).parse().ok().filter(|_| node.bfd);
        let watched = peer.map(|peer| PathSettings {
            session: session(peer),
            source: None,
            interface: Some("eth0".to_owned()),
        });
        Self { listens: !node.passive, watched, beside: None }
    }
}

/// A session in a thread of its own inside the node's namespace.
pub struct Speaker {
    wishes: watch::Sender<Option<Arc<Wish>>>,
    pub view: watch::Receiver<View>,
    /// How BFD finds the path, where it looks.
    pub path: Option<watch::Receiver<Standing>>,
    /// The session beside the first.
    pub beside: Option<watch::Receiver<View>>,
    orders: Option<oneshot::Sender<Order>>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// How a speaker ends.
enum Order {
    Stop(Stop),
    /// As a process does that is killed.
    Die,
}

impl Speaker {
    /// Starts one that shall announce `routes`.
    pub fn start(
        node: &Namespace,
        settings: &PeerSettings,
        extras: Extras,
        routes: BTreeMap<&str, Announcement>,
    ) -> Result<Self> {
        let (wishes, wished) = watch::channel(Some(Arc::new(wish(routes)?)));
        let second_wish = wished.clone();
        let (show, shown) = std::sync::mpsc::channel();
        let (orders, order) = oneshot::channel();
        let (settings, watched) = (settings.clone(), extras.watched);
        let thread = node.start("speaker", move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = if extras.listens { Some(Listener::open(&everywhere(PORT))?) } else { None };
                let arrivals = |transport: &Transport| {
                    let listener = listener.as_ref();
                    listener
                        .map(|listener| listener.expect(transport.peer.ip(), transport.password.as_ref()))
                        .transpose()
                };
                let mut session = Session::start(settings.clone(), wished, arrivals(&settings.transport)?);
                let bfd = if watched.is_some() { Some(Bfd::start()?) } else { None };
                let path = match (&bfd, watched) {
                    (Some(bfd), Some(watched)) => Some(bfd.watch(watched).await?),
                    _ => None,
                };
                session.follow(path.clone());
                let second = match extras.beside {
                    Some(settings) => {
                        let arrivals = arrivals(&settings.transport)?;
                        Some(Session::start(settings, second_wish, arrivals))
                    }
                    None => None,
                };
                show.send((session.view(), path, second.as_ref().map(Session::view)))?;
                match order.await {
                    Ok(Order::Stop(stop)) => session.stop(stop).await,
                    Ok(Order::Die) | Err(_) => {}
                }
                Ok(())
            })
        })?;
        match shown.recv_timeout(SOON) {
            Ok((view, path, beside)) => {
                Ok(Self { wishes, view, path, beside, orders: Some(orders), thread: Some(thread) })
            }
            Err(_) => {
                let ended = thread.join().map_err(|_| anyhow::anyhow!("the speaker panicked"))?;
                Err(ended.err().context("the speaker ended")?)
            }
        }
    }

    /// From now on it shall announce these and no others.
    pub fn wish(&self, routes: BTreeMap<&str, Announcement>) -> Result<()> {
        self.wishes.send_replace(Some(Arc::new(wish(routes)?)));
        Ok(())
    }

    /// Waits until the session looks as `expected`.
    pub fn sees(&self, what: &str, expected: impl Fn(&View) -> bool) -> Result<View> {
        Self::waits(&self.view, what, expected)
    }

    /// The same of any session.
    pub fn waits(
        shown: &watch::Receiver<View>,
        what: &str,
        expected: impl Fn(&View) -> bool,
    ) -> Result<View> {
        let begun = Instant::now();
        while begun.elapsed() < SOON {
            let view = shown.borrow().clone();
            if expected(&view) {
                return Ok(view);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let view = shown.borrow();
        anyhow::bail!("no {what} within {SOON:?}: {} {:?}\n{view:#?}", view.peer.state, view.last_error())
    }

    /// Ends it in this way.
    pub fn stop(&mut self, stop: Stop) -> Result<()> {
        self.end(Order::Stop(stop))
    }

    /// Ends it as a process that is killed.
    pub fn die(&mut self) -> Result<()> {
        self.end(Order::Die)
    }

    fn end(&mut self, order: Order) -> Result<()> {
        let orders = self.orders.take().context("the speaker was ended before")?;
        ensure!(orders.send(order).is_ok(), "the speaker ended by itself");
        let thread = self.thread.take().context("the speaker was ended before")?;
        thread.join().map_err(|_| anyhow::anyhow!("the speaker panicked"))?
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // The failure that ends the test is shown, not what follows from it.
            let _ended = thread.join();
        }
    }
}

/// What a speaker is configured with that shall come to a session with a router of `node`.
pub fn settings(node: &Neighbour) -> Result<PeerSettings> {
    let address: IpAddr = Wire::router_address(node.over).parse()?;
    let peer = match address {
        IpAddr::V6(v6) if node.over == Over::LinkLocal => SocketAddrV6::new(v6, PORT, 0, NODE_LINK).into(),
        other => SocketAddr::new(other, PORT),
    };
    let asn = |number| Asn::new(number).context("0 is no autonomous system");
    let reach = match (node.gtsm, node.node_as == node.router_as) {
        (true, _) => Reach::Proven(1.try_into()?),
        (false, true) => Reach::Anywhere,
        (false, false) => Reach::Link,
    };
    Ok(PeerSettings {
        name: "router".to_owned(),
        machine: PeerConfig {
            local_as: asn(node.node_as)?,
            peer_as: PeerAs::Exactly(asn(node.router_as)?),
            router_id: RouterId::new("192.0.2.1".parse()?).context("a router id")?,
            hold_time: HoldTime::from_secs(node.hold).context("a hold time")?,
            keepalive: None,
            role: if node.passive { Role::Active } else { Role::Passive },
            retry: Duration::from_secs(2),
            capabilities: Capabilities {
                multiprotocol: Some(Families::BOTH),
                four_octet_as: true,
                route_refresh: true,
                enhanced_route_refresh: true,
                extended_message: true,
                extended_next_hop: node.extended_next_hop,
                ..Capabilities::default()
            },
            restart: None,
        },
        transport: Transport {
            peer,
            source: None,
            interface: (node.over == Over::LinkLocal).then(|| "eth0".to_owned()),
            password: node.password.as_deref().map(|text| Password::new(text.as_bytes())).transpose()?,
            reach,
        },
    })
}

fn wish(routes: BTreeMap<&str, Announcement>) -> Result<Wish> {
    let route = |(prefix, said): (&str, Announcement)| Ok((prefix.parse()?, Arc::new(said)));
    Ok(Wish { routes: routes.into_iter().map(route).collect::<Result<_>>()? })
}

/// A route with nothing said about it.
pub fn plain() -> Announcement {
    Announcement::default()
}

/// Waits until the router's BFD finds the path up.
pub fn comes_up(router: &dyn Router) -> Result<()> {
    let begun = Instant::now();
    while !router.path_is_up()? {
        ensure!(begun.elapsed() < SOON, "no BFD: {}", router.story());
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
