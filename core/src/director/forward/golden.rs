// SPDX-License-Identifier: GPL-2.0

//! The headers of one packet, for the tests of each forward: 40 bytes of client's packet, expedited and with ECT(0), label
//! `abcde`.

use super::{Params, Shape, Tunnel};
use crate::packet::addr::Addr;
use crate::packet::ip::Family;
use std::format;
use std::string::String;
use std::vec;

/// Source and destination of an IPv4 underlay.
pub(super) const V4: (Addr, Addr) = (Addr::V4([65; 4]), Addr::V4([3, 4, 5, 6]));
/// The same of an IPv6 underlay.
pub(super) const V6: (Addr, Addr) = (ula(1), ula(2));

const fn ula(last: u8) -> Addr {
    Addr::V6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
}

/// What stands in front of the packet, in hexadecimal digits; empty where it cannot be written.
pub(super) fn packet(tunnel: Tunnel, (src, dst): (Addr, Addr), inner: Family) -> String {
    let outer = match src {
        Addr::V4(_) => Family::V4,
        Addr::V6(_) => Family::V6,
    };
    let layout = tunnel.layout(&Shape {
        outer,
        inner,
        others: 1,
        udp_checksum: false,
    });
    let params = Params {
        src,
        dst,
        src_port: 0x8001,
        dst_port: 19523,
        flow_label: 0xa_bcde,
        tos: 0x2e,
        inner,
        inner_len: 40,
    };
    let mut out = vec![0xaa; layout.len];
    // One more hop, which a header that has no list must not mind.
    match tunnel.write(&params, &[dst][..], &mut out) {
        Some(()) => out.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => String::new(),
    }
}
