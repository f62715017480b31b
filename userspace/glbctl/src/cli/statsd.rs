// SPDX-License-Identifier: GPL-2.0

//! The command that sends the counters to a statsd.

use super::values::seconds;
use crate::places::CONF;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Statsd {
    /// director.conf
    #[arg(long, value_name = "FILE", default_value = CONF)]
    pub(crate) config: PathBuf,
    /// The time between reports
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) interval: f64,
    /// The tag glb_engine; with "xdp" it looks like the deployed director of that name
    #[arg(long, value_name = "NAME", default_value = "kernel", value_parser = tag)]
    pub(crate) engine: String,
}

/// What may stand in a tag.
fn tag(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    match (1..=200).contains(&text.len()) && text.bytes().all(good) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, _, - and .".to_owned()),
    }
}
