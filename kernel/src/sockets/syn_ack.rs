// SPDX-License-Identifier: GPL-2.0

//! A SYN/ACK that this machine sends, and the connection that it opens.
//!
//! Contexts: packets that leave, under RCU. The packet holds its socket: a request is there until the packet is freed.
//!
//! C headers: `include/linux/tcp.h`, `include/net/request_sock.h`

use crate::bindings;
use crate::packet::skb::{NoMemory, Skb};
use glb_core::cookie::answer::Request;
use glb_core::cookie::options::{self, Found};
use glb_core::packet::flow::{Flow, FlowAt};
use glb_core::packet::ip::Family;
use glb_core::packet::view::View;

/// Who sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A request: a connection that is half open.
    Request,
    /// No socket: the kernel keeps nothing of the connection (a SYN cookie).
    Nobody,
    /// A connection that is there already (Fast Open).
    Connection,
}

/// A SYN/ACK that leaves.
pub struct SynAck<'s, 'a> {
    skb: &'s mut Skb<'a>,
    /// INVARIANT: of [`Sender::Request`] only where the packet's socket is a request of TCP.
    sender: Sender,
    family: Family,
    /// Where its TCP header stands.
    transport: usize,
}

impl<'s, 'a> SynAck<'s, 'a> {
    /// The packet, whose data starts at the IP header, if it is one.
    #[inline]
    pub(crate) fn of(skb: &'s mut Skb<'a>, family: Family) -> Option<Self> {
        // SAFETY: The buffer is valid, and its IP header is linear, as everywhere in the IP layer.
        let sender = unsafe { bindings::glb_syn_ack_sender(skb.as_ptr(), family == Family::V6) };
        let sender = match sender {
            bindings::glb_sender_GLB_SENDER_REQUEST => Sender::Request,
            bindings::glb_sender_GLB_SENDER_NOBODY => Sender::Nobody,
            bindings::glb_sender_GLB_SENDER_CONNECTION => Sender::Connection,
            _ => return None,
        };
        // SAFETY: The buffer is valid.
        let transport = unsafe { bindings::glb_syn_ack_at(skb.as_ptr()) };
        // INVARIANT: It is what the look at the socket said.
        Some(Self {
            skb,
            sender,
            family,
            transport: transport as usize,
        })
    }

    /// Who sends it.
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// The connection that it opens.
    pub fn flow(&self) -> Option<Flow<'_>> {
        let at = FlowAt {
            ip: 0,
            transport: self.transport,
            family: self.family,
            from_proxy: true,
        };
        at.read(View::new(self.skb.linear(), self.skb.len())).ok()
    }

    /// Its options, and its TSval if there is one.
    pub fn options(&self) -> (Found, u32) {
        let header = self.skb.linear().get(self.transport..);
        let Some(options) = header.and_then(options::of_header) else {
            return (Found::default(), 0);
        };
        let found = options::read(options);
        let value = found.timestamps.and_then(|at| options.get(at..));
        let value = value.and_then(<[u8]>::first_chunk);
        (found, value.map_or(0, |value| u32::from_be_bytes(*value)))
    }

    /// What the kernel knows of the connection, if it is a request.
    pub fn request(&self) -> Option<Request> {
        if self.sender != Sender::Request {
            return None;
        }
        // SAFETY: By the invariant the packet's socket is a request of TCP.
        let request = unsafe { bindings::glb_syn_ack_request(self.skb.as_ptr()) };
        Some(Request {
            timestamps: request.timestamps,
            microseconds: request.microseconds,
            offset: request.offset,
            first: request.first,
        })
    }

    /// The clock of the connection goes on by so much, in the packet too. `at` is where TSval stands in the options. Nothing
    /// changes where there is no memory, or no request.
    pub fn shift(self, at: usize, shift: u32) -> Result<(), NoMemory> {
        let at = self
            .transport
            .wrapping_add(options::HEADER)
            .wrapping_add(at);
        let at = u32::try_from(at).map_err(|_| NoMemory)?;
        if self.sender != Sender::Request {
            return Err(NoMemory);
        }
        // SAFETY: By the invariant the packet's socket is a request of TCP. The function checks that the packet has the bytes at
        // `at`; nobody borrows them, as `self` has the packet for itself.
        if unsafe { bindings::glb_syn_ack_shift(self.skb.as_ptr(), at, shift) } {
            Ok(())
        } else {
            Err(NoMemory)
        }
    }
}
