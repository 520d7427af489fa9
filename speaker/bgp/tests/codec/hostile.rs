// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Nothing that a peer sends makes the codec panic, run away or hold more than one message.

use fastrand::Rng;
use ferrolb_bgp::{
    Capabilities, CodeSet, Families, Fault, Frame, Framer, Message, Negotiated, Notification, Update,
    message, notification,
};

use crate::{
    corpus,
    damage::{damage, damaged},
};

/// What became of messages, so that a test can tell that it came to all of it.
#[derive(Debug, Default)]
struct Tally {
    headers: usize,
    bodies: usize,
    right: usize,
    discarded: usize,
    withdrawn: usize,
    ended: usize,
}

impl Tally {
    fn take(&mut self, bytes: &[u8], limit: usize, sessions: &[Negotiated]) {
        let frame = match Frame::first_of(bytes, limit) {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(fault) => {
                self.headers += 1;
                return said(&fault);
            }
        };
        match Message::decode(frame) {
            Err(fault) => {
                self.bodies += 1;
                said(&fault);
            }
            Ok(Message::Update(body)) => {
                for session in sessions {
                    match body.read(session) {
                        Ok(update) => self.update(&update, bytes.len()),
                        Err(fault) => {
                            self.ended += 1;
                            said(&fault);
                        }
                    }
                }
            }
            Ok(Message::Notification(heard)) => bounded(&heard),
            // What we can say at all is said in the same words again.
            Ok(Message::Open(open)) => {
                let Capabilities { others, multiprotocol, .. } = open.capabilities;
                if others == CodeSet::default() && multiprotocol != Some(Families::NONE) {
                    same_again(&Message::Open(open));
                }
            }
            Ok(other) => same_again(&other),
        }
    }

    fn update(&mut self, update: &Update<'_>, length: usize) {
        let routes = update.announced().count() + update.withdrawn().count();
        assert!(routes <= length, "{routes} routes in {length} octets");
        assert!(update.discarded().len() <= 18);
        let attributes = update.attributes();
        let listed = attributes.communities().count()
            + attributes.extended_communities().count()
            + attributes.large_communities().count();
        let paths = [attributes.as_path, attributes.as4_path].into_iter().flatten();
        let numbers: usize = paths.map(|path| path.numbers().count()).sum();
        assert!(listed + numbers <= length);
        match (update.fault(), update.discarded()) {
            (Some(_), _) => self.withdrawn += 1,
            (None, []) => self.right += 1,
            (None, _) => self.discarded += 1,
        }
    }
}

/// A fault can be told to the peer and to people, in one message.
fn said(fault: &Fault) {
    let bytes = Message::Notification(fault.notification()).to_bytes();
    assert!(bytes.len() <= message::STANDARD_LEN);
    assert!(!fault.to_string().is_empty());
}

fn same_again(read: &Message<'_>) {
    let bytes = read.to_bytes();
    let frame = Frame::first_of(&bytes, message::EXTENDED_LEN).unwrap().unwrap();
    assert_eq!(Message::decode(frame).as_ref(), Ok(read));
}

fn bounded(heard: &Notification) {
    assert!(heard.data().len() <= notification::MAX_DATA);
    assert!(heard.text().is_none_or(|text| !text.chars().any(char::is_control)));
    assert!(!heard.to_string().is_empty());
}

#[test]
fn a_million_damaged_messages_do_no_harm() {
    let (messages, sessions) = (corpus::messages(), corpus::sessions());
    let (mut random, mut tally) = (Rng::with_seed(1), Tally::default());
    for _ in 0..1_000_000 {
        let mut bytes = damaged(&mut random, &messages);
        if random.u8(..) < 8 {
            damage(&mut random, &mut bytes);
        }
        let limit = if random.bool() { message::STANDARD_LEN } else { message::EXTENDED_LEN };
        let one = random.usize(..sessions.len());
        tally.take(&bytes, limit, &sessions[one..=one]);
    }
    let Tally { headers, bodies, right, discarded, withdrawn, ended } = tally;
    for (count, what) in [
        (headers, "headers"),
        (bodies, "bodies"),
        (right, "right"),
        (discarded, "discarded"),
        (withdrawn, "withdrawn"),
        (ended, "ended"),
    ] {
        assert!(count > 5_000, "{count} {what}");
    }
}

#[test]
fn long_messages_of_nothing_but_the_smallest_parts_are_read_in_one_go() {
    let sessions = corpus::sessions();
    let list = [0x40, 6, 1, 0].repeat(16_000);
    let length = u16::try_from(list.len()).unwrap().to_be_bytes();
    let attributes = [&[0, 0], &length[..], &list].concat();
    let routes = [&[0, 0, 0, 0][..], &[0; 65_000]].concat();
    let path = [2, 1, 0, 0, 0, 1].repeat(10_000);
    let length = u16::try_from(path.len()).unwrap().to_be_bytes();
    let whole = (u16::from_be_bytes(length) + 4).to_be_bytes();
    let paths = [&[0, 0][..], &whole, &[0x50, 2], &length, &path].concat();
    let mut tally = Tally::default();
    for body in [attributes, routes, paths] {
        let bytes = Message::Update(ferrolb_bgp::UpdateBody::new(&body)).to_bytes();
        tally.take(&bytes, message::EXTENDED_LEN, &sessions);
    }
    assert_eq!(tally.right + tally.discarded + tally.withdrawn + tally.ended, 3 * sessions.len());
}

#[test]
fn a_damaged_stream_ends_and_its_buffer_does_not_grow() {
    let messages = corpus::messages();
    let mut random = Rng::with_seed(3);
    let (mut heard, mut broken) = (0, 0);
    for _ in 0..3_000 {
        let mut stream: Vec<u8> =
            (0..20).flat_map(|_| messages[random.usize(..messages.len())].clone()).collect();
        damage(&mut random, &mut stream);
        let mut framer = Framer::new();
        let mut stream = stream.as_slice();
        'stream: while !stream.is_empty() {
            let room = framer.room();
            assert!(!room.is_empty() && room.len() <= message::STANDARD_LEN);
            let count = random.usize(1..=2_000).min(room.len()).min(stream.len());
            room[..count].copy_from_slice(&stream[..count]);
            framer.filled(count);
            stream = &stream[count..];
            loop {
                match framer.next_frame() {
                    Ok(Some(_)) => heard += 1,
                    Ok(None) => break,
                    Err(_) => {
                        broken += 1;
                        break 'stream;
                    }
                }
            }
        }
    }
    assert!(heard > 20_000 && broken > 1_000, "{heard} heard, {broken} broken");
}
