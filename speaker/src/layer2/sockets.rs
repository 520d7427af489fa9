// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The sockets of one segment, and what goes through them counted.
//!
//! Nothing that the network does ends a segment: what cannot be sent is counted and dropped, as if the wire had
//! lost it, and the protocol is made for that.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use ferrolb_layer2::{Destination, LinkState};
use tracing::debug;

use super::joining::Joining;
use super::observed::Traffic;
use crate::kernel::links::LinkIndex;
use crate::kernel::{Batch, Family, Frame, FrameKind, HelloDatagram, HelloSocket, PacketSocket};

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// The sockets of one segment.
#[derive(Debug)]
pub(super) struct Sockets {
    /// One or two: either family may be switched off in the kernel, and one is enough to be heard.
    hellos: Vec<HelloSocket>,
    /// Hellos in frames.
    carried: PacketSocket,
    /// ARP, neighbour discovery.
    frames: [PacketSocket; 2],
    /// What ports answer over IPv4 and IPv6, as long as that is wanted: the kernel shows these sockets every packet.
    port_answers: [Option<PacketSocket>; 2],
    /// Answers of ports are wanted and cannot be heard.
    deaf_for_ports: bool,
    index: LinkIndex,
    memberships: Joining,
    traffic: Traffic,
}

impl Sockets {
    /// Opens everything on the interface `index`, named `name`.
    pub(super) fn open(index: LinkIndex, name: &str) -> io::Result<Self> {
        let frames = [
            PacketSocket::open(index, FrameKind::Arp)?,
            PacketSocket::open(index, FrameKind::NeighborDiscovery)?,
        ];
        let carried = PacketSocket::open(index, FrameKind::CarriedHellos)?;
        let hellos = match [Family::V4, Family::V6].map(|family| HelloSocket::open(index, name, family)) {
            [Err(error), Err(_)] => return Err(error),
            families => families.into_iter().flatten().collect(),
        };
        let memberships = Joining::new(index);
        let port_answers = [None, None];
        let deaf_for_ports = false;
        Ok(Self {
            hellos,
            carried,
            frames,
            port_answers,
            deaf_for_ports,
            index,
            memberships,
            traffic: Traffic::default(),
        })
    }

    /// The sockets of hellos, to wait for.
    pub(super) fn hello_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.hellos.iter().map(AsFd::as_fd).chain([self.carried.as_fd()])
    }

    /// The sockets of frames, to wait for.
    pub(super) fn frame_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.frames.iter().chain(self.port_answers.iter().flatten()).map(AsFd::as_fd)
    }

    /// How many sockets there are for hellos, and for frames.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.hellos.len(), self.frames.len())
    }

    /// The next hellos of the socket `which`; none when it is empty or has an error to tell.
    pub(super) fn next_hellos<'a>(
        &mut self,
        which: usize,
        batch: &'a mut Batch,
    ) -> Option<impl Iterator<Item = HelloDatagram<'a>> + use<'a>> {
        match self.hellos.get_mut(which)?.receive(batch) {
            Ok(hellos) => Some(hellos),
            Err(error) => self.traffic.receive_failed(&error),
        }
    }

    /// The next frame that carries a hello; none when there is none or the socket has an error to tell.
    pub(super) fn next_carried<'a>(&mut self, buffer: &'a mut [u8]) -> Option<Frame<'a>> {
        let frame = self.carried.receive(buffer);
        let frame = frame.unwrap_or_else(|error| self.traffic.receive_failed(&error))?;
        count(&mut self.traffic.carried_received);
        Some(frame)
    }

    /// Sends a hello in a frame.
    pub(super) fn send_carried(&mut self, frame: &[u8]) {
        match self.carried.send(frame) {
            Ok(()) => count(&mut self.traffic.carried_sent),
            Err(error) => self.traffic.send_failed(&error),
        }
    }

    /// So many hellos came in.
    pub(super) fn heard(&mut self, hellos: usize) {
        let hellos = u64::try_from(hellos).unwrap_or(u64::MAX);
        self.traffic.hellos_received = self.traffic.hellos_received.saturating_add(hellos);
    }

    /// The next frame of the socket `which`; none when it is empty or has an error to tell.
    pub(super) fn next_frame<'a>(&mut self, which: usize, buffer: &'a mut [u8]) -> Option<Frame<'a>> {
        let frame = self.frames.get_mut(which)?.receive(buffer);
        let frame = frame.unwrap_or_else(|error| self.traffic.receive_failed(&error))?;
        count(&mut self.traffic.frames_received);
        Some(frame)
    }

    /// Sends a hello. To everybody it goes over IPv4 if the interface has such an address, else over IPv6.
    pub(super) fn send_hello(&mut self, to: Destination, payload: &[u8], link: &LinkState) {
        let family = match to {
            Destination::Multicast if has_ipv4(link) => Family::V4,
            Destination::Unicast(IpAddr::V4(_)) => Family::V4,
            Destination::Multicast | Destination::Unicast(IpAddr::V6(_)) => Family::V6,
        };
        let Some(socket) = self.hellos.iter().find(|socket| socket.family() == family) else {
            count(&mut self.traffic.send_errors);
            return;
        };
        let sent = match to {
            Destination::Multicast => socket.multicast(payload),
            Destination::Unicast(address) => socket.unicast(payload, address),
        };
        match sent {
            Ok(()) => count(&mut self.traffic.hellos_sent),
            Err(error) => self.traffic.send_failed(&error),
        }
    }

    /// The next answer of a port over IPv4 (`which` is 0) or IPv6 (1).
    pub(super) fn next_port_answer<'a>(&mut self, which: usize, buffer: &'a mut [u8]) -> Option<Frame<'a>> {
        let frame = self.port_answers.get_mut(which)?.as_mut()?.receive(buffer);
        frame.unwrap_or_else(|error| self.traffic.receive_failed(&error))
    }

    /// Listens for what ports answer, over the families that are tried.
    pub(super) fn listen_for_ports(&mut self, (v4, v6): (bool, bool)) {
        self.deaf_for_ports = false;
        let kinds = [(v4, FrameKind::TcpAnswersV4), (v6, FrameKind::TcpAnswersV6)];
        for (socket, (wanted, kind)) in self.port_answers.iter_mut().zip(kinds) {
            match (wanted, socket.is_some()) {
                (true, false) => match PacketSocket::open(self.index, kind) {
                    Ok(opened) => *socket = Some(opened),
                    Err(error) => {
                        self.deaf_for_ports = true;
                        debug!(%error, "cannot listen for the answers of ports");
                        count(&mut self.traffic.receive_errors);
                    }
                },
                (false, true) => *socket = None,
                _ => {}
            }
        }
    }

    /// Whether ports had better not be tried: no answer would be heard.
    pub(super) fn is_deaf_for_ports(&self) -> bool {
        self.deaf_for_ports
    }

    /// Sends an Ethernet frame, through the socket of its kind. A port is not asked where its answer could not be heard.
    pub(super) fn send_frame(&mut self, frame: &[u8]) {
        let [arp, neighbour_discovery] = &self.frames;
        let [port_v4, port_v6] = &self.port_answers;
        let ethertype = frame.get(12..14).unwrap_or_default();
        let socket = if ethertype == ETHERTYPE_IPV4 {
            port_v4.as_ref()
        } else if ethertype != ETHERTYPE_IPV6 {
            Some(arp)
        } else if frame.get(20) == Some(&ICMPV6) {
            Some(neighbour_discovery)
        } else {
            port_v6.as_ref()
        };
        let Some(socket) = socket else {
            count(&mut self.traffic.send_errors);
            return;
        };
        match socket.send(frame) {
            Ok(()) => count(&mut self.traffic.frames_sent),
            Err(error) => self.traffic.send_failed(&error),
        }
    }

    /// Joins the solicited-node groups of these addresses and no others, in a while.
    pub(super) fn join(&mut self, addresses: Vec<Ipv6Addr>) {
        self.memberships.want(addresses);
    }

    /// The counters until now.
    pub(super) fn traffic(&mut self) -> Traffic {
        for socket in &self.frames {
            match socket.take_drops() {
                Ok(drops) => {
                    self.traffic.frames_dropped = self.traffic.frames_dropped.saturating_add(drops.into());
                }
                Err(error) => debug!(%error, "the kernel does not tell what it dropped"),
            }
        }
        self.traffic.join_errors = self.memberships.errors();
        self.traffic
    }
}

impl Traffic {
    fn send_failed(&mut self, error: &io::Error) {
        debug!(%error, "cannot send");
        count(&mut self.send_errors);
    }

    fn receive_failed<T>(&mut self, error: &io::Error) -> Option<T> {
        // Told once to every packet socket whose interface goes down.
        if error.kind() != io::ErrorKind::NetworkDown {
            debug!(%error, "cannot receive");
            count(&mut self.receive_errors);
        }
        None
    }
}

fn has_ipv4(link: &LinkState) -> bool {
    link.addresses.iter().any(|net| net.addr().is_ipv4())
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
