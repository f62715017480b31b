// SPDX-License-Identifier: GPL-2.0

//! Addresses and ports that are a test's own.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A loopback address that no other test uses.
pub(crate) fn address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // 14 bits of the process, 9 bits of the test.
    let number = (std::process::id() & 0x3fff) << 9 | (next & 0x1ff);
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, 64 + a, b, c)
}

/// A port on this address that is free now.
pub(crate) fn free_port(address: Ipv4Addr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
