// SPDX-License-Identifier: GPL-2.0

//! What an operator can ask of the second chance beyond its verdicts of old. Without an option a packet gets those.

/// Network namespaces at most whose sockets are asked, the own one not counted.
pub const MAX_NETNS: usize = 16;

/// Bytes of the name of a network namespace at most.
pub const NETNS_NAME_LEN: usize = 63;

/// A set of options, with the bits of `XT_GLBREDIRECT_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options(u32);

impl Options {
    /// The verdicts of old.
    pub const NONE: Self = Self(0);
    /// A SYN stays only where a socket listens for it.
    pub const SYN_LISTENER: Self = Self(1);
    /// A datagram of UDP stays only where a connected socket has it.
    pub const UDP: Self = Self(2);
    /// A packet whose connection the connection tracking knows stays.
    pub const CONNTRACK: Self = Self(4);

    /// What to tell who wants options that do not go together.
    pub const CONTRADICTION: &'static core::ffi::CStr =
        c"syn-listener and conntrack exclude each other: DNAT hides who listens";

    const ALL: u32 = Self::SYN_LISTENER.0 | Self::UDP.0 | Self::CONNTRACK.0;

    /// The set with these bits; `None` if one of them is no option.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The set with those of these bits that are options.
    #[inline]
    #[must_use]
    pub const fn from_known_bits(bits: u32) -> Self {
        Self(bits & Self::ALL)
    }

    /// The set, and the options of another one if `wanted`.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self, wanted: bool) -> Self {
        if wanted {
            Self(self.0 | other.0)
        } else {
            self
        }
    }

    /// Whether they go together. DNAT hides where the program listens: where connections are known by the connection tracking,
    /// no socket listens for their SYNs.
    #[inline]
    #[must_use]
    pub const fn go_together(self) -> bool {
        !self.has(Self::SYN_LISTENER.with(Self::CONNTRACK, true))
    }

    /// Whether all options of another set are in this one.
    #[inline]
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether a network namespace can have this name: it is that of a file in the directory where `ip netns` keeps them.
#[inline]
#[must_use]
pub fn is_netns_name(name: &[u8]) -> bool {
    let is_file = !matches!(name, [] | [b'.'] | [b'.', b'.']);
    is_file && name.len() <= NETNS_NAME_LEN && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let both = Options::NONE
            .with(Options::UDP, true)
            .with(Options::CONNTRACK, true)
            .with(Options::SYN_LISTENER, false);
        assert!(both.has(Options::UDP) && both.has(Options::CONNTRACK));
        assert!(!both.has(Options::SYN_LISTENER) && both.has(Options::NONE));
        assert_eq!(Options::from_bits(6), Some(both));
        assert_eq!(Options::from_bits(8), None);
        assert_eq!(Options::from_known_bits(14), both);
    }

    #[test]
    fn a_listener_is_not_asked_for_where_dnat_hides_it() {
        let listener = Options::SYN_LISTENER.with(Options::UDP, true);
        assert!(listener.go_together() && Options::CONNTRACK.go_together());
        assert!(!listener.with(Options::CONNTRACK, true).go_together());
    }

    #[test]
    fn names_are_those_of_files() {
        for name in [&b"a"[..], b"...", b"pod-1", &[b'n'; 63]] {
            assert!(is_netns_name(name), "{name:?}");
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'n'; 64]] {
            assert!(!is_netns_name(name), "{name:?}");
        }
    }
}
