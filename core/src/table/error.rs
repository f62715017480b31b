// SPDX-License-Identifier: GPL-2.0

//! What is wrong with a binary table: where it stands and what was found there.

use core::fmt;

/// A field of the binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    Length,
    Magic,
    Version,
    NumTables,
    TableEntries,
    MaxBackends,
    MaxBinds,
    NumBackends,
    BackendFamily,
    BackendAddress,
    BackendState,
    BackendHealth,
    BackendIdentifier,
    NumBinds,
    BindFamily,
    BindAddress,
    BindPrefix,
    BindPorts,
    BindProto,
    BindReserved,
    RowPrimary,
    RowSecondary,
    Checksum,
    Reserved,
    Rule,
    Hops,
    Forward,
    Name,
    DomainName,
    BackendWeight,
    BackendDomain,
    RowHop,
    Word,
    WordLength,
    WordValue,
    Rows,
    FlowHash,
    Dscp,
    TargetPort,
    MarkOffset,
    NumClasses,
    ClassService,
    ClassProtocols,
    ClassPrefixes,
    ClassPrefix,
    ClassList,
    ClassPorts,
    ClassMatch,
    ClassName,
}

impl Field {
    /// The field's name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::NumTables => "num_tables",
            Self::TableEntries => "table_entries",
            Self::MaxBackends => "max_backends",
            Self::MaxBinds => "max_binds",
            Self::NumBackends => "num_backends",
            Self::BackendFamily => "backend.family",
            Self::BackendAddress => "backend.address",
            Self::BackendState => "backend.state",
            Self::BackendHealth => "backend.health",
            Self::BackendIdentifier => "backend.identifier",
            Self::NumBinds => "num_binds",
            Self::BindFamily => "bind.family",
            Self::BindAddress => "bind.address",
            Self::BindPrefix => "bind.prefix",
            Self::BindPorts => "bind.ports",
            Self::BindProto => "bind.proto",
            Self::BindReserved => "bind.reserved",
            Self::RowPrimary => "row.primary",
            Self::RowSecondary => "row.secondary",
            Self::Checksum => "checksum",
            Self::Reserved => "reserved",
            Self::Rule => "rule",
            Self::Hops => "hops",
            Self::Forward => "forward",
            Self::Name => "name",
            Self::DomainName => "domain",
            Self::BackendWeight => "backend.weight",
            Self::BackendDomain => "backend.domain",
            Self::RowHop => "row.hop",
            Self::Word => "word",
            Self::WordLength => "word.length",
            Self::WordValue => "word.value",
            Self::Rows => "rows",
            Self::FlowHash => "flow_hash",
            Self::Dscp => "dscp",
            Self::TargetPort => "target_port",
            Self::MarkOffset => "mark_offset",
            Self::NumClasses => "num_classes",
            Self::ClassService => "class.service",
            Self::ClassProtocols => "class.protocols",
            Self::ClassPrefixes => "list.num_prefixes",
            Self::ClassPrefix => "list.prefix",
            Self::ClassList => "class.list",
            Self::ClassPorts => "class.ports",
            Self::ClassMatch => "class.match",
            Self::ClassName => "class.name",
        }
    }

    /// What the field may hold, for people.
    #[must_use]
    pub const fn allowed(self) -> &'static str {
        match self {
            Self::Length => "as many bytes as the counts need",
            Self::Magic => "the bytes GLBD",
            Self::Version => "2, 3, 4, 5 or 6",
            Self::NumTables => "as many tables as the file has",
            Self::TableEntries => "65536",
            Self::MaxBackends | Self::MaxBinds => "256",
            Self::NumBackends => "1 to 256",
            Self::NumBinds => "0 to 256",
            Self::BackendFamily => "1 (IPv4) or 2 (IPv6)",
            Self::BindFamily => "1 (IPv4) or 2 (IPv6); that of the backends with forward 3 (l3dsr) or 4 (nat)",
            Self::BackendAddress | Self::BindAddress => {
                "zeroes behind the 4 bytes of an IPv4 address"
            }
            Self::BackendState => {
                "0 (filling), 1 (active), 2 (draining) or, in version 3, 3 (inactive)"
            }
            Self::BackendHealth => "0 or 1",
            Self::BackendIdentifier => "one that no other backend of the table has",
            Self::BindPrefix => "at most 32 (IPv4) or 128 (IPv6), and no less with forward 4 (nat)",
            Self::BindPorts => "a first port that is not above the last; 0 to 65535 with protocol 0; with forward 4 (nat), one port other than 0 if there is a target port, and several ones below 32768 if there is none",
            Self::BindProto => "6 (TCP), 17 (UDP) or, in version 3 with rule 3, 132 (SCTP) and, without forward 4 (nat) and without a hash of nfqlb, 0 (all protocols)",
            Self::BindReserved | Self::Reserved => "0",
            Self::RowPrimary | Self::RowSecondary | Self::RowHop => "an index below num_backends",
            Self::Checksum => "the checksum of the bytes before it: the file was damaged",
            Self::Rule => "2 or 3; 3 in a Maglev table",
            Self::Hops => "2 to 31; 2 with rule 2; 1 in a Maglev table whose forward lists no hops",
            Self::Forward => "a forward that this version knows",
            Self::Name => "UTF-8, which ends at this byte",
            Self::DomainName => "UTF-8 behind its length",
            Self::BackendWeight => "1 to 1000; 0 in a Maglev table",
            Self::BackendDomain => "an index of a domain, or 65535",
            Self::Word => {
                "a word that this version knows, each once, in ascending order: a later version may have made the file"
            }
            Self::WordLength => "as many bytes as the value of the word has",
            Self::WordValue => "a value that this version knows: a later version may have made the file",
            Self::Rows => "65536; in a Maglev table 1 to 655373, with the hash of VPP a power of two",
            Self::FlowHash => "0 (own); another one only in a Maglev table",
            Self::Dscp => "there with forward 3 (l3dsr), and with no other",
            Self::TargetPort => "none, but with forward 4 (nat)",
            Self::MarkOffset => "there with forward 5 (mark), and with no other",
            Self::NumClasses => "1 to 10000",
            Self::ClassService => "an index below num_tables, of a table that tunnels or marks",
            Self::ClassProtocols => "0 to 7: 1 for TCP, 2 for UDP and 4 for SCTP",
            Self::ClassPrefixes => "1 to 1000",
            Self::ClassPrefix => {
                "family 1 (IPv4, with zeroes behind the address) or 2 (IPv6), and a length of at most 32 or 128"
            }
            Self::ClassList => "an index of a list, or 4294967295 for none",
            Self::ClassPorts => "a first port that is not above the last",
            Self::ClassMatch => "at most 8, each of 1, 2 or 4 bytes inside the header of protocol 6, 17 or 132",
            Self::ClassName => "UTF-8, which ends at this byte",
        }
    }
}

/// Why a file is not a table file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileError {
    /// Index of the table, or nothing for the file's header.
    pub table: Option<u32>,
    /// The field.
    pub field: Field,
    /// Index of the backend, bind, row, class or list, where the field is in one.
    pub index: Option<u32>,
    /// What was found. Ports: the first in the high 16 bits, the last in the low ones. Addresses: 1.
    pub value: u64,
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = self.table {
            write!(out, "table {table}: ")?;
        }
        out.write_str(self.field.name())?;
        if let Some(index) = self.index {
            write!(out, " [{index}]")?;
        }
        match self.field {
            Field::Magic | Field::Checksum => write!(out, ": {:#010x}", self.value)?,
            Field::BindPorts | Field::ClassPorts => {
                write!(out, ": {} to {}", self.value >> 16, self.value & 0xffff)?;
            }
            Field::BackendAddress | Field::BindAddress => out.write_str(": other bytes are set")?,
            _ => write!(out, ": {}", self.value)?,
        }
        write!(out, " (allowed: {})", self.field.allowed())
    }
}

impl core::error::Error for FileError {}
