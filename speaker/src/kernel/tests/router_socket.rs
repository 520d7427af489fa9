// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! TCP sockets towards routers, against a real kernel.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::num::NonZeroU8;
use std::time::Duration;

use super::super::router_socket::{Password, Reach, RouterListener, SignatureFaults, Transport, everywhere};
use crate::namespace::{Namespace, WIRE};

const PORT: u16 = 1790;
const SOON: Duration = Duration::from_secs(10);

fn transport(peer: &str) -> Transport {
    let peer = SocketAddr::new(peer.parse().expect("an address"), PORT);
    Transport { peer, source: None, interface: None, password: None, reach: Reach::Link }
}

fn password(text: &str) -> Option<Password> {
    Some(Password::new(text.as_bytes()).expect("short enough"))
}

/// Connects, waiting no longer than `patience`.
fn connect(transport: &Transport, patience: Duration) -> io::Result<TcpStream> {
    let socket = transport.prepare().map_err(|error| io::Error::new(error.kind(), error))?;
    socket.set_nonblocking(false)?;
    socket.connect_timeout(&transport.peer.into(), patience)?;
    Ok(socket.into())
}

/// Listens in `node` on both families, where `from` has to sign with `key`; says one octet to whoever comes and adopts him with
/// `reach`.
fn serve(
    node: &Namespace,
    from: &'static str,
    key: Option<Password>,
    reach: Reach,
) -> std::thread::JoinHandle<()> {
    let (ready, listens) = std::sync::mpsc::channel();
    let server = node.spawn(move || {
        let from: IpAddr = from.parse().expect("an address");
        let address = everywhere(PORT).into_iter().find(|address| address.is_ipv4() == from.is_ipv4());
        let listener = RouterListener::open(address.expect("both families")).expect("the port is free");
        listener.set_password(from, key.as_ref()).expect("the kernel knows MD5");
        ready.send(()).expect("the test waits");
        let socket = listener.listener().expect("a descriptor");
        socket.set_nonblocking(false).expect("an option of every socket");
        let (mut stream, came) = socket.accept().expect("somebody comes");
        let transport = Transport { peer: came, reach, ..transport(&came.ip().to_string()) };
        transport.adopt(&stream).expect("the kernel takes the options");
        stream.set_nonblocking(false).expect("an option of every socket");
        stream.set_write_timeout(Some(SOON)).expect("an option of every socket");
        stream.write_all(b"x").expect("connected");
        // Until the other side closes it.
        let _end = stream.read(&mut [0]);
    });
    listens.recv_timeout(SOON).expect("it listens");
    server
}

#[test]
fn a_password_works_for_both_families_and_only_the_right_one() {
    for (from, to) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let (left, right) = Namespace::pair();
        let server = serve(&right, from, password("right"), Reach::Anywhere);
        let signed = |key: Option<Password>| Transport { password: key, ..transport(to) };
        let (wrong, none, good) = (signed(password("wrong")), signed(None), signed(password("right")));
        let failed = left.run(move || {
            [wrong, none].map(|transport| {
                connect(&transport, Duration::from_millis(600)).map_err(|error| error.kind()).err()
            })
        });
        assert_eq!(failed, [Some(ErrorKind::TimedOut); 2], "to {to}");
        assert!(
            right.run(SignatureFaults::read).is_some_and(|faults| faults.wrong > 0 && faults.missing > 0),
            "the kernel counts them where they arrive"
        );
        let heard = left.run(move || {
            let mut octet = [0];
            connect(&good, SOON)?.read_exact(&mut octet)?;
            io::Result::Ok(octet)
        });
        assert_eq!(heard.expect("the right password"), *b"x");
        server.join().expect("the server heard somebody");
    }
}

#[test]
fn who_proves_to_be_near_takes_no_packet_from_afar() {
    for (from, to) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let one = NonZeroU8::MIN;
        for (theirs, hears) in [(Reach::Proven(one), true), (Reach::Link, false)] {
            let (left, right) = Namespace::pair();
            let server = serve(&right, from, None, theirs);
            let near = Transport { reach: Reach::Proven(one), ..transport(to) };
            let heard = left.run(move || {
                // The listener answers with a TTL of 255 whatever comes later.
                let mut stream = connect(&near, SOON).expect("connected");
                stream.set_read_timeout(Some(Duration::from_secs(1))).expect("an option of every socket");
                stream.read_exact(&mut [0]).is_ok()
            });
            assert_eq!(heard, hears, "{theirs:?} to {to}");
            server.join().expect("the server heard somebody");
        }
    }
}

#[test]
fn a_session_speaks_from_the_address_and_interface_it_is_told() {
    let (left, right) = Namespace::pair();
    left.ip(&format!("address add 192.0.2.77/24 dev {WIRE}"));
    let server = serve(&right, "192.0.2.77", None, Reach::Anywhere);
    let chosen = Transport {
        source: Some(IpAddr::from([192, 0, 2, 77])),
        interface: Some(WIRE.to_owned()),
        ..transport("192.0.2.2")
    };
    let from = left.run(move || connect(&chosen, SOON).and_then(|stream| stream.local_addr()));
    assert_eq!(from.expect("connected").ip(), IpAddr::from([192, 0, 2, 77]));
    server.join().expect("the server heard somebody");
}

#[test]
fn what_the_kernel_refuses_is_named() {
    let (left, _right) = Namespace::pair();
    let (words, foreign) = left.run(|| {
        let nowhere = Transport { interface: Some("absent0".to_owned()), ..transport("192.0.2.2") };
        let foreign = Transport { source: Some(IpAddr::from([203, 0, 113, 1])), ..transport("192.0.2.2") };
        let words = |transport: Transport| transport.prepare().expect_err("refused").to_string();
        (words(nowhere), words(foreign))
    });
    assert!(words.starts_with("cannot set the interface: No such device"), "{words}");
    assert!(foreign.starts_with("cannot set the source address: Cannot assign"), "{foreign}");
}
