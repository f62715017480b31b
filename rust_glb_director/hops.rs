// SPDX-License-Identifier: GPL-2.0

//! The hops of one packet, collected on the stack in the form that the header wants.

#![forbid(unsafe_code)]

use glb_core::addr::Addr;
use glb_core::gue::{MAX_HOPS_V4, MAX_HOPS_V6};

/// The first hop, which becomes the outer destination, and the others, which stand in the header. All are of
/// the first one's family; a hop of the other family can not be named and is left out, and so is what
/// does not fit the header.
pub(crate) struct Hops {
    first: Option<Addr>,
    others: u8,
    v4: [[u8; 4]; MAX_HOPS_V4 as usize],
    v6: [[u8; 16]; MAX_HOPS_V6 as usize],
}

impl Default for Hops {
    #[inline]
    fn default() -> Self {
        Self {
            first: None,
            others: 0,
            v4: [[0; 4]; MAX_HOPS_V4 as usize],
            v6: [[0; 16]; MAX_HOPS_V6 as usize],
        }
    }
}

impl Hops {
    /// Appends a hop.
    #[inline]
    pub(crate) fn push(&mut self, hop: Addr) {
        let place = usize::from(self.others);
        let fits = match (self.first, hop) {
            (None, _) => {
                self.first = Some(hop);
                return;
            }
            (Some(Addr::V4(_)), Addr::V4(hop)) => self.v4.get_mut(place).map(|to| *to = hop),
            (Some(Addr::V6(_)), Addr::V6(hop)) => self.v6.get_mut(place).map(|to| *to = hop),
            _ => None,
        };
        if fits.is_some() {
            self.others = self.others.wrapping_add(1);
        }
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first hop.
    #[inline]
    pub(crate) fn first(&self) -> Option<Addr> {
        self.first
    }

    /// How many hops are behind the first.
    #[inline]
    pub(crate) fn others(&self) -> u8 {
        self.others
    }

    /// The hops behind an IPv4 first one.
    #[inline]
    pub(crate) fn others_v4(&self) -> &[[u8; 4]] {
        self.v4.get(..usize::from(self.others)).unwrap_or_default()
    }

    /// The hops behind an IPv6 first one.
    #[inline]
    pub(crate) fn others_v6(&self) -> &[[u8; 16]] {
        self.v6.get(..usize::from(self.others)).unwrap_or_default()
    }
}
