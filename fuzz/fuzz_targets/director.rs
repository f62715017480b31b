// SPDX-License-Identifier: GPL-2.0

//! The director's reading of packets. However many of a packet's first bytes are linear, the outcome must
//! be the same in the end, and more bytes must be asked for only where there are more.

#![no_main]

use glb_core::director::{inspect, Stop};
use glb_core::ip::Family;
use glb_core::view::View;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, linear, bytes @ ..] = data else {
        return;
    };
    let family = if choice & 1 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let whole = inspect(View::whole(bytes), family);
    assert!(!matches!(whole, Err(Stop::NeedLinear(_))));
    let mut linear = usize::from(*linear).min(bytes.len());
    let pieced = loop {
        match inspect(View::new(&bytes[..linear], bytes.len()), family) {
            Err(Stop::NeedLinear(more)) => {
                assert!(more > linear && more <= bytes.len());
                linear = more;
            }
            other => break other,
        }
    };
    assert_eq!(whole, pieced);
    if let Ok(candidate) = whole {
        assert!(candidate.len <= bytes.len());
    }
});
