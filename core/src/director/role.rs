// SPDX-License-Identifier: GPL-2.0

//! What an attached device is for.
//!
//! A role is a line in `roles!` below. Its number (netlink) and its name (glbctl, the service's configuration) follow from the
//! line. A module says which of them it can: `rust_glb_director/front/role.rs`.

/// Declares the roles, each with its number and its name. The first one is the default.
macro_rules! roles {
    (
        $(#[$first_doc:meta])* $first:ident = $first_number:literal, $first_word:literal;
        $($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*
    ) => {
        /// What an attached device is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(u8)]
        pub enum Role {
            $(#[$first_doc])*
            #[default]
            $first = $first_number,
            $($(#[$doc])* $name = $number,)*
        }

        impl Role {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$name),*];

            /// Its number in the netlink family.
            #[inline]
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The one of this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $first_number => Some(Self::$first),
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$name => $word,)*
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|role| role.name() == name)
            }
        }
    };
}

roles! {
    /// Clients' packets come in by it and go on to their backends.
    Director = 0, "director";
    /// Backends' answers come in by it, whose addresses are changed back.
    Return = 1, "return";
    /// Packets of a gateway load balancer come in by it, and go back by it.
    Geneve = 2, "geneve";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::glb::device_role;

    #[test]
    fn each_has_its_number_and_its_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(role.number()), Some(*role));
            assert_eq!(Role::from_name(role.name()), Some(*role));
            let named = device_role::NAMES.get(usize::from(role.number()));
            assert_eq!(named, Some(&role.name()));
        }
        assert_eq!(Role::ALL.len(), device_role::NAMES.len());
        assert_eq!(Role::default(), Role::Director);
        assert_eq!(Role::from_number(3), None);
        assert_eq!(Role::from_name("Director"), None);
    }
}
