// SPDX-License-Identifier: GPL-2.0

//! How the module's parts are tied to a namespace: its state, its doors, its file in `/proc/net`, and the devices that change.

#![forbid(unsafe_code)]

use crate::cookie;
use crate::door;
use crate::files::All;
use crate::state::State;
use glb_kernel::net::{Either, Net, NetState, News};
use glb_kernel::proc;
use kernel::prelude::*;

impl NetState for State {
    type Door = Either<door::Attachment, cookie::Attachment>;
    type Files = proc::PerNetFile<All>;

    fn new(net: &Net) -> Result<Self> {
        Self::new(net)
    }

    fn show(net: &Net) -> Result<Self::Files> {
        proc::PerNetFile::new(net)
    }

    fn device_changed(&self, news: &News<'_, Self>) {
        if news.device.concerns_decap() {
            self.devices().refresh(news.net);
        }
    }
}
