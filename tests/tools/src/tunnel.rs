// SPDX-License-Identifier: GPL-2.0

//! Tunnels: the list of proxies, first choice first and all of one family, and packets with headers in front by the core's
//! encoder, as the director's module uses it.

use anyhow::{bail, Context, Result};
use glb_core::director::{Params, Shape, Tunnel};
use glb_core::packet::addr::Addr;
use glb_core::packet::ip::Family;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// The outer source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// The proxies. There is at least one, and not more than a header can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hops {
    V4(Vec<[u8; 4]>),
    V6(Vec<[u8; 16]>),
}

/// A packet that goes into a tunnel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inner<'a> {
    pub(crate) family: Family,
    pub(crate) packet: &'a [u8],
}

impl Hops {
    pub(crate) fn new(hops: &[IpAddr]) -> Result<Self> {
        let v4: Vec<_> = hops
            .iter()
            .filter_map(|hop| match hop {
                IpAddr::V4(hop) => Some(hop.octets()),
                IpAddr::V6(_) => None,
            })
            .collect();
        let v6: Vec<_> = hops
            .iter()
            .filter_map(|hop| match hop {
                IpAddr::V4(_) => None,
                IpAddr::V6(hop) => Some(hop.octets()),
            })
            .collect();
        let (list, most) = match (v4.is_empty(), v6.is_empty()) {
            (true, true) => bail!("no hop"),
            (false, false) => bail!("hops of both families"),
            (false, true) => (
                Self::V4(v4),
                usize::from(glb_core::packet::gue::MAX_HOPS_V4),
            ),
            (true, false) => (
                Self::V6(v6),
                usize::from(glb_core::packet::gue::MAX_HOPS_V6),
            ),
        };
        // The first hop is the outer destination and not in the header's list.
        if hops.len() > most + 1 {
            bail!(
                "{} hops; a header carries the first and {most} more",
                hops.len()
            );
        }
        Ok(list)
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        matches!(self, Self::V6(_))
    }

    /// Puts a packet into a tunnel from `source` to the first hop, into `out`. `None`: the source is of another family, or the
    /// packet is too long.
    pub(crate) fn encapsulate(
        &self,
        source: Source,
        ports: (u16, u16),
        inner: Inner<'_>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (src, hops): (_, Vec<Addr>) = match (source, self) {
            (Source::V4(src), Self::V4(hops)) => {
                (Addr::V4(src), hops.iter().copied().map(Addr::V4).collect())
            }
            (Source::V6(src), Self::V6(hops)) => {
                (Addr::V6(src), hops.iter().copied().map(Addr::V6).collect())
            }
            _ => return None,
        };
        let (&dst, others) = hops.split_first()?;
        let (src_port, dst_port) = ports;
        let params = Params {
            src,
            dst,
            src_port,
            dst_port,
            flow_label: 0,
            tos: 0,
            inner: inner.family,
            inner_len: inner.packet.len(),
        };
        let outer = match src {
            Addr::V4(_) => Family::V4,
            Addr::V6(_) => Family::V6,
        };
        let layout = Tunnel::Gue.layout(&Shape {
            outer,
            inner: inner.family,
            others: u8::try_from(others.len()).ok()?,
            udp_checksum: false,
        });
        out.clear();
        out.resize(layout.len, 0);
        Tunnel::Gue.write(&params, others, out)?;
        out.extend_from_slice(inner.packet);
        Some(())
    }

    /// The first choice.
    pub(crate) fn first(&self) -> IpAddr {
        match self {
            Self::V4(hops) => IpAddr::from(hops[0]),
            Self::V6(hops) => IpAddr::from(hops[0]),
        }
    }
}

impl fmt::Display for Hops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hops: Vec<IpAddr> = match self {
            Self::V4(hops) => hops.iter().map(|&hop| hop.into()).collect(),
            Self::V6(hops) => hops.iter().map(|&hop| hop.into()).collect(),
        };
        let words: Vec<String> = hops.iter().map(IpAddr::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

/// Reads addresses, divided by white space.
pub(crate) fn read(path: &Path) -> Result<Hops> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let hops = text
        .split_whitespace()
        .map(|word| {
            word.parse::<IpAddr>()
                .with_context(|| format!("{}: '{word}'", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    Hops::new(&hops).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(text: &str) -> Result<Hops> {
        let list: Vec<IpAddr> = text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        Hops::new(&list)
    }

    #[test]
    fn families_do_not_mix_and_lists_fit() {
        assert_eq!(
            hops("10.0.0.1 10.0.0.2").unwrap().to_string(),
            "10.0.0.1 10.0.0.2"
        );
        assert!(hops("").is_err());
        assert!(hops("10.0.0.1 fd00::1").is_err());
        assert!(hops(&"10.0.0.1 ".repeat(31)).is_ok());
        assert!(hops(&"10.0.0.1 ".repeat(32)).is_err());
        assert!(hops(&"fd00::1 ".repeat(8)).is_ok());
        assert!(hops(&"fd00::1 ".repeat(9)).is_err());
    }
}
