// SPDX-License-Identifier: GPL-2.0

//! The commands about the cookie of a proxy.

use clap::{Args, Subcommand, ValueHint};
use glb_core::cookie::{MAX_BITS, MIN_BITS};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum CookieCommand {
    /// Set cookies from now on, or change their settings for connections to come
    ///
    /// Connections that are there keep the timestamps that they have.
    #[command(after_help = "Examples:
  glbctl redirect cookie on --id 10
  glbctl redirect cookie on --id 10 --bits 12 --key-file /etc/glb/cookie.key")]
    On(On),
    /// Set no more cookies; connections keep theirs
    Off,
    /// Show whether cookies are set, and of what
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct On {
    /// The id of this proxy, which no other one of the fleet has: 0 to 255 with 8 bits, to 4095 with 12
    #[arg(long, value_parser = clap::value_parser!(u16).range(..1 << MAX_BITS))]
    pub(crate) id: u16,
    /// Bits of an id, the same in the whole fleet: with 8 an echo is good for over 4 hours, with 12 for 16 minutes
    #[arg(long, default_value_t = MIN_BITS, value_parser = clap::value_parser!(u8).range(i64::from(MIN_BITS)..=i64::from(MAX_BITS)))]
    pub(crate) bits: u8,
    /// A file with the key of the fleet, 32 hexadecimal digits; without it everybody can tell ids and choose one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) key_file: Option<PathBuf>,
}
