// SPDX-License-Identifier: GPL-2.0

//! How the module's parts are tied to a namespace: its state, its doors, and the devices that go.

#![forbid(unsafe_code)]

use crate::front::devices::{self, Attachment};
use crate::netlink::notify_detached;
use crate::state::State;
use glb_kernel::net::{Change, Net, NetState, News};
use kernel::prelude::*;

impl NetState for State {
    type Door = Attachment;
    type Files = ();

    fn new(_net: &Net) -> Result<Self> {
        Self::new()
    }

    fn show(_net: &Net) -> Result {
        Ok(())
    }

    fn device_changed(&self, news: &News<'_, Self>) {
        if news.change != Change::Gone {
            return;
        }
        let ifindex = news.device.ifindex();
        if let Some(device) = devices::detach(news.net, news.registered, news.rtnl, ifindex) {
            notify_detached(news.net, device);
        }
    }
}
