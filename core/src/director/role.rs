// SPDX-License-Identifier: GPL-2.0

//! What an attached device is for.
//!
//! A role is a line in `numbered!` below. Its number (netlink) and its name (glbctl, the service's configuration) follow from the
//! line. A module says which of them it can: `rust_glb_director/front/role.rs`.

use crate::numbered::numbered;

numbered! {
    /// What an attached device is for.
    Role {
        /// Clients' packets come in by it and go on to their backends.
        Director = 0, "director";
        /// Backends' answers come in by it, whose addresses are changed back.
        Return = 1, "return";
        /// Packets of a gateway load balancer come in by it, and go back by it.
        Geneve = 2, "geneve";
    }
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
