// SPDX-License-Identifier: GPL-2.0

//! Names of network devices.

use crate::bindings;
use crate::net::Net;

/// Bytes of a name, with the zero at its end.
const LEN: usize = bindings::IFNAMSIZ as usize;

/// The index of the device with this name.
pub fn index(net: &Net, name: &[u8]) -> Option<i32> {
    let mut terminated = [0; LEN];
    if name.len() >= LEN {
        return None;
    }
    for (place, byte) in terminated.iter_mut().zip(name) {
        *place = *byte as kernel::ffi::c_char;
    }
    // SAFETY: The namespace is live, and the name ends with a zero.
    let index = unsafe { bindings::glb_ifindex(net.as_ptr(), terminated.as_ptr()) };
    (index > 0).then_some(index)
}

/// Calls `with` with the name of the device with this index; with an empty one if there is none.
pub fn with_name<R>(net: &Net, index: i32, with: impl FnOnce(&[u8]) -> R) -> R {
    let mut name = [0u8; LEN];
    // SAFETY: The namespace is live, and there is room for a name.
    unsafe { bindings::glb_ifname(net.as_ptr(), index, name.as_mut_ptr().cast()) };
    with(name.split(|byte| *byte == 0).next().unwrap_or_default())
}
