// SPDX-License-Identifier: GPL-2.0

//! How a packet leaves a director: by a tunnel, which puts headers in front of it, rewritten in place, or up the stack with a mark.
//!
//! A forward is a file beside this one and a line in `forwards!` below. The enums, their numbers (netlink, binary tables) and
//! their names (JSON, glbctl) follow from the line.
//!
//! The file of a tunnel has two functions: `layout`, which says how long the headers are and how the kernel segments what is
//! behind them, and `write`, which fills them; and it says whether the headers list the hops behind the first. The file of a
//! forward that rewrites has `Params`, what the operator says of it, and `edit`, which says what changes in a packet;
//! [`rewrite`] changes it. Such a packet has no place for further hops.

#[cfg(test)]
mod golden;
mod gre;
mod gue;
#[cfg(test)]
mod ip_model;
mod ipip;
mod l3dsr;
mod mark;
mod nat;
mod others;
mod outer;
pub mod rewrite;

use crate::director::select::hash::PacketHash;
use crate::packet::addr::Addr;
use crate::packet::dscp::Dscp;
use crate::packet::ip::Family;
use core::num::NonZeroU16;
use rewrite::Edit;

pub use gue::{header_len, source_port, MAX_HEADER_LEN};
pub use mark::MarkOffset;
pub use others::Others;

/// What the headers in front of a packet depend on, but for addresses.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Family of the outer IP header.
    pub outer: Family,
    /// Family of the client's packet.
    pub inner: Family,
    /// How many hops are behind the first.
    pub others: u8,
    /// Whether the operator wants a checksum in an outer UDP header.
    pub udp_checksum: bool,
}

/// What the kernel must know of the headers in front of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Their length, bytes.
    pub len: usize,
    /// The outer IP header's protocol.
    pub proto: u8,
    /// How segmentation finds what is behind them.
    pub gso: Gso,
    /// Whether the outer header has the client's DSCP and ECN.
    pub inherits: bool,
}

/// How segmentation finds the inner packet: the `SKB_GSO_*` of `include/linux/skbuff.h` without the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// Behind a UDP header without a checksum, or with one.
    Udp {
        /// Whether the header has a checksum.
        checksum: bool,
    },
    /// Behind a GRE header.
    Gre,
    /// Behind the outer IP header.
    Ip,
}

/// What the headers in front of one packet say.
#[derive(Debug, Clone, Copy)]
pub struct Params {
    /// Outer source.
    pub src: Addr,
    /// Outer destination: the first hop.
    pub dst: Addr,
    /// UDP source port: routers and network cards spread flows by it.
    pub src_port: u16,
    /// UDP destination port.
    pub dst_port: u16,
    /// Flow label of an outer IPv6 header where there is no UDP header (RFC 6438).
    pub flow_label: u32,
    /// TOS or traffic class of the client's packet: DSCP and ECN.
    pub tos: u8,
    /// Family of the client's packet.
    pub inner: Family,
    /// Length of the client's packet.
    pub inner_len: usize,
}

/// Declares the forwards, each with its file, its number and its name.
macro_rules! forwards {
    (
        tunnels { $($(#[$doc:meta])* $name:ident($room:ident) = $number:literal, $word:literal;)* }
        rewrites { $($(#[$r_doc:meta])* $r_name:ident($r_room:ident) = $r_number:literal, $r_word:literal;)* }
        marks { $($(#[$m_doc:meta])* $m_name:ident($m_room:ident) = $m_number:literal, $m_word:literal;)* }
    ) => {
        /// How a table's packets leave.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum Forward {
            #[default]
            $($(#[$doc])* $name,)*
            $($(#[$r_doc])* $r_name($r_room::Params),)*
            $($(#[$m_doc])* $m_name($m_room::Params),)*
        }

        /// Which forward it is, whatever its parameters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(u8)]
        pub enum ForwardKind {
            #[default]
            $($(#[$doc])* $name = $number,)*
            $($(#[$r_doc])* $r_name = $r_number,)*
            $($(#[$m_doc])* $m_name = $m_number,)*
        }

        /// A forward that puts headers in front of the packet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Tunnel {
            $($(#[$doc])* $name,)*
        }

        /// What a forward does to a packet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Leave {
            /// Headers come in front of it.
            Tunnel(Tunnel),
            /// It is changed in place.
            Rewrite(Edit),
            /// It goes on up the stack as it is, with a mark.
            Mark(MarkOffset),
        }

        impl Forward {
            /// Which it is.
            #[inline(always)]
            #[must_use]
            pub const fn kind(self) -> ForwardKind {
                match self {
                    $(Self::$name => ForwardKind::$name,)*
                    $(Self::$r_name(_) => ForwardKind::$r_name,)*
                    $(Self::$m_name(_) => ForwardKind::$m_name,)*
                }
            }

            /// What it does to a packet.
            #[inline(always)]
            #[must_use]
            pub const fn leave(self) -> Leave {
                match self {
                    $(Self::$name => Leave::Tunnel(Tunnel::$name),)*
                    $(Self::$r_name(params) => Leave::Rewrite($r_room::edit(params)),)*
                    $(Self::$m_name(params) => Leave::Mark(params),)*
                }
            }
        }

        impl ForwardKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)* $(Self::$r_name,)* $(Self::$m_name),*];

            /// The one of this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    $($r_number => Some(Self::$r_name),)*
                    $($m_number => Some(Self::$m_name),)*
                    _ => None,
                }
            }

            /// Its name in the JSON files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    $(Self::$r_name => $r_word,)*
                    $(Self::$m_name => $m_word,)*
                }
            }

            /// Whether a packet names the hops behind the first, which is the second chance of its connection. Without
            /// it a connection breaks when its row gets another first hop.
            #[must_use]
            pub const fn lists_hops(self) -> bool {
                match self {
                    $(Self::$name => $room::LISTS_HOPS,)*
                    $(Self::$r_name => false,)*
                    $(Self::$m_name => false,)*
                }
            }

            /// Whether packets are rewritten in place, which needs backends of the family of the binds.
            #[must_use]
            pub const fn rewrites(self) -> bool {
                match self {
                    $(Self::$name => false,)*
                    $(Self::$r_name => true,)*
                    $(Self::$m_name => false,)*
                }
            }

            /// The forward of this kind, if it has no parameters.
            #[must_use]
            pub const fn plain(self) -> Option<Forward> {
                match self {
                    $(Self::$name => Some(Forward::$name),)*
                    $(Self::$r_name => None,)*
                    $(Self::$m_name => None,)*
                }
            }
        }

        impl Tunnel {
            /// What the kernel must know to send it.
            #[inline(always)]
            #[must_use]
            pub fn layout(self, shape: &Shape) -> Layout {
                match self {
                    $(Self::$name => $room::layout(shape),)*
                }
            }

            /// Writes the headers; `out` must have exactly the layout's length.
            #[inline(always)]
            pub fn write<O: Others + ?Sized>(
                self,
                params: &Params,
                others: &O,
                out: &mut [u8],
            ) -> Option<()> {
                match self {
                    $(Self::$name => $room::write(params, others, out),)*
                }
            }
        }
    };
}

forwards! {
    tunnels {
        /// Generic UDP encapsulation with GLB's list of hops: a proxy that does not know the connection passes the packet on.
        Gue(gue) = 0, "gue";
        /// Generic routing encapsulation, without a list of hops.
        Gre(gre) = 1, "gre";
        /// IP in IP, without a list of hops.
        Ipip(ipip) = 2, "ipip";
    }
    rewrites {
        /// Layer 3 direct server return: the backend's address as the destination, and a DSCP that says which VIP it was.
        L3dsr(l3dsr) = 3, "l3dsr";
        /// Network address translation: the backend's address as the destination, and its port. Answers come back through the
        /// director.
        Nat(nat) = 4, "nat";
    }
    marks {
        /// The packet goes on up the stack with a mark that says which backend it is for; rules of the kernel's routing lead it
        /// there.
        Mark(mark) = 5, "mark";
    }
}

/// The outer flow label: it spreads flows as the source port does ([`source_port`]), from other bits of the hash.
#[inline]
pub const fn flow_label(hash: PacketHash, hint: u16) -> u32 {
    // The cast keeps the low bits.
    ((hash.0 >> 16) as u32 ^ hint as u32) & 0xf_ffff
}

/// Parameters as files and requests give them, of whatever forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// The DSCP that packets get: of `l3dsr`.
    pub dscp: Option<Dscp>,
    /// The port that packets get: of `nat`.
    pub target_port: Option<NonZeroU16>,
    /// The mark of the first backend: of `mark`.
    pub mark_offset: Option<MarkOffset>,
}

/// Why a forward cannot have the parameters that are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It needs a DSCP.
    NoDscp,
    /// It gives packets no DSCP.
    Dscp,
    /// It gives packets no port.
    TargetPort,
    /// It needs the mark of the first backend.
    NoMarkOffset,
    /// It gives packets no mark.
    MarkOffset,
}

impl Forward {
    /// Its number: in the netlink family, and in binary tables of version 3.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        self.kind().number()
    }

    /// Its name in the JSON files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.kind().name()
    }

    /// The DSCP that its packets get, if it gives them one.
    #[must_use]
    pub const fn dscp(self) -> Option<Dscp> {
        match self {
            Self::L3dsr(dscp) => Some(dscp),
            Self::Gue | Self::Gre | Self::Ipip | Self::Nat(_) | Self::Mark(_) => None,
        }
    }

    /// The port that its packets get, if it gives them another one.
    #[must_use]
    pub const fn target_port(self) -> Option<NonZeroU16> {
        match self {
            Self::Nat(port) => port,
            Self::Gue | Self::Gre | Self::Ipip | Self::L3dsr(_) | Self::Mark(_) => None,
        }
    }

    /// The mark of the first backend, if its packets get one.
    #[must_use]
    pub const fn mark_offset(self) -> Option<MarkOffset> {
        match self {
            Self::Mark(offset) => Some(offset),
            Self::Gue | Self::Gre | Self::Ipip | Self::L3dsr(_) | Self::Nat(_) => None,
        }
    }

    /// All its parameters.
    #[must_use]
    pub const fn given(self) -> Given {
        Given {
            dscp: self.dscp(),
            target_port: self.target_port(),
            mark_offset: self.mark_offset(),
        }
    }

    /// Whether addresses are translated, so that answers have to come back through a director
    /// ([`reverse`](crate::director::reverse)).
    #[inline(always)]
    #[must_use]
    pub const fn translates(self) -> bool {
        matches!(self, Self::Nat(_))
    }

    /// Whether it takes ICMP errors that say that a packet did not arrive: they are translated, or go where all goes. In a
    /// tunnel, as deployed directors have it, only errors about packets that were too long go.
    #[inline(always)]
    #[must_use]
    pub const fn takes_failures(self) -> bool {
        matches!(self, Self::Nat(_) | Self::Mark(_))
    }

    /// Whether classes may lead to it. What is rewritten in place depends on the binds of its table: on their family, and on the
    /// address and port that answers get again.
    #[must_use]
    pub const fn takes_classes(self) -> bool {
        !matches!(self.leave(), Leave::Rewrite(_))
    }

    /// Whether a packet names the hops behind the first ([`ForwardKind::lists_hops`]).
    #[inline(always)]
    #[must_use]
    pub const fn lists_hops(self) -> bool {
        self.kind().lists_hops()
    }

    /// The hops of a row that its packets name, and so can reach: all, or the first.
    #[must_use]
    pub fn named(self, row: &[u8]) -> &[u8] {
        if self.lists_hops() {
            row
        } else {
            row.get(..1).unwrap_or_default()
        }
    }
}

impl ForwardKind {
    /// Its number: in the netlink family, and in binary tables of version 3.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The forward of this kind with these parameters; or the name of one that is missing, or is not of this kind.
    pub const fn with(self, given: Given) -> Result<Forward, Misfit> {
        let Given {
            dscp,
            target_port,
            mark_offset,
        } = given;
        match (self, mark_offset) {
            (Self::Mark, None) => return Err(Misfit::NoMarkOffset),
            (Self::Mark, Some(offset)) if dscp.is_none() && target_port.is_none() => {
                return Ok(Forward::Mark(offset));
            }
            (Self::Mark, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Misfit::MarkOffset),
        }
        match (self, dscp, target_port) {
            (Self::L3dsr, None, _) => Err(Misfit::NoDscp),
            (Self::L3dsr, Some(dscp), None) => Ok(Forward::L3dsr(dscp)),
            (Self::Nat, None, port) => Ok(Forward::Nat(port)),
            (_, Some(_), None) => Err(Misfit::Dscp),
            (Self::Nat, Some(_), Some(_)) => Err(Misfit::Dscp),
            (_, _, Some(_)) => Err(Misfit::TargetPort),
            (_, None, None) => match self.plain() {
                Some(forward) => Ok(forward),
                None => Err(Misfit::NoDscp),
            },
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}
