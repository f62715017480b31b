// SPDX-License-Identifier: GPL-2.0

//! The three forms of a rule (typed, kept by the kernel, saved) agree for every list there can be.

use libxt_glbredirect::info;
use libxt_glbredirect::text;
use libxt_glbredirect::AllowedHops;
use libxt_glbredirect::Namespaces;
use libxt_glbredirect::Opt;
use libxt_glbredirect::Prefix;
use libxt_glbredirect::Rule;
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

fn any_namespaces() -> impl Strategy<Value = Namespaces> {
    vec("[a-zA-Z0-9_.:@=+-]{1,63}", 1..=Namespaces::MAX)
        .prop_filter_map("names, no duplicates", |names| names.join(",").parse().ok())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let hops = prop_oneof![Just(AllowedHops::default()), any_hops()];
    let namespaces = prop_oneof![Just(Namespaces::default()), any_namespaces()];
    (hops, any::<[bool; 3]>(), namespaces).prop_map(|(hops, flags, namespaces)| Rule {
        hops,
        // The two exclude each other.
        syn_listener: flags[0] && !flags[2],
        udp: flags[1],
        conntrack: flags[2],
        namespaces,
    })
}

/// The rule that these words make, as libxtables takes them apart.
fn typed(words: &str) -> Option<Rule> {
    let mut rule = Rule::default();
    let mut words = words.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--")?;
        let option = Opt::ALL.into_iter().find(|option| option.name() == name)?;
        let value = if option.takes_value() {
            words.next()?
        } else {
            ""
        };
        rule.set(option, value).ok()?;
    }
    Some(rule)
}

proptest! {
    #[test]
    fn text_survives_the_kernel(hops in any_hops()) {
        let hops_of = |hops| Rule { hops, ..Rule::default() };
        let kept = info::decode(&info::encode(&hops)).expect("our own bytes");
        prop_assert_eq!(typed(&text::save(&hops_of(kept))), Some(hops_of(hops)));
    }

    #[test]
    fn text_with_all_options_survives_the_kernel(rule in any_rule()) {
        let kept = info::decode_2(&info::encode_2(&rule)).expect("our own bytes");
        prop_assert_eq!(typed(&text::save(&kept)), Some(rule));
    }

    /// As below, of revision 2.
    #[test]
    fn any_bytes_of_revision_2(
        noise in vec(any::<u8>(), info::layout_2::SIZE),
        rule in any_rule(),
        at in 0..info::layout_2::SIZE,
    ) {
        let noise: info::Bytes2 = noise.try_into().expect("the size");
        let mut bent = info::encode_2(&rule);
        bent[at] ^= noise[at];
        for bytes in [noise, bent] {
            if let Ok(rule) = info::decode_2(&bytes) {
                prop_assert_eq!(info::encode_2(&rule), bytes);
            }
        }
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
