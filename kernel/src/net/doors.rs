// SPDX-License-Identifier: GPL-2.0

//! The doors of a namespace: the hooks that let packets in.
//!
//! Hooks are removed first; data that packets use is freed after the last packet has left. So a door is no part of a
//! module's state. It stands beside it, in the namespace's [`Doors`], which [`super::PerNet`] shuts before
//! anything of the state goes: where the namespace ends, where the module is unloaded, and where its set-up fails half-way.
//! A module has no other place for a door, as nobody else can make one.
//!
//! Contexts: process context; everything may sleep.

use super::{Net, NetState, Registered, Rtnl};
use crate::base::sync::{Guard, Mutex};
use crate::base::vec::Append;
use core::ops::Deref;
use kernel::prelude::*;

/// A hook that lets packets in while the value exists. Its drop returns when the last packet has left.
pub trait Door: sealed::Open + Send + Sync + Sized + 'static {}

pub(crate) mod sealed {
    use super::{Net, NetState, Registered, Result};

    /// How a door is opened; only [`super::Doors`] does it.
    pub trait Open: Sized {
        /// What the module keeps in a namespace.
        type State: NetState;
        /// Where the door is.
        type Site<'s>;

        /// Opens it. Packets may come before this returns.
        fn open(
            net: &Net,
            registered: Registered<Self::State>,
            site: Self::Site<'_>,
        ) -> Result<Self>;
    }
}

/// A door of one of two kinds, for a module that has both.
pub enum Either<A, B> {
    /// Of the first kind.
    First(A),
    /// Of the second one.
    Second(B),
}

impl<A: Door, B: Door + sealed::Open<State = A::State>> Door for Either<A, B> {}

impl<A: Door, B: Door + sealed::Open<State = A::State>> sealed::Open for Either<A, B> {
    type State = A::State;
    type Site<'s> = Either<A::Site<'s>, B::Site<'s>>;

    fn open(net: &Net, registered: Registered<A::State>, site: Self::Site<'_>) -> Result<Self> {
        Ok(match site {
            Either::First(site) => Self::First(A::open(net, registered, site)?),
            Either::Second(site) => Self::Second(B::open(net, registered, site)?),
        })
    }
}

/// The open doors of a namespace.
pub struct Doors<D: Door> {
    /// `None`: shut for ever.
    open: Mutex<Option<KVec<D>>>,
}

impl<D: Door> Doors<D> {
    /// None is open yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            open: Mutex::new(Some(KVec::new()))?,
        })
    }

    /// The doors, while nobody else changes them. With doors of devices, the RTNL lock comes first.
    pub fn lock(&self) -> OpenDoors<'_, D> {
        OpenDoors(self.open.lock())
    }

    /// Closes all doors, and lets none be opened again. Returns when the last packet has left. Takes the RTNL lock, but not for
    /// nothing: namespaces come and go, and most have no door.
    pub(crate) fn shut(&self) {
        {
            let mut open = self.open.lock();
            let open: &mut Option<KVec<D>> = &mut open;
            if open.as_ref().is_none_or(KVec::is_empty) {
                *open = None;
                return;
            }
        }
        let _rtnl = Rtnl::lock();
        // Closed without the lock: a door may wait for packets a while.
        let doors = self.open.lock().take();
        drop(doors);
    }
}

/// The open doors of a namespace, locked.
pub struct OpenDoors<'a, D: Door>(Guard<'a, Option<KVec<D>>>);

impl<D: Door> OpenDoors<'_, D> {
    /// Opens one more. `ENODEV` where the doors are shut for ever.
    pub fn open(
        &mut self,
        net: &Net,
        registered: Registered<D::State>,
        site: D::Site<'_>,
    ) -> Result {
        let doors: &mut Option<KVec<D>> = &mut self.0;
        let doors = doors.as_mut().ok_or(ENODEV)?;
        Ok(doors.append(D::open(net, registered, site)?, GFP_KERNEL_ACCOUNT)?)
    }

    /// Closes the first that `is_it` says yes to; false if there is none. Returns when the last packet has left.
    pub fn close(&mut self, is_it: impl Fn(&D) -> bool) -> bool {
        let doors: &mut Option<KVec<D>> = &mut self.0;
        let Some(doors) = doors.as_mut() else {
            return false;
        };
        let Some(at) = doors.iter().position(is_it) else {
            return false;
        };
        // The one wanted goes to the end, from where it is taken.
        if let Some([wanted, rest @ ..]) = doors.get_mut(at..) {
            if let Some(last) = rest.last_mut() {
                core::mem::swap(wanted, last);
            }
        }
        doors.pop().is_some()
    }
}

impl<D: Door> Deref for OpenDoors<'_, D> {
    type Target = [D];

    fn deref(&self) -> &[D] {
        (*self.0).as_deref().unwrap_or_default()
    }
}
