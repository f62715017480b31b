// SPDX-License-Identifier: GPL-2.0

//! The three forms of a rule (typed, kept by the kernel, saved) agree for every list there can be.

use libxt_glbredirect::info;
use libxt_glbredirect::text;
use libxt_glbredirect::AllowedHops;
use libxt_glbredirect::Prefix;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::IpAddr;

fn any_prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (any::<[u8; 4]>().prop_map(IpAddr::from), 0..=32u8);
    let v6 = (any::<[u8; 16]>().prop_map(IpAddr::from), 0..=128u8);
    prop_oneof![v4, v6]
        .prop_map(|(addr, len)| Prefix::new(addr, len).expect("a length of the family"))
}

fn any_hops() -> impl Strategy<Value = AllowedHops> {
    vec(any_prefix(), 1..=AllowedHops::MAX).prop_filter_map("no duplicates", |prefixes| {
        let words: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
        words.join(",").parse().ok()
    })
}

proptest! {
    #[test]
    fn text_survives_the_kernel(hops in any_hops()) {
        let kept = info::decode(&info::encode(&hops)).expect("our own bytes");
        let saved = text::save(&kept);
        let value = saved.strip_prefix(" --allow-hops ").expect("the option");
        prop_assert_eq!(value.parse::<AllowedHops>(), Ok(hops));
    }

    #[test]
    fn masking_keeps_the_bits_of_the_prefix_and_no_other(bits in any::<u128>(), len in 0..=128u8) {
        let IpAddr::V6(addr) = Prefix::new(IpAddr::from(bits.to_be_bytes()), len).expect("in range").addr() else {
            panic!("another family");
        };
        for i in 0..128u8 {
            let bit = 1u128 << (127 - i);
            prop_assert_eq!(addr.to_bits() & bit, if i < len { bits & bit } else { 0 });
        }
    }

    /// Whatever is read is written back as the same bytes, and nothing makes the reader panic.
    #[test]
    fn any_bytes(noise in vec(any::<u8>(), info::layout::SIZE), hops in any_hops(), at in 0..info::layout::SIZE) {
        let noise: info::Bytes = noise.try_into().expect("the size");
        let mut bent = info::encode(&hops);
        bent[at] ^= noise[at];
        for bytes in [noise, bent] {
            if let Ok(hops) = info::decode(&bytes) {
                prop_assert_eq!(info::encode(&hops), bytes);
            }
        }
    }

    /// Whatever is accepted is written in a form that is accepted again and means the same.
    #[test]
    fn any_text(value in "[0-9a-f:./,]{0,40}|\\PC{0,40}") {
        if let Ok(hops) = value.parse::<AllowedHops>() {
            prop_assert!(!hops.allow_any());
            prop_assert_eq!(hops.to_string().parse::<AllowedHops>(), Ok(hops));
        }
    }
}
