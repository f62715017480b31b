// SPDX-License-Identifier: GPL-2.0

//! Ethernet headers, as far as the tests need them.

use anyhow::{bail, Context, Result};
use std::str::FromStr;

pub(crate) const HEADER_LEN: usize = 14;

/// A station's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mac([u8; 6]);

impl FromStr for Mac {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = text
            .split(':')
            .map(|part| u8::from_str_radix(part, 16))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("'{text}' is not six bytes of hex"))?;
        match <[u8; 6]>::try_from(bytes) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => bail!("'{text}' has not six bytes"),
        }
    }
}

/// The IP packet `packet` in a frame; its version says which protocol the frame names.
pub(crate) fn frame(dst: Mac, src: Mac, packet: &[u8]) -> Result<Vec<u8>> {
    let v6 = match packet.first().map(|byte| byte >> 4) {
        Some(4) => false,
        Some(6) => true,
        _ => bail!("neither IPv4 nor IPv6"),
    };
    Ok(frame_as(dst, src, v6, packet))
}

/// Whatever `packet` says it is, in a frame that names IPv4 or IPv6.
pub(crate) fn frame_as(dst: Mac, src: Mac, v6: bool, packet: &[u8]) -> Vec<u8> {
    let ethertype: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    [&dst.0, &src.0, &ethertype[..], packet].concat()
}

/// Puts a tag of this VLAN (IEEE 802.1Q) in front of what the frame names.
pub(crate) fn tag(frame: &mut Vec<u8>, vlan: u16) {
    let [high, low] = vlan.to_be_bytes();
    frame.splice(12..12, [0x81, 0, high, low]);
}
