// SPDX-License-Identifier: GPL-2.0

//! The lines that `glb_testdev` takes (tests/kmod/spec.c), as far as they are about bytes; what is left out has its defaults.

use anyhow::{bail, Context, Result};
use std::net::IpAddr;
use std::ops::Range;

/// What must become of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The packets that it was made of.
    Same,
    /// The same, as fragments.
    Fragments,
    /// Packets that fit, with the same bytes in the same order.
    Cut,
    /// Nothing leaves.
    Nothing,
}

/// A packet, or the packets that an aggregate was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) want: Want,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) udp: bool,
    pub(super) sport: u16,
    pub(super) dport: u16,
    pub(super) seq: u32,
    pub(super) id: u16,
    pub(super) df: bool,
    pub(super) ttl: u8,
    /// Bytes of TCP options.
    pub(super) options: usize,
    /// The first segment has CWR.
    pub(super) ecn: bool,
    /// Each segment is as it came, with PSH of its own.
    pub(super) packets: bool,
    /// The checksum is wrong, and must stay so.
    pub(super) bad: bool,
    len: usize,
    size: usize,
}

impl Spec {
    /// Reads `WANT KEY=VALUE...`.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let want = match words.next() {
            Some("same") => Want::Same,
            Some("fragments") => Want::Fragments,
            Some("cut") => Want::Cut,
            Some("nothing") => Want::Nothing,
            word => bail!("nobody can want '{}'", word.unwrap_or_default()),
        };
        let mut spec = Self {
            want,
            src: IpAddr::from([0; 4]),
            dst: IpAddr::from([0; 4]),
            udp: false,
            sport: 1024,
            dport: 80,
            seq: 1,
            id: 1,
            df: true,
            ttl: 64,
            options: 0,
            ecn: false,
            packets: false,
            bad: false,
            len: 100,
            size: 1400,
        };
        let mut is_one = false;
        for word in words {
            let (key, value) = word
                .split_once('=')
                .with_context(|| format!("'{word}' is not KEY=VALUE"))?;
            spec.take(key, value).with_context(|| format!("'{word}'"))?;
            is_one |= (key, value) == ("gso", "none");
        }
        if is_one {
            spec.size = spec.len;
        }
        Ok(spec)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "src" => self.src = value.parse()?,
            "dst" => self.dst = value.parse()?,
            "proto" => self.udp = value == "udp",
            "sport" => self.sport = value.parse()?,
            "dport" => self.dport = value.parse()?,
            "seq" => self.seq = value.parse()?,
            "id" => self.id = value.parse()?,
            "df" => self.df = value == "1",
            "ttl" => self.ttl = value.parse()?,
            "options" => self.options = value.parse()?,
            "ecn" => self.ecn = value == "1",
            "bad" => self.bad = value == "1",
            "layout" => self.packets = value == "fraglist",
            "len" => self.len = value.parse()?,
            "size" => self.size = value.parse()?,
            // How the buffer is made; its bytes do not show it.
            _ => {}
        }
        Ok(())
    }

    /// Bytes of payload, all segments'.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where each segment's payload lies.
    pub(super) fn segments(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        (0..self.len.div_ceil(self.size))
            .map(|number| number * self.size..self.len.min((number + 1) * self.size))
    }

    /// The byte at an offset of the payload (tests/kmod/shape.c, `pattern`).
    pub(super) fn byte(&self, offset: usize) -> u8 {
        let place = u32::from(self.sport) << 16 | offset as u32;
        (place.wrapping_mul(0x9e37_79b1) >> 24) as u8
    }
}
