// SPDX-License-Identifier: GPL-2.0

//! Where a rule looks for a connection that no socket of its own namespace has: in other namespaces, and in the connection
//! tracking.
//!
//! Life times: it belongs to a rule of the namespace, or to the state that a module keeps for the namespace.

use super::conntrack::{self, Conntrack};
use crate::genl::not_supported;
use crate::net::named::{self, Caller, Namespaces};
use crate::net::Net;
use glb_core::redirect::Options;
use kernel::prelude::*;

/// Both, each if it is wanted.
pub struct Elsewhere {
    namespaces: Option<Namespaces>,
    conntrack: Option<Conntrack>,
}

/// Why it cannot be had.
pub enum Refused {
    /// The namespace at this place of the list cannot be named.
    Namespace(usize, named::Refused),
    /// The connection tracking is not there (EOPNOTSUPP), or does not want to track.
    Conntrack(Error),
    /// There is no memory.
    NoMemory,
}

impl Refused {
    /// The number of the error. It is never EAGAIN: nfnetlink tries again for ever what is refused so.
    pub fn error(&self) -> Error {
        match self {
            Self::Namespace(_, why) => why.error(),
            Self::Conntrack(error) if *error == EAGAIN => EBUSY,
            Self::Conntrack(error) => *error,
            Self::NoMemory => ENOMEM,
        }
    }

    /// What to tell the caller, in at most 79 characters.
    pub fn text(&self) -> &'static CStr {
        match self {
            Self::Namespace(_, why) => why.text(),
            Self::Conntrack(error) if *error == not_supported() => conntrack::MISSING,
            Self::Conntrack(_) => c"conntrack: the connections of the namespace cannot be tracked",
            Self::NoMemory => c"no memory",
        }
    }
}

impl Elsewhere {
    /// What `options` and `names` want for a rule of `own`; `None` if they want nothing. Process context, may sleep. `caller` is
    /// called only if there are names.
    ///
    /// It is kept in the rule, or in what a module keeps for `own`. With `may_load`, nf_conntrack is loaded if it is
    /// wanted and not there ([`Conntrack`] says who may).
    pub fn new<'n>(
        own: &Net,
        caller: impl FnOnce() -> Caller,
        options: Options,
        names: impl Iterator<Item = &'n [u8]>,
        may_load: bool,
    ) -> Result<Option<KBox<Self>>, Refused> {
        let mut names = names.peekable();
        let mut this = Self {
            namespaces: None,
            conntrack: None,
        };
        if names.peek().is_some() {
            let namespaces = Namespaces::new(own, caller(), names)
                .map_err(|(index, why)| Refused::Namespace(index, why))?;
            this.namespaces = Some(namespaces);
        }
        if options.has(Options::CONNTRACK) {
            this.conntrack = Some(Conntrack::new(own, may_load).map_err(Refused::Conntrack)?);
        }
        if this.namespaces.is_none() && this.conntrack.is_none() {
            return Ok(None);
        }
        // Without memory for the box, `this` ends here, and what it held is given back.
        let this = KBox::new(this, GFP_KERNEL_ACCOUNT).map_err(|_| Refused::NoMemory)?;
        Ok(Some(this))
    }

    /// The other namespaces.
    #[inline]
    pub fn namespaces(&self) -> Option<&Namespaces> {
        self.namespaces.as_ref()
    }

    /// The connection tracking of the own one.
    #[inline]
    pub fn conntrack(&self) -> Option<&Conntrack> {
        self.conntrack.as_ref()
    }
}
