// SPDX-License-Identifier: GPL-2.0

//! Encoding and decoding against a model in whole numbers, which knows nothing of wraps.

use super::*;
use std::vec::Vec;

const KEY: [u8; KEY_LEN] = *b"0123456789abcdef";
/// 2^32, by which timestamps wrap.
const WRAP: i128 = 1 << 32;

fn v4<'a>(client: &'a [u8; 4], vip: &'a [u8; 4], client_port: u16) -> Flow<'a> {
    Flow::V4(Ends {
        client,
        vip,
        client_port,
        vip_port: 443,
    })
}

const FLOW: Flow<'static> = Flow::V4(Ends {
    client: &[198, 51, 100, 7],
    vip: &[192, 0, 2, 1],
    client_port: 40000,
    vip_port: 443,
});

/// Numbers that are the same in every run.
fn numbers() -> impl Iterator<Item = u64> {
    let key = SipKey::new(b"these are chance");
    (0u64..).map(move |n| key.hash_8(n.to_le_bytes()))
}

/// What stands in a packet that is sent at `sent`, in milliseconds of the sender's clock: by the definition.
fn value(cookie: &Cookie, id: u16, flow: &Flow<'_>, sent: i128) -> u32 {
    let hash = i128::from(cookie.offset(0, flow));
    let span = WRAP / (1 << cookie.bits());
    (sent + i128::from(id) * span + hash).rem_euclid(WRAP) as u32
}

/// The id of which the packet can be, if it is so old: by a search of all ids, in whole numbers.
fn model(cookie: &Cookie, flow: &Flow<'_>, echo: u32, now: i128) -> Vec<u16> {
    let span = WRAP / (1 << cookie.bits());
    let guard = i128::from(cookie.guard());
    let is_of = |id: u16| {
        // The age that the packet would have, in the wrap that begins with the guard.
        let begin = value(cookie, id, flow, now);
        let age = (i128::from(begin) - i128::from(echo) + guard).rem_euclid(WRAP) - guard;
        (-guard..span - guard).contains(&age)
    };
    (0..1u16 << cookie.bits()).filter(|id| is_of(*id)).collect()
}

fn cookies() -> impl Iterator<Item = Cookie> {
    (MIN_BITS..=MAX_BITS).flat_map(|bits| {
        [None, Some(&KEY)].map(|key| Cookie::new(bits, key).expect("there are such"))
    })
}

#[test]
fn bits_have_bounds() {
    for bits in (0..MIN_BITS).chain(MAX_BITS + 1..=u8::MAX) {
        assert_eq!(Cookie::new(bits, None), None, "{bits}");
    }
    let cookie = Cookie::new(8, None).unwrap();
    assert!(cookie.has(255) && !cookie.has(256) && !cookie.has(u16::MAX));
    let cookie = Cookie::new(12, None).unwrap();
    assert!(cookie.has(4095) && !cookie.has(4096));
}

#[test]
fn guards_and_windows_are_what_the_documents_say() {
    let seconds = |bits| {
        let cookie = Cookie::new(bits, None).unwrap();
        (cookie.guard() / 1000, cookie.window() / 1000)
    };
    assert_eq!(
        [8, 9, 10, 11, 12].map(seconds),
        [
            (1048, 15728),
            (524, 7864),
            (262, 3932),
            (131, 1966),
            (65, 983)
        ]
    );
}

#[test]
fn one_example_by_hand() {
    let cookie = Cookie::new(8, None).unwrap();
    // 2026-11-28, 12:00:00 UTC.
    let now = 1_795_867_200_000_i128;
    let echo = value(&cookie, 0x5a, &FLOW, now);
    assert_eq!(echo, ((now + 0x5a00_0000) % WRAP) as u32);
    assert_eq!(cookie.id(&FLOW, echo, now as u32), 0x5a);
    assert_eq!(cookie.offset(0x5a, &FLOW), 0x5a00_0000);
}

/// Every id at every edge of its window, with the clock at each edge of its wrap.
#[test]
fn all_ids_at_all_edges() {
    for cookie in cookies() {
        let (guard, window) = (i128::from(cookie.guard()), i128::from(cookie.window()));
        for id in 0..1u16 << cookie.bits() {
            for now in [0, 1, WRAP / 2, WRAP - 1, 417 * WRAP, 418 * WRAP - 1] {
                let reads = |age: i128| {
                    let echo = value(&cookie, id, &FLOW, now - age);
                    cookie.id(&FLOW, echo, now as u32)
                };
                for age in [-guard, -1, 0, 1, window - 1, window] {
                    assert_eq!(reads(age), id, "{cookie:?} {now} {age}");
                }
                // Just outside it is a neighbour's.
                let ids = 1u16 << cookie.bits();
                assert_eq!(reads(-guard - 1), (id + 1) % ids);
                assert_eq!(reads(window + 1), (id + ids - 1) % ids);
            }
        }
    }
}

/// Any echo, at any time: the id is the only one that the model finds.
#[test]
fn any_echo_is_of_the_one_id_of_the_model() {
    let mut chance = numbers();
    let mut next = || chance.next().expect("there is always one more");
    for cookie in cookies() {
        for _ in 0..300 {
            let (client, vip) = ((next() as u32).to_le_bytes(), (next() as u32).to_le_bytes());
            let flow = v4(&client, &vip, next() as u16);
            // Forty years of milliseconds.
            let now = i128::from(next() >> 23);
            let echo = next() as u32;
            assert_eq!(
                model(&cookie, &flow, echo, now),
                [cookie.id(&flow, echo, now as u32)],
                "{cookie:?} {now} {echo}"
            );
        }
    }
}

/// Connections of any length over several wraps: each echo within the window names the id, with any skew within the guard.
#[test]
fn connections_over_wraps() {
    let mut chance = numbers();
    let mut next = || chance.next().expect("there is always one more");
    for cookie in cookies() {
        for _ in 0..100 {
            let client = [next().to_le_bytes(), next().to_le_bytes()].concat();
            let vip = [next().to_le_bytes(), next().to_le_bytes()].concat();
            let flow = Flow::V6(Ends {
                client: client.as_slice().try_into().unwrap(),
                vip: vip.as_slice().try_into().unwrap(),
                client_port: next() as u16,
                vip_port: next() as u16,
            });
            let id = (next() % (1 << cookie.bits())) as u16;
            // What the kernel adds to its clock, which is this far behind the real one.
            let behind = next() as u32;
            let kernel = cookie.offset(id, &flow).wrapping_add(behind);
            let begin = i128::from(next() >> 23);
            for _ in 0..30 {
                let sent = begin + i128::from(next() % (5 << 32));
                let clock = (sent as u32).wrapping_sub(behind);
                let echo = clock.wrapping_add(kernel);
                assert_eq!(echo, value(&cookie, id, &flow, sent));
                let guard = u64::from(cookie.guard());
                let skew = i128::from(next() % (2 * guard + 1)) - i128::from(guard);
                let room = i128::from(cookie.window()) - skew.max(0);
                let age = i128::from(next()) % (room + 1);
                let now = sent + age + skew;
                assert_eq!(cookie.id(&flow, echo, now as u32), id, "{age} {skew}");
            }
        }
    }
}

#[test]
fn a_key_hides_the_id() {
    let keyed = Cookie::new(8, Some(&KEY)).unwrap();
    let mut counts = [0u32; 256];
    for port in 0..u16::MAX {
        let flow = v4(&[198, 51, 100, 7], &[192, 0, 2, 1], port);
        // A forged echo that would be id 7 without a key.
        counts[usize::from(keyed.id(&flow, 7 << 24, 0))] += 1;
    }
    // 256 of each on average.
    assert!(
        counts.iter().all(|count| (150..400).contains(count)),
        "{counts:?}"
    );
    // Both ends matter, and which is which.
    let offset = |client: &[u8; 4], vip: &[u8; 4]| keyed.offset(0, &v4(client, vip, 443));
    let all = [
        offset(&[1, 2, 3, 4], &[5, 6, 7, 8]),
        offset(&[5, 6, 7, 8], &[1, 2, 3, 4]),
        offset(&[1, 2, 3, 5], &[5, 6, 7, 8]),
        offset(&[1, 2, 3, 4], &[5, 6, 7, 9]),
    ];
    for (n, one) in all.iter().enumerate() {
        assert!(all.iter().skip(n + 1).all(|other| one != other));
    }
}

/// What another implementation has to compute.
#[test]
fn the_hash_is_siphash_1_3_of_the_bytes_in_a_packet() {
    let keyed = Cookie::new(8, Some(&KEY)).unwrap();
    let message = |flow: &[u8]| -> u32 {
        let mut words = Vec::new();
        for word in flow.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            words.push(u64::from_le_bytes(bytes));
        }
        let last = words.pop().unwrap() | (flow.len() as u64) << 56;
        let key = SipKey::new(&KEY);
        match words[..] {
            [one] => key.place([one], last) as u32,
            [one, two, three, four] => key.place([one, two, three, four], last) as u32,
            _ => unreachable!(),
        }
    };
    let bytes = [198, 51, 100, 7, 192, 0, 2, 1, 0x9c, 0x40, 0x01, 0xbb];
    assert_eq!(keyed.offset(0, &FLOW), message(&bytes));
    let client: [u8; 16] = core::array::from_fn(|n| n as u8);
    let vip: [u8; 16] = core::array::from_fn(|n| 255 - n as u8);
    let flow = Flow::V6(Ends {
        client: &client,
        vip: &vip,
        client_port: 1,
        vip_port: 2,
    });
    let bytes = [&client[..], &vip[..], &[0, 1, 0, 2]].concat();
    assert_eq!(keyed.offset(0, &flow), message(&bytes));
}
