// SPDX-License-Identifier: GPL-2.0

//! `select` of a table: which rows it has, and how packets find theirs (docs/maglev.md).

use super::{must_be, TableBackend};
use crate::issue::quoted;
use crate::read::{Node, Object, Reader};
use glb_core::backend::State;
use glb_core::director::classify::bind::Bind;
use glb_core::director::select::maglev::size::{self, SizeError, MAX_SIZE};
use glb_core::director::select::maglev::{self, nfqlb, vpp, Member, MAX_WORK};
use glb_core::director::{FlowHash, Forward, Select, Selector};

pub(crate) const SELECT_FIELDS: [&str; 5] = ["kind", "size", "hops", "compat", "max_targets"];

/// Hops of a row where packets list those behind the first: the second one has the connections of a backend that drains.
const DEFAULT_HOPS: u8 = 2;
/// The default of VPP's `new_len`.
const VPP_SIZE: u32 = 1024;

/// What `select` of a Maglev table says.
pub(crate) struct Said<'v> {
    hops: Option<(Node<'v>, u8)>,
    size: Option<(Node<'v>, u32)>,
    flow_hash: FlowHash,
    /// Identifiers of backends are below this.
    max_targets: Option<u16>,
}

/// Reads `select` of a table; nothing inside if the table has GLB's rows.
pub(crate) fn read<'v>(reader: &mut Reader, table: &Object<'v>) -> Option<Option<Said<'v>>> {
    let Some(node) = table.get("select") else {
        return Some(None);
    };
    let object = reader.object(&node, &SELECT_FIELDS)?;
    let kind = reader.required(&object, "kind")?;
    let name = reader.string(&kind)?;
    match Select::from_name(name) {
        Some(Select::Rows) => {
            let mut good = Some(None);
            for field in &SELECT_FIELDS[1..] {
                if let Some(node) = object.get(field) {
                    reader.error(&node, "needs \"kind\": \"maglev\"");
                    good = None;
                }
            }
            good
        }
        Some(Select::Maglev) => read_maglev(reader, &object).map(Some),
        None => {
            reader.error(&kind, must_be(Select::ALL.iter().map(|one| one.name())));
            None
        }
    }
}

fn read_maglev<'v>(reader: &mut Reader, object: &Object<'v>) -> Option<Said<'v>> {
    let hops = match object.get("hops") {
        Some(node) => reader
            .integer(&node, 1u8..=31)
            .map(|hops| Some((node, hops))),
        None => Some(None),
    };
    let size = match object.get("size") {
        Some(node) => reader
            .integer(&node, 2u32..=MAX_SIZE)
            .map(|size| Some((node, size))),
        None => Some(None),
    };
    let flow_hash = match object.get("compat") {
        Some(node) => read_compat(reader, &node),
        None => Some(FlowHash::Own),
    };
    let max_targets = match object.get("max_targets") {
        Some(node) if flow_hash.is_some_and(|hash| !is_of_nfqlb(hash)) => {
            reader.error(&node, "needs \"compat\": \"nfqlb\" or \"nfqlb-sctp-ports\"");
            None
        }
        Some(node) => reader.integer(&node, 1u16..=256).map(Some),
        None => Some(None),
    };
    Some(Said {
        hops: hops?,
        size: size?,
        flow_hash: flow_hash?,
        max_targets: max_targets?,
    })
}

fn is_of_nfqlb(flow_hash: FlowHash) -> bool {
    match flow_hash {
        FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => true,
        FlowHash::Own | FlowHash::Vpp | FlowHash::VppSticky => false,
    }
}

/// The system whose rows and flow hash a table has.
pub(crate) fn read_compat(reader: &mut Reader, node: &Node<'_>) -> Option<FlowHash> {
    let name = reader.string(node)?;
    let found = FlowHash::from_name(name).filter(|hash| *hash != FlowHash::Own);
    if found.is_none() {
        let others = FlowHash::ALL.iter().filter(|hash| **hash != FlowHash::Own);
        reader.error(node, must_be(others.map(|hash| hash.name())));
    }
    found
}

impl Said<'_> {
    /// Whether the rows are those of another system.
    pub(crate) fn is_compat(&self) -> bool {
        self.flow_hash != FlowHash::Own
    }

    /// Hops of a row, which go with the forward.
    pub(crate) fn hops(&self, reader: &mut Reader, forward: Option<Forward>) -> Option<u8> {
        let forward = forward?;
        if self.is_compat() && forward.lists_hops() {
            let reason = format!(
                "{} has no second hop, which packets of {} name: give the table another forward, such as gre",
                self.flow_hash.name(),
                quoted(forward.name())
            );
            reader.error_at("select.compat", reason);
            return None;
        }
        let lists = forward.lists_hops();
        let default = if lists { DEFAULT_HOPS } else { 1 };
        let Some((node, hops)) = &self.hops else {
            return Some(default);
        };
        if lists && *hops < 2 {
            let reason = "must be at least 2: packets of gue name the hop that has the connections of the first";
            reader.error(node, reason);
            return None;
        }
        if !lists && *hops > 1 {
            let reason = format!(
                "must be 1: packets of {} name no hop behind the first",
                quoted(forward.name())
            );
            reader.error(node, reason);
            return None;
        }
        Some(*hops)
    }

    /// How packets find their rows, of which there are as many as go with the backends.
    pub(crate) fn selector(
        &self,
        reader: &mut Reader,
        hops: u8,
        backends: &[TableBackend],
    ) -> Option<Selector> {
        let rows = self.size(reader, backends)?;
        let takers = backends
            .iter()
            .filter(|one| one.backend.state != State::Inactive && one.weight > 0);
        let work = maglev::work(rows, hops.into(), takers.count());
        if !self.is_compat() && work > MAX_WORK {
            let reason = format!(
                "{hops} hops in {rows} rows take too long to compute with so many backends: fewer hops, or a smaller size"
            );
            reader.error_at("select.hops", reason);
            return None;
        }
        Some(Selector {
            select: Select::Maglev,
            rows,
            flow_hash: self.flow_hash,
        })
    }

    fn size(&self, reader: &mut Reader, backends: &[TableBackend]) -> Option<u32> {
        let said = self.size.as_ref().map(|(_, size)| *size);
        let checked = match self.flow_hash {
            FlowHash::Own => {
                let size =
                    said.unwrap_or_else(|| size::default_size(maglev::reduced(&members(backends))));
                size::check(size, backends.len()).map(|()| size)
            }
            FlowHash::Vpp | FlowHash::VppSticky => {
                let size = said.unwrap_or(VPP_SIZE);
                vpp::check(size).map(|()| size)
            }
            FlowHash::Nfqlb | FlowHash::NfqlbSctpPorts => {
                let size = match (said, self.max_targets) {
                    (Some(told), _) => nfqlb::size(told),
                    (None, Some(slots)) => Ok(nfqlb::default_size(slots)),
                    (None, None) => {
                        let reason = "is missing: the size that nfqlb is told; or give max_targets, from which it follows";
                        reader.error_at("select.size", reason);
                        return None;
                    }
                };
                let last = backends.iter().map(|one| usize::from(one.identifier)).max();
                let slots = last.map_or(0, |last| last + 1);
                let of = |size| size::check(size, slots).map(|()| size);
                size.and_then(of)
            }
        };
        checked
            .map_err(|error| {
                let reason = match error {
                    SizeError::NotPrime(next) => format!("must be a prime, such as {next}"),
                    SizeError::NotPowerOfTwo(next) => {
                        format!("must be a power of two, such as {next}")
                    }
                    SizeError::TooSmall(least) => {
                        let count = backends.len();
                        let last = backends.iter().map(|one| one.identifier).max();
                        match last.filter(|last| usize::from(*last) >= count) {
                            Some(last) => format!(
                                "must be at least {least}: a backend of the table has the id {last}"
                            ),
                            None => {
                                format!("must be at least {least}: the table has {count} backends")
                            }
                        }
                    }
                    SizeError::TooLarge => format!("must be at most {MAX_SIZE}"),
                };
                match &self.size {
                    Some((node, _)) => reader.error(node, reason),
                    None => reader.error_at("select.size", reason),
                }
            })
            .ok()
    }

    /// What a bind of another system's table cannot take.
    pub(crate) fn check_binds(&self, reader: &mut Reader, binds: &[Bind]) {
        if self.flow_hash.takes_all_protocols() {
            return;
        }
        for (index, _) in (0..).zip(binds).filter(|(_, bind)| bind.proto.is_none()) {
            let reason = format!(
                "\"any\" does not go with compat {}, which hashes ports of SCTP: what \"any\" takes has none; give one bind for each of \
                 \"tcp\", \"udp\" and \"sctp\"",
                self.flow_hash.name()
            );
            reader.error_at(&format!("binds[{index}].proto"), reason);
        }
    }

    /// What a backend of another system's table cannot have.
    pub(crate) fn check_backends(&self, reader: &mut Reader, backends: &[TableBackend]) {
        let nfqlb = is_of_nfqlb(self.flow_hash);
        for (index, one) in backends.iter().enumerate() {
            if nfqlb && one.weight != 1 {
                let reason = format!("{}: nfqlb has no weights: must be 1", one.weight);
                reader.error_at(&format!("backends[{index}].weight"), reason);
            }
            if let Some(most) = self
                .max_targets
                .filter(|most| u16::from(one.identifier) >= *most)
            {
                let reason = format!(
                    "is {}, and must be below max_targets, {most}: give a free one, or raise max_targets",
                    one.identifier
                );
                reader.error_at(&format!("backends[{index}].id"), reason);
            }
            if one.domain.is_some() {
                let reason = "has no effect on the rows of a Maglev table";
                reader.warn_at(&format!("backends[{index}].domain"), reason);
            }
        }
        let in_rows = |one: &TableBackend| one.backend.state != State::Inactive;
        let mut usable = backends.iter().filter(|one| in_rows(one)).peekable();
        if usable.peek().is_some() && usable.all(|one| one.weight == 0) {
            let reason = "all have weight 0: a table needs one with a weight that is not inactive";
            reader.error_at("backends", reason);
        }
    }
}

/// The backends as the fill takes them.
pub(crate) fn members(backends: &[TableBackend]) -> Vec<Member> {
    let member = |one: &TableBackend| Member {
        backend: one.backend,
        weight: one.weight,
    };
    backends.iter().map(member).collect()
}
