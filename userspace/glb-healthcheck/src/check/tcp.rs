// SPDX-License-Identifier: GPL-2.0

//! Whether a port accepts connections.

use super::Failure;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Connects and closes.
pub(super) async fn check(place: SocketAddr) -> Result<(), Failure> {
    TcpStream::connect(place).await?;
    Ok(())
}
