// SPDX-License-Identifier: GPL-2.0

//! Packets: bytes in, fields out. What the fields mean for a director or for a proxy is said in their rooms.
//!
//! ```text
//! view       reading a packet of which only the first bytes are at hand
//! ip         IPv4 and IPv6, their extension headers, fragments
//! valid      what the stack checks of a packet before anybody else sees it
//! gue        the tunnel header between directors and proxies
//! flow       addresses and ports of a packet
//! fragments  what became of first fragments, for those that follow
//! checksum   the Internet checksum
//! crc32c     the checksum of SCTP
//! dscp       the DSCP of a packet
//! addr       an address, and the prefixes made from it
//! prefixes   a short list of prefixes
//! ```

pub mod addr;
pub mod checksum;
pub mod crc32c;
pub mod dscp;
pub mod flow;
pub mod fragments;
pub mod gue;
pub mod ip;
pub mod prefixes;
pub mod valid;
pub mod view;
