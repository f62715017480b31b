// SPDX-License-Identifier: GPL-2.0

//! The cookie: who holds a connection, told by the connection's own timestamp offset.
//!
//! A TCP client that uses timestamps (RFC 7323) echoes what the server's clock said. A server adds an offset of its own to
//! that clock, once for each connection. Here the offset is made of the server's id, so the echo of any packet but the SYN says who
//! holds the connection, whatever the tables say by now:
//!
//! ```text
//! TSval = clock + (id << shift) + hash       modulo 2^32; shift: 32 - bits
//! id    = (TSecr - clock - hash + 2^shift - 1 - guard) >> shift
//! ```
//!
//! The clock is the real time in milliseconds, which all machines of a fleet share. An echo names the right id if it is not older than
//! [`Cookie::window`], and if the two clocks are no further apart than [`Cookie::guard`]. An echo that is older names a
//! neighbour's id: it is a hint and no proof, and whoever follows it keeps another way open. The hash is 0 without a key; with one,
//! nobody but who has the key can choose an id.
//!
//! ```text
//! options    the options of a TCP header
//! answer     what becomes of a SYN/ACK that a server sends
//! ```

pub mod answer;
pub mod options;

use crate::packet::flow::{Ends, Flow};
use crate::siphash::SipKey;

/// Bits of an id, at least.
pub const MIN_BITS: u8 = 8;
/// Bits of an id, at most.
pub const MAX_BITS: u8 = 12;
/// Bytes of a key.
pub const KEY_LEN: usize = 16;

/// How ids are put into timestamps. All machines of a fleet have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// INVARIANT: from [`MIN_BITS`] to [`MAX_BITS`].
    bits: u8,
    key: Option<SipKey>,
}

impl Cookie {
    /// With ids of so many bits, and a key if there is one. `None` for a number of bits that is none.
    #[must_use]
    pub fn new(bits: u8, key: Option<&[u8; KEY_LEN]>) -> Option<Self> {
        (MIN_BITS..=MAX_BITS).contains(&bits).then(|| Self {
            bits,
            key: key.map(SipKey::new),
        })
    }

    /// Bits of an id.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether there is a key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.key.is_some()
    }

    /// Whether there is such an id.
    #[must_use]
    pub fn has(&self, id: u16) -> bool {
        u32::from(id) < 1u32.wrapping_shl(u32::from(self.bits))
    }

    /// Milliseconds that belong to an id: an echo of their last names the neighbour.
    #[inline]
    fn span(&self) -> u32 {
        1u32.wrapping_shl(self.shift())
    }

    #[inline]
    fn shift(&self) -> u32 {
        32u32.wrapping_sub(u32::from(self.bits))
    }

    /// How many milliseconds the clock of who reads a cookie may be behind the clock of who set it.
    #[inline]
    #[must_use]
    pub fn guard(&self) -> u32 {
        self.span().wrapping_shr(4)
    }

    /// How many milliseconds an echo may be old. A clock that is ahead of that of who set the cookie makes it older.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.span().wrapping_sub(1).wrapping_sub(self.guard())
    }

    /// What is added to the shared clock for a connection of `id`.
    #[inline]
    #[must_use]
    pub fn offset(&self, id: u16, flow: &Flow<'_>) -> u32 {
        let id = u32::from(id).wrapping_shl(self.shift());
        id.wrapping_add(self.hash(flow))
    }

    /// The id that an echo names at `now`, the low 32 bits of the shared clock.
    #[inline]
    #[must_use]
    pub fn id(&self, flow: &Flow<'_>, echo: u32, now: u32) -> u16 {
        let offset = echo.wrapping_sub(now).wrapping_sub(self.hash(flow));
        // The shift leaves 12 bits at most.
        offset
            .wrapping_add(self.window())
            .wrapping_shr(self.shift()) as u16
    }

    /// SipHash-1-3 of the addresses and ports, if there is a key.
    #[inline]
    fn hash(&self, flow: &Flow<'_>) -> u32 {
        let Some(key) = &self.key else {
            return 0;
        };
        // The cast takes one half of the hash.
        let hash = match flow {
            Flow::V4(ends) => {
                let [c0, c1, c2, c3] = *ends.client;
                let [v0, v1, v2, v3] = *ends.vip;
                let addresses = u64::from_le_bytes([c0, c1, c2, c3, v0, v1, v2, v3]);
                key.place([addresses], ports(ends) | 12 << 56)
            }
            Flow::V6(ends) => {
                let [client0, client1] = crate::siphash::words_16(ends.client);
                let [vip0, vip1] = crate::siphash::words_16(ends.vip);
                key.place([client0, client1, vip0, vip1], ports(ends) | 36 << 56)
            }
        };
        hash as u32
    }
}

/// Both ports as the last four bytes of a message: as they are in a packet.
#[inline]
fn ports<const N: usize>(ends: &Ends<'_, N>) -> u64 {
    let [c0, c1] = ends.client_port.to_be_bytes();
    let [v0, v1] = ends.vip_port.to_be_bytes();
    u64::from(u32::from_le_bytes([c0, c1, v0, v1]))
}

#[cfg(test)]
mod tests;
