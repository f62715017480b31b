// SPDX-License-Identifier: GPL-2.0

//! The hops behind the first, for forwards whose headers list them.

use crate::packet::addr::Addr;
use crate::packet::ip::Family;

/// The hops behind the first, as a header lists them.
pub trait Others {
    /// Writes their addresses, which are of this family, to `list`, which must have exactly their length.
    fn write(&self, family: Family, list: &mut [u8]) -> Option<()>;
}

impl Others for [Addr] {
    fn write(&self, family: Family, list: &mut [u8]) -> Option<()> {
        let mut rest = list;
        for addr in self {
            rest = match (family, addr) {
                (Family::V4, Addr::V4(addr)) => put(rest, addr)?,
                (Family::V6, Addr::V6(addr)) => put(rest, addr)?,
                _ => return None,
            };
        }
        rest.is_empty().then_some(())
    }
}

/// Writes `bytes` to the beginning of `out`; answers what is behind them.
fn put<'o, const N: usize>(out: &'o mut [u8], bytes: &[u8; N]) -> Option<&'o mut [u8]> {
    let (place, rest) = out.split_first_chunk_mut()?;
    *place = *bytes;
    Some(rest)
}
