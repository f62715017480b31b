// SPDX-License-Identifier: GPL-2.0

//! From a packet to the number of its row.

use super::hash::{PacketHash, ROWS};
use super::maglev::{self, nfqlb, vpp};
use super::{FlowHash, Select};
use crate::director::forward::Forward;
use crate::director::inspect::Kind;
use crate::packet::flow::FlowKey;
use crate::packet::ip::{proto, Addrs};

/// Most hops of a row: what the packet format has room for with IPv4 hops.
const MAX_HOPS: u8 = 31;

/// What of a table cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The number of rows: 65,536 of GLB's, 1 to [`maglev::size::MAX_SIZE`] of a Maglev table, with VPP's hash a power of two.
    Rows,
    /// GLB's rows are selected by the director's own hash.
    FlowHash,
    /// Fewer than [`Selector::least_hops`], or more than 31.
    Hops,
}

/// How the packets of a table find their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selector {
    /// What the rows are.
    pub select: Select,
    /// How many there are.
    pub rows: u32,
    /// What of a packet selects one.
    pub flow_hash: FlowHash,
}

impl Selector {
    /// Of GLB's rows.
    pub const GLB: Self = Self {
        select: Select::Rows,
        // The cast is exact.
        rows: ROWS as u32,
        flow_hash: FlowHash::Own,
    };

    /// The number of the row of a packet with this hash.
    #[must_use]
    pub fn row(self, hash: PacketHash, kind: Kind, key: &FlowKey) -> u32 {
        let rows = self.rows;
        match (self.select, self.flow_hash) {
            (Select::Rows, _) => u32::from(hash.row()),
            (Select::Maglev, FlowHash::Own) => maglev::row(hash, rows),
            (Select::Maglev, FlowHash::Vpp) => vpp::row(vpp::flow_hash(key, vpp::By::Flow), rows),
            (Select::Maglev, FlowHash::VppSticky) => {
                vpp::row(vpp::flow_hash(key, vpp::By::Addresses), rows)
            }
            (Select::Maglev, FlowHash::Nfqlb) => {
                let number = protocol(kind, key);
                nfqlb::row(nfqlb::flow_hash(key, number, nfqlb::Sctp::Flow), rows)
            }
            (Select::Maglev, FlowHash::NfqlbSctpPorts) => {
                let number = protocol(kind, key);
                nfqlb::row(nfqlb::flow_hash(key, number, nfqlb::Sctp::Ports), rows)
            }
        }
    }

    /// The number of the row of a Maglev table by the packet hash; nothing where something else selects the row.
    #[inline(always)]
    #[must_use]
    pub fn row_of_hash(self, hash: PacketHash) -> Option<u32> {
        match (self.select, self.flow_hash) {
            (Select::Maglev, FlowHash::Own) => Some(maglev::row(hash, self.rows)),
            (Select::Maglev | Select::Rows, _) => None,
        }
    }

    /// The number of the row by a second packet hash; nothing where another system's hash selects the row.
    #[must_use]
    pub fn alt_row(self, hash: PacketHash) -> Option<u32> {
        match (self.select, self.flow_hash) {
            (Select::Rows, _) => Some(u32::from(hash.row())),
            (Select::Maglev, FlowHash::Own) => Some(maglev::row(hash, self.rows)),
            (Select::Maglev, _) => None,
        }
    }

    /// What of a table with so many hops a row and this forward cannot be.
    pub fn check(self, hops: u8, forward: Forward) -> Result<(), Unfit> {
        let maglev = self.select == Select::Maglev;
        let power = match self.flow_hash {
            FlowHash::Own => false,
            FlowHash::Vpp | FlowHash::VppSticky => true,
            FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => false,
        };
        if !maglev && self.flow_hash != FlowHash::Own {
            return Err(Unfit::FlowHash);
        }
        let rows = match self.select {
            Select::Rows => self.rows == Self::GLB.rows,
            Select::Maglev => {
                (1..=maglev::size::MAX_SIZE).contains(&self.rows)
                    && (!power || self.rows.is_power_of_two())
            }
        };
        if !rows {
            return Err(Unfit::Rows);
        }
        if hops < self.least_hops(forward) || hops > MAX_HOPS {
            return Err(Unfit::Hops);
        }
        Ok(())
    }

    /// The fewest hops of a row: where packets list the hops behind the first, there is one.
    #[must_use]
    pub fn least_hops(self, forward: Forward) -> u8 {
        if self.select == Select::Maglev && !forward.lists_hops() {
            1
        } else {
            2
        }
    }

    /// Whether a packet's row depends on its ports, whatever the director's hash fields are.
    #[must_use]
    pub fn needs_ports(self) -> bool {
        self.select == Select::Maglev
            && match self.flow_hash {
                FlowHash::Own | FlowHash::VppSticky => false,
                FlowHash::Vpp | FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => true,
            }
    }
}

impl FlowHash {
    /// Whether a bind for all protocols may lead to a table with this hash. nfqlb hashes the ports of SCTP, and a packet that
    /// such a bind takes has none: it would go elsewhere than there, and by [`FlowHash::NfqlbSctpPorts`] all to one backend.
    #[must_use]
    pub const fn takes_all_protocols(self) -> bool {
        match self {
            Self::Own | Self::Vpp | Self::VppSticky => true,
            Self::Nfqlb | Self::NfqlbSctpPorts => false,
        }
    }
}

/// The number of the protocol whose flow the packet belongs to.
fn protocol(kind: Kind, key: &FlowKey) -> u8 {
    match (kind, key.addrs) {
        (
            Kind::Flow(proto)
            | Kind::IcmpError(proto)
            | Kind::IcmpFailure(proto)
            | Kind::LaterFragment(proto),
            _,
        ) => proto.number(),
        (Kind::Portless(number) | Kind::PortlessIcmpError(number), _) => number,
        (Kind::Echo | Kind::EchoIcmpError, Addrs::V4 { .. }) => proto::ICMP,
        (Kind::Echo | Kind::EchoIcmpError, Addrs::V6 { .. }) => proto::ICMPV6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::director::classify::bind::Proto;

    const KEY: FlowKey = FlowKey {
        addrs: Addrs::V4 {
            src: [20, 0, 0, 1],
            dst: [10, 0, 0, 0],
        },
        src_port: 40_000,
        dst_port: 5_001,
    };
    const HASH: PacketHash = PacketHash(0x8000_0000_0000_1234);

    fn maglev(rows: u32, flow_hash: FlowHash) -> Selector {
        Selector {
            select: Select::Maglev,
            rows,
            flow_hash,
        }
    }

    #[test]
    fn each_hash_selects_its_row() {
        let row = |selector: Selector, kind| selector.row(HASH, kind, &KEY);
        let tcp = Kind::Flow(Proto::Tcp);
        assert_eq!(row(Selector::GLB, tcp), 0x1234);
        assert_eq!(row(maglev(1_021, FlowHash::Own), tcp), 510);
        // Of the model of nfqlb: shared vectors maglev-peers.tsv.
        let nfqlb = maglev(997, FlowHash::Nfqlb);
        assert_eq!(row(nfqlb, tcp), 209);
        assert_eq!(row(nfqlb, Kind::IcmpError(Proto::Tcp)), 209);
        assert_eq!(row(nfqlb, Kind::Flow(Proto::Udp)), 884);
        assert_ne!(row(nfqlb, Kind::Echo), 209);
        let vpp = maglev(1_024, FlowHash::Vpp);
        assert_eq!(row(vpp, tcp), vpp::flow_hash(&KEY, vpp::By::Flow) & 1_023);
        let sticky = maglev(1_024, FlowHash::VppSticky);
        let other = FlowKey { src_port: 1, ..KEY };
        assert_eq!(row(sticky, tcp), sticky.row(HASH, tcp, &other));
        assert_ne!(row(vpp, tcp), vpp.row(HASH, tcp, &other));
    }

    #[test]
    fn a_second_hash_is_ours() {
        assert_eq!(Selector::GLB.alt_row(HASH), Some(0x1234));
        assert_eq!(maglev(1_021, FlowHash::Own).alt_row(HASH), Some(510));
        assert_eq!(maglev(1_024, FlowHash::Vpp).alt_row(HASH), None);
    }

    /// Without ports all SCTP packets would be of one row.
    #[test]
    fn a_hash_of_ports_takes_no_bind_for_all_protocols() {
        let all = FlowHash::ALL.iter();
        let takes: std::vec::Vec<_> = all.filter(|hash| hash.takes_all_protocols()).collect();
        assert_eq!(
            takes,
            [&FlowHash::Own, &FlowHash::Vpp, &FlowHash::VppSticky]
        );
        let sctp = |src| {
            let addrs = Addrs::V4 { src, dst: [9; 4] };
            let key = FlowKey {
                addrs,
                src_port: 0,
                dst_port: 0,
            };
            maglev(997, FlowHash::NfqlbSctpPorts).row(HASH, Kind::Portless(proto::SCTP), &key)
        };
        assert_eq!(sctp([1; 4]), sctp([2; 4]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let glb = Selector::GLB;
        let of = |rows, flow_hash| maglev(rows, flow_hash);
        for (selector, hops, forward, expected) in [
            (glb, 2, Forward::Gue, Ok(())),
            (glb, 1, Forward::Gre, Err(Unfit::Hops)),
            (glb, 32, Forward::Gue, Err(Unfit::Hops)),
            (
                Selector {
                    rows: 65_537,
                    ..glb
                },
                2,
                Forward::Gue,
                Err(Unfit::Rows),
            ),
            (
                Selector {
                    flow_hash: FlowHash::Vpp,
                    ..glb
                },
                2,
                Forward::Gue,
                Err(Unfit::FlowHash),
            ),
            (of(7, FlowHash::Own), 1, Forward::Gre, Ok(())),
            (of(7, FlowHash::Own), 1, Forward::Gue, Err(Unfit::Hops)),
            (of(7, FlowHash::Own), 31, Forward::Gue, Ok(())),
            (of(7, FlowHash::Own), 0, Forward::Gre, Err(Unfit::Hops)),
            // Whether it is a prime is the matter of who fills the rows.
            (of(8, FlowHash::Own), 1, Forward::Gre, Ok(())),
            (of(0, FlowHash::Own), 1, Forward::Gre, Err(Unfit::Rows)),
            (of(655_373, FlowHash::Own), 1, Forward::Gre, Ok(())),
            (
                of(655_374, FlowHash::Own),
                1,
                Forward::Gre,
                Err(Unfit::Rows),
            ),
            (of(1_024, FlowHash::Vpp), 1, Forward::Gre, Ok(())),
            (
                of(1_021, FlowHash::VppSticky),
                1,
                Forward::Gre,
                Err(Unfit::Rows),
            ),
            (of(997, FlowHash::Nfqlb), 1, Forward::Gre, Ok(())),
        ] {
            assert_eq!(
                selector.check(hops, forward),
                expected,
                "{selector:?} {hops}"
            );
        }
    }

    #[test]
    fn numbers_and_names_are_those_of_the_files() {
        let selects = [(Select::Rows, 0, "glb"), (Select::Maglev, 1, "maglev")];
        for (select, number, name) in selects {
            assert_eq!((select.number(), select.name()), (number, name));
            assert_eq!(Select::from_number(number), Some(select));
            assert_eq!(Select::from_name(name), Some(select));
        }
        assert_eq!(Select::ALL.len(), selects.len());
        assert_eq!(Select::from_number(2), None);
        let names: std::vec::Vec<&str> = FlowHash::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(
            names,
            ["own", "vpp", "vpp-sticky", "nfqlb", "nfqlb-sctp-ports"]
        );
        for (number, hash) in (0..).zip(FlowHash::ALL) {
            assert_eq!(FlowHash::from_number(number), Some(*hash));
        }
    }
}
