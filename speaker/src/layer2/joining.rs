// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Joins solicited-node groups on a thread of its own: ten thousand of them keep the kernel busy for a second, and each may
//! wait for a lock of the kernel's. A node joins for what it may carry long before it does, so nobody waits for them.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

use tracing::{debug, warn};

use crate::kernel::SolicitedNodeGroups;
use crate::kernel::links::LinkIndex;

/// Has the groups of the wanted addresses joined; they are left when it is dropped.
#[derive(Debug)]
pub(super) struct Joining {
    link: LinkIndex,
    wanted: Vec<Ipv6Addr>,
    shared: Arc<Shared>,
    /// Begins with the first address: most segments have none.
    thread: Option<Thread>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What has not been taken in yet.
    wish: Mutex<Option<Vec<Ipv6Addr>>>,
    ended: AtomicBool,
    errors: AtomicU64,
}

impl Joining {
    /// No groups yet on the interface `link`.
    pub(super) fn new(link: LinkIndex) -> Self {
        Self { link, wanted: Vec::new(), shared: Arc::default(), thread: None }
    }

    /// Joins the groups of these addresses and no others, in a while.
    pub(super) fn want(&mut self, addresses: Vec<Ipv6Addr>) {
        if self.wanted == addresses {
            return;
        }
        self.wanted.clone_from(&addresses);
        *self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
        match &self.thread {
            Some(thread) => thread.unpark(),
            None => self.start(),
        }
    }

    /// How often something could not be joined.
    pub(super) fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    fn start(&mut self) {
        let (shared, groups) = (Arc::clone(&self.shared), SolicitedNodeGroups::new(self.link));
        match thread::Builder::new().name("solicited-node".into()).spawn(move || shared.work(groups)) {
            Ok(handle) => self.thread = Some(handle.thread().clone()),
            Err(error) => {
                warn!(%error, "no thread is left to join solicited-node groups");
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
                // With the next change it is tried again.
                self.wanted.clear();
            }
        }
    }
}

impl Shared {
    fn work(&self, mut groups: SolicitedNodeGroups) {
        while !self.ended.load(Ordering::Acquire) {
            let wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner).take();
            match wish {
                Some(addresses) => {
                    if let Err(error) = groups.set(addresses) {
                        debug!(%error, "cannot join a solicited-node group");
                        self.errors.fetch_add(1, Ordering::Relaxed);
                    }
                }
                None => thread::park(),
            }
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
