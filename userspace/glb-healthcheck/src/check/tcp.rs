// SPDX-License-Identifier: GPL-2.0

//! Whether a port accepts connections.

use super::through::Dial;
use super::Failure;
use std::net::SocketAddr;

/// Connects and closes.
pub(super) async fn check(place: SocketAddr, dial: Dial<'_>) -> Result<(), Failure> {
    dial.connect(&[place]).await?;
    Ok(())
}
