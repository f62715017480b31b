// SPDX-License-Identifier: GPL-2.0

//! A service that remembers its flows, as tests, benches and examples of the flow table have it.

use glb_core::director::flows::{Bucket, By, Event, FlowTable, Memory, Rules};
use glb_core::director::ids::{Roster, Tag};
use glb_core::siphash::SipKey;
use std::cell::Cell;

const SECRET: SipKey = SipKey::new(b"0123456789abcdef");

/// It learns, and its clock stands still.
pub(crate) struct Service {
    buckets: Vec<Bucket>,
    roster: Roster,
    /// What became of the packets, by [`Event::index`].
    pub(crate) events: [Cell<u64>; Event::ALL.len()],
}

impl Service {
    pub(crate) fn new(buckets: usize, backends: usize) -> Self {
        let mut roster = Roster::new();
        roster.succeed(&Roster::new(), backends, |_, _| false);
        Self {
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
            roster,
            events: Default::default(),
        }
    }
}

impl Memory for Service {
    fn table(&self) -> FlowTable<'_> {
        FlowTable {
            buckets: &self.buckets,
            secret: &SECRET,
            rules: self.rules(),
            now: 7,
        }
    }
    fn secret(&self) -> &SipKey {
        &SECRET
    }
    fn rules(&self) -> Rules {
        Rules {
            timeout: 40,
            by: By::Flow,
        }
    }
    fn backend(&self, tag: Tag) -> Option<u8> {
        self.roster.backend(tag)
    }
    fn tag(&self, backend: u8) -> Option<Tag> {
        Some(self.roster.id(backend)?.tag())
    }
    fn learns(&self) -> bool {
        true
    }
    fn count(&self, event: Event) {
        let place = &self.events[event.index()];
        place.set(place.get() + 1);
    }
}
