// SPDX-License-Identifier: GPL-2.0

//! The roles of devices that this module can, each with the handler of its packets.
//!
//! A role is a line in `handlers!` below, its file beside this one, and its line in `core/src/director/role.rs`. A role of the
//! core that has no line here is one of a later module: it is refused by its name.

#![forbid(unsafe_code)]

use super::answers::Answers;
use super::geneve::back::Back;
use super::geneve::come::Come;
use super::ingress::Ingress;
use crate::state::State;
use glb_core::director::Role;
use glb_kernel::front::netdev::{self, Handler};

/// Declares the roles that this module can: the name in the core, the handler of packets that come in, and that of packets that
/// leave, where there is one.
macro_rules! handlers {
    (@ $ingress:ty) => { Handler::of::<$ingress>() };
    (@ $ingress:ty, $egress:ty) => { Handler::of_both::<$ingress, $egress>() };
    ($($name:ident => $ingress:ty $(, $egress:ty)?;)*) => {
        /// A role that this module can.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Able {
            $($name,)*
        }

        impl Able {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The role of the core.
            pub(crate) const fn role(self) -> Role {
                match self {
                    $(Self::$name => Role::$name,)*
                }
            }
        }

        impl netdev::Role for Able {
            type State = State;

            fn handler(self) -> Handler<State> {
                match self {
                    $(Self::$name => handlers!(@ $ingress $(, $egress)?),)*
                }
            }
        }
    };
}

handlers! {
    Director => Ingress;
    Return => Answers;
    Geneve => Come, Back;
}

impl Able {
    /// This role, if the module can it.
    pub(crate) fn of(role: Role) -> Option<Self> {
        Self::ALL.iter().copied().find(|able| able.role() == role)
    }
}
