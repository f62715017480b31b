// SPDX-License-Identifier: GPL-2.0

//! A backend of a table: its address, its state, its health.

use crate::netlink::glb::backend_state;
use crate::packet::addr::Addr;

/// Most backends of a table; their indexes fit a byte.
pub const MAX_BACKENDS: usize = 256;

/// What the operator wants of a backend. The numbers and names are those of `backend-state` in `spec/glb.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Comes in: takes new connections; those of the row's former owner are found at the second hop.
    Filling = backend_state::FILLING,
    /// Takes connections.
    Active = backend_state::ACTIVE,
    /// Goes out: keeps the connections that it has, as the second hop.
    Draining = backend_state::DRAINING,
    /// In no row, but keeps its index in the list of backends.
    Inactive = backend_state::INACTIVE,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; backend_state::NAMES.len()] =
        [Self::Filling, Self::Active, Self::Draining, Self::Inactive];

    /// Its number: in the netlink family, and in binary tables of version 3.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            backend_state::FILLING => Some(Self::Filling),
            backend_state::ACTIVE => Some(Self::Active),
            backend_state::DRAINING => Some(Self::Draining),
            backend_state::INACTIVE => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Its name, in the JSON files and for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names = &backend_state::NAMES;
        names.get(usize::from(self.number())).copied().unwrap_or("")
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The code in a binary table of version 2. Draining and inactive share one: the rows tell them apart.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Inactive => Self::Draining.number(),
            other => other.number(),
        }
    }

    /// The state with this code; that of draining and inactive is read as draining.
    #[inline]
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match Self::from_number(code) {
            Some(Self::Inactive) => None,
            other => other,
        }
    }
}

/// A backend as the row rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend {
    /// Where its packets are sent.
    pub addr: Addr,
    /// What the operator wants of it.
    pub state: State,
    /// What the health checks found.
    pub healthy: bool,
}

/// Identifiers of a table's backends: each has its own, a byte, which is its place where nobody gives it another. A mark is
/// made of it, and it is the slot of a backend in a table of nfqlb.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identifiers([u64; 4]);

impl Identifiers {
    /// Adds one; `false` if it is there already.
    pub fn add(&mut self, identifier: u8) -> bool {
        let bit = 1u64.wrapping_shl(u32::from(identifier & 63));
        let Some(word) = self.0.get_mut(usize::from(identifier >> 6)) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// The least that is not there.
    #[must_use]
    pub fn free(&self) -> Option<u8> {
        (0..=u8::MAX).find(|one| Self(self.0).add(*one))
    }
}

#[test]
fn identifiers_are_there_once() {
    let mut all = Identifiers::default();
    assert_eq!(all.free(), Some(0));
    for one in (0..=u8::MAX).filter(|one| *one != 77) {
        assert!(all.add(one));
        assert!(!all.add(one));
    }
    assert_eq!(all.free(), Some(77));
    assert!(all.add(77));
    assert_eq!(all.free(), None);
}

#[test]
fn states_are_known_by_number_and_by_name() {
    for (number, state) in (0..).zip(State::ALL) {
        assert_eq!(state.number(), number);
        assert_eq!(State::from_number(number), Some(state));
        assert_eq!(State::from_name(state.name()), Some(state));
        // Files have the names: they stay.
        let name = std::format!("{state:?}").to_lowercase();
        assert_eq!(state.name(), name);
    }
    assert_eq!(State::from_number(4), None);
    assert_eq!(State::from_name("full"), None);
    let codes = State::ALL.map(State::code);
    assert_eq!(codes, [0, 1, 2, 2]);
    assert_eq!([2, 3].map(State::from_code), [Some(State::Draining), None]);
}
