// SPDX-License-Identifier: GPL-2.0

//! What the module keeps in a namespace.

#![forbid(unsafe_code)]

use crate::stats::Stats;
use glb_core::cookie::Cookie;
use glb_core::packet::fragments::{self, FragmentTable};
use glb_core::packet::ip::{Addrs, Fragment};
use glb_core::redirect::{AllowedHops, Options};
use glb_kernel::base::rcu::Rcu;
use glb_kernel::base::slots::Slots;
use glb_kernel::base::{random, time};
use glb_kernel::net::Net;
use glb_kernel::out::route::Routes;
use glb_kernel::sockets::decap::Devices;
use glb_kernel::sockets::elsewhere::Elsewhere;
use kernel::prelude::*;

/// What the door that is no rule lets in.
pub(crate) struct DoorSettings {
    /// UDP port of the tunnel.
    pub(crate) port: u16,
    /// Prefixes that hops are allowed from.
    pub(crate) allowed: AllowedHops,
    /// What changes which packets stay.
    pub(crate) options: Options,
    /// What is asked beyond the sockets of the namespace, if anything.
    pub(crate) elsewhere: Option<KBox<Elsewhere>>,
}

/// What cookies are made of.
pub(crate) struct CookieSettings {
    /// The id of this proxy.
    pub(crate) id: u16,
    /// How ids are put into timestamps.
    pub(crate) cookie: Cookie,
}

/// What the module keeps in a namespace.
pub(crate) struct State {
    stats: Stats,
    /// Which first fragments were passed on.
    fates: FragmentTable<Slots>,
    devices: Devices,
    routes: Routes,
    /// What the door lets in; empty while it is closed.
    door: Rcu<DoorSettings>,
    /// What cookies are made of; empty while none are set.
    cookie: Rcu<CookieSettings>,
}

impl State {
    /// Of a namespace whose door is closed.
    pub(crate) fn new(net: &Net) -> Result<Self> {
        Ok(Self {
            stats: Stats::new()?,
            fates: FragmentTable::in_slots(&random::bytes(), Slots::new()?),
            devices: Devices::new(net),
            routes: Routes::default(),
            door: Rcu::empty(),
            cookie: Rcu::empty(),
        })
    }

    /// The counters.
    #[inline]
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The devices that take the payload of tunnels.
    #[inline]
    pub(crate) fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The routes found last. Whoever lets packets in sees to it that there is room for them.
    #[inline]
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The settings of the door that is no rule.
    #[inline]
    pub(crate) fn door(&self) -> &Rcu<DoorSettings> {
        &self.door
    }

    /// What cookies are made of.
    #[inline]
    pub(crate) fn cookie(&self) -> &Rcu<CookieSettings> {
        &self.cookie
    }

    /// Remembers whether the first fragment of a datagram was passed on.
    pub(crate) fn record_fragment(&self, addrs: &Addrs, fragment: Fragment, forwarded: bool) {
        self.fates
            .record(addrs, fragment, u32::from(forwarded), now());
    }

    /// Whether the first fragment of this datagram is known to have been passed on.
    pub(crate) fn was_forwarded(&self, addrs: &Addrs, fragment: Fragment) -> bool {
        self.fates.outcome(addrs, fragment, now()) == Some(u32::from(true))
    }
}

/// The clock of the fragment table.
fn now() -> u8 {
    (time::milliseconds() / u64::from(fragments::TICK_MS)) as u8
}
