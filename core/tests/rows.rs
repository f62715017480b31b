// SPDX-License-Identifier: GPL-2.0

//! Version 2 rows against a model that sorts all backends of each row, with the standard library's
//! SipHash-2-4 (github/glb-director, docs/development/glb-hashing.md).

use glb_core::backend::{Backend, State};
use glb_core::director::select::hash::ROWS;
use glb_core::director::select::rows::v2::build_rows;
use glb_core::packet::addr::Addr;
use glb_core::siphash::SipKey;
use proptest::prelude::*;

#[allow(deprecated)]
fn digest(key: &[u8; 16], message: &[u8]) -> [u8; 8] {
    use std::hash::Hasher;
    let (k0, k1) = key.split_at(8);
    let mut hasher = std::hash::SipHasher::new_with_keys(
        u64::from_le_bytes(k0.try_into().unwrap()),
        u64::from_le_bytes(k1.try_into().unwrap()),
    );
    hasher.write(message);
    hasher.finish().to_le_bytes()
}

/// The rule as the specification words it.
fn model(seed: &[u8; 16], backends: &[Backend], row: u32) -> [u8; 2] {
    let row_digest = digest(seed, &row.to_be_bytes());
    let mut order: Vec<usize> = (0..backends.len())
        .filter(|&i| backends[i].state != State::Inactive)
        .collect();
    // Digests compare as big-endian integers, that is byte by byte.
    order.sort_by_key(|&i| {
        let mut message = row_digest.to_vec();
        match backends[i].addr {
            Addr::V4(bytes) => message.extend(bytes),
            Addr::V6(bytes) => message.extend(bytes),
        }
        digest(seed, &message)
    });
    let primary = order[0];
    let secondary = *order.get(1).unwrap_or(&primary);
    let bad = backends[primary].state == State::Draining || !backends[primary].healthy;
    if bad && backends[secondary].state == State::Active {
        [secondary as u8, primary as u8]
    } else {
        [primary as u8, secondary as u8]
    }
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        4 => Just(State::Active),
        1 => Just(State::Filling),
        1 => Just(State::Draining),
        1 => Just(State::Inactive),
    ]
}

fn backend() -> impl Strategy<Value = Backend> {
    let addr = prop_oneof![
        any::<[u8; 4]>().prop_map(Addr::V4),
        any::<[u8; 16]>().prop_map(Addr::V6),
    ];
    (addr, state(), prop::bool::weighted(0.8)).prop_map(|(addr, state, healthy)| Backend {
        addr,
        state,
        healthy,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn agrees_with_the_model(
        seed in any::<[u8; 16]>(),
        backends in prop::collection::vec(backend(), 1..40),
        asked in prop::collection::vec(0..ROWS, 200),
    ) {
        let mut rows = vec![[0xffu8; 2]; ROWS];
        let built = build_rows(&SipKey::new(&seed), &backends, &mut rows);
        if backends.iter().all(|b| b.state == State::Inactive) {
            prop_assert!(built.is_err());
            return Ok(());
        }
        prop_assert!(built.is_ok());
        for row in asked {
            prop_assert_eq!(rows[row], model(&seed, &backends, row as u32), "row {}", row);
        }
    }
}

#[test]
fn duplicate_addresses_keep_the_files_order() {
    let backend = Backend {
        addr: Addr::V4([1, 2, 3, 4]),
        state: State::Active,
        healthy: true,
    };
    let mut rows = vec![[9u8; 2]; ROWS];
    build_rows(&SipKey::new(&[7; 16]), &[backend; 3], &mut rows).unwrap();
    assert!(rows.iter().all(|row| *row == [0, 1]));
}
