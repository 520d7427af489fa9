// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! What the peer is told: the wish, in the words of the session that there is.

use std::net::SocketAddr;
use std::sync::Arc;

use ferrolb_bgp::{ConnectionId, Family, Negotiated, RibOut};

use super::super::next_hop::NextHops;
use super::super::{RoutesView, Wish};

/// Octets after which a chunk is full: what is in a chunk cannot be changed any more.
const CHUNK: usize = 32 * 1024;
/// So many of the routes that cannot be sent are shown.
const EXAMPLES: usize = 8;

/// The wish, and how far the session is with it.
#[derive(Debug, Default)]
pub(super) struct Telling {
    wish: Option<Arc<Wish>>,
    session: Option<Told>,
    messages: u64,
}

/// One session's part.
#[derive(Debug)]
struct Told {
    id: ConnectionId,
    agreed: Negotiated,
    next_hops: NextHops,
    rib: RibOut,
    /// It may have something to say.
    busy: bool,
    /// Everything was said once.
    complete: bool,
}

impl Telling {
    pub(super) fn wish(&mut self, wish: Arc<Wish>) {
        if let Some(told) = &mut self.session {
            told.wish(&wish);
        }
        self.wish = Some(wish);
    }

    pub(super) fn begin(&mut self, id: ConnectionId, agreed: Negotiated, ends: (SocketAddr, SocketAddr)) {
        let (local, peer) = (ends.0.ip().to_canonical(), ends.1.ip().to_canonical());
        let next_hops = NextHops::find(local, peer).unwrap_or_else(|error| {
            tracing::warn!("cannot ask for this node's addresses: {error}");
            NextHops::only(local)
        });
        let rib = RibOut::new(agreed.clone());
        let mut told = Told { id, agreed, next_hops, rib, busy: true, complete: false };
        if let Some(wish) = &self.wish {
            told.wish(wish);
        }
        self.session = Some(told);
    }

    pub(super) fn ended(&mut self, id: ConnectionId) {
        self.session.take_if(|told| told.id == id);
    }

    pub(super) fn refresh(&mut self, family: Family) {
        if let Some(told) = &mut self.session {
            told.rib.refresh(family);
            told.busy = true;
        }
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn is_for(&self, id: ConnectionId) -> bool {
        self.session.as_ref().is_some_and(|told| told.id == id)
    }

    pub(super) fn wants_room(&self, id: ConnectionId) -> bool {
        self.session.as_ref().is_some_and(|told| told.id == id && told.busy)
    }

    /// Nothing is left to say to the session that there is.
    pub(super) fn is_idle(&self) -> bool {
        self.session.as_ref().is_none_or(|told| !told.busy)
    }

    /// Appends what is to be said, as much as a chunk takes.
    pub(super) fn fill(&mut self, id: ConnectionId, chunk: &mut Vec<u8>) {
        let Some(told) = self.session.as_mut().filter(|told| told.id == id && told.busy) else { return };
        while chunk.len() < CHUNK {
            if !told.rib.next_message(chunk) {
                told.busy = false;
                return;
            }
            self.messages = self.messages.saturating_add(1);
        }
    }

    /// Whether everything has just been said for the first time. Says so once.
    pub(super) fn is_first_time(&mut self, id: ConnectionId) -> bool {
        let told = self.session.as_mut().filter(|told| told.id == id && !told.busy && !told.complete);
        told.is_some_and(|told| !std::mem::replace(&mut told.complete, true))
    }

    pub(super) fn view(&self) -> RoutesView {
        let wished = self.wish.as_ref().map(|wish| wish.routes.len());
        let empty = RoutesView { wished, messages: self.messages, ..RoutesView::default() };
        let Some(Told { rib, .. }) = &self.session else { return empty };
        let unsendable = rib.unsendable();
        RoutesView {
            sent: rib.sent_count(),
            waiting: rib.waiting(),
            unsendable: unsendable.len(),
            unsendable_examples: unsendable
                .iter()
                .take(EXAMPLES)
                .map(|(prefix, why)| (*prefix, why.clone()))
                .collect(),
            ..empty
        }
    }
}

impl Told {
    fn wish(&mut self, wish: &Wish) {
        self.rib.set_desired(Arc::new(wish.resolve(&self.agreed, self.next_hops)));
        self.busy = true;
    }
}
