// SPDX-License-Identifier: GPL-2.0

//! A backend of a table: its address, its state, its health.

use crate::addr::Addr;

/// Most backends of a table; their indexes fit a byte.
pub const MAX_BACKENDS: usize = 256;

/// What the operator wants of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Comes in: takes new connections; those of the row's former owner are found at the second hop.
    Filling,
    /// Takes connections.
    Active,
    /// Goes out: keeps the connections that it has, as the second hop.
    Draining,
    /// In no row, but keeps its index in the list of backends.
    Inactive,
}

impl State {
    /// The code in a binary table. Draining and inactive share one: the rows tell them apart.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Filling => 0,
            Self::Active => 1,
            Self::Draining | Self::Inactive => 2,
        }
    }

    /// The state with this code; code 2 is read as draining.
    #[inline]
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::Filling),
            1 => Some(Self::Active),
            2 => Some(Self::Draining),
            _ => None,
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
