// SPDX-License-Identifier: GPL-2.0

//! The commands about tables, as files and as they are loaded.

use super::complete;
use super::values::{bind, forward};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use glb_core::director::classify::bind::Bind;
use glb_core::director::ForwardKind;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Build a binary table file from forwarding_table.json
    ///
    /// The new file is written beside DST, synced to disk and renamed. DST is therefore always either the
    /// complete old file or the complete new one.
    Build {
        /// The tables, JSON
        src: PathBuf,
        /// The binary file
        dst: PathBuf,
        /// Version of the binary format; by default the lowest that can hold the tables
        #[arg(long, value_name = "VERSION")]
        format: Option<BinaryFormat>,
    },
    /// Check a table file, JSON or binary, and print how even its rows are
    Check {
        /// The table files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Load a table file, JSON or binary, into the running director
    ///
    /// The tables of the file replace all loaded tables at once: no packet sees a mixture. If anything is
    /// wrong, the loaded tables stay as they are.
    Load {
        /// The table file
        file: PathBuf,
        /// Only have the director check the tables; the loaded ones stay as they are
        #[arg(long)]
        dry_run: bool,
    },
    /// Make a table with new keys: print it as a file, or add it to a file
    #[command(
        after_help = "Example: glbctl table new web --bind tcp:10.10.10.10:80 --backend 192.168.50.10 \\
  --backend 192.168.50.11 --file forwarding_table.src.json"
    )]
    New(TableNew),
    /// Print the tables of a file, JSON or binary, or the loaded tables
    Show {
        /// The table file
        #[arg(required_unless_present = "running", conflicts_with = "running")]
        file: Option<PathBuf>,
        /// The tables that are loaded in the running director
        #[arg(long)]
        running: bool,
        /// Only this table, by name or by position (0, 1, ...)
        #[arg(long, add = ArgValueCompleter::new(complete::table))]
        table: Option<String>,
        /// Also print the rows
        #[arg(long)]
        rows: bool,
    },
    /// Write the source, JSON, that a binary file or the loaded tables were made from
    Export(TableExport),
    /// Write a table file, JSON, from the lines that configure VPP's load balancer
    ImportVpp(TableImportVpp),
    /// Add classes to a table file, JSON, from the lines that set flows of nfqlb
    ImportNfqlb(TableImportNfqlb),
    /// Load a table file, JSON or binary, and verify that the loaded tables are the file's
    ///
    /// Like table load, it loads all tables at once or none. Afterwards it reads everything from the running
    /// director and compares it with the file: names, binds, backends and every row. It compares the key of the
    /// packet hash by the hashes that the director computes for packets.
    Restore {
        /// The table file
        file: PathBuf,
        /// Only have the director check the tables; the loaded ones stay as they are
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what a roll-out moves, and which connections it breaks, by backend and by VIP
    Diff(TableDiff),
}

/// Versions of the binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BinaryFormat {
    /// As deployed
    #[value(name = "2")]
    V2,
    /// With names, weights, any number of hops, and a checksum
    #[value(name = "3")]
    V3,
}

#[derive(Debug, Args)]
pub(crate) struct TableNew {
    /// Its name
    pub(crate) name: String,
    /// A bind: PROTOCOL:ADDRESS[/BITS]:PORT[-PORT], an IPv6 address in brackets
    #[arg(long = "bind", value_name = "BIND", required = true, value_parser = bind)]
    pub(crate) binds: Vec<Bind>,
    /// The address of a backend
    #[arg(long = "backend", value_name = "ADDRESS", required = true)]
    pub(crate) backends: Vec<IpAddr>,
    /// The rule of its rows: 2 as deployed, 3 with more hops and even loads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) version: u8,
    /// Hops of a row; version 3
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=31))]
    pub(crate) hops: Option<u8>,
    /// How its packets leave; without it gue, and only gue names the further hops. Version 3
    #[arg(long, value_parser = forward())]
    pub(crate) forward: Option<ForwardKind>,
    /// The DSCP that its packets get, 0 to 63; forward l3dsr
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    pub(crate) dscp: Option<u8>,
    /// The port that its packets get, if another than that of the bind; forward nat
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) target_port: Option<u16>,
    /// Add it to this file behind the existing tables, or create the file
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

/// Writes the source, JSON, that a binary file or the loaded tables were made from.
///
/// Before the source is written, it is read and built again. If a row, a bind or a backend differs, this is an error
/// and nothing is written. Binary files of version 3 have everything that rows are computed from. Files of version 2
/// have no names and no seeds, and the running director reports no keys, weights or domains. --keys takes these from
/// a file that has them, such as an older copy of the operator's table. States, health and binds are those of the
/// exported tables. Health checks are only in the --keys file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl table export forwarding_table.bin --keys old.src.json -o forwarding_table.src.json
  glbctl table export --running --keys /etc/glb/forwarding_table.src.json -o saved.json
  glbctl table restore saved.json")]
pub(crate) struct TableExport {
    /// The binary file; - for standard input
    #[arg(required_unless_present = "running", conflicts_with = "running", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Use the tables that are loaded in the running director instead of a file
    #[arg(long)]
    pub(crate) running: bool,
    /// A table file with the keys and everything else that is missing: JSON, or binary of version 3
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) keys: Option<PathBuf>,
    /// The file to write; - for standard output
    #[arg(short, long, value_name = "OUT", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Check whether the tables can be exported; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Writes a table file, JSON, from the lines that configure VPP's load balancer: lb conf, lb vip, lb as, lb as_set_weight and
/// lb set interface nat4|nat6 in.
///
/// Each VIP becomes a table with VPP's rows and VPP's flow hash: a director with this file sends each flow to the same server as
/// VPP does. A VIP without a protocol gets a bind for TCP and one for UDP. If a line cannot be taken, it is named with its number,
/// and nothing is written.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glbctl table import-vpp startup.vpp -o forwarding_table.src.json && glbctl table check forwarding_table.src.json")]
pub(crate) struct TableImportVpp {
    /// The lines; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The file to write; - for standard output
    #[arg(short, long, value_name = "OUT", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Write the tables of the lines that can be taken; the others are warnings
    #[arg(long)]
    pub(crate) partial: bool,
    /// Only check the lines; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Makes a class of each `flow-set` of a script; its target is the name of a table. Other lines are passed over.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glbctl table import-nfqlb flows.sh tables.json -o forwarding_table.src.json")]
pub(crate) struct TableImportNfqlb {
    /// The lines; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The table file whose tables have the names of the targets, without classes; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) tables: PathBuf,
    /// The file to write; - for standard output
    #[arg(short, long, value_name = "OUT", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Only check the lines; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Compares two table files, or a file with the loaded tables: rows, binds, backends, health checks, keys, and
/// director.conf if it is given. The last line says whether any connection breaks.
///
/// The old side determines which backend holds a connection: each row's first hop holds those that begin now. A
/// backend that drains or fails, and the one behind a backend that fills, may hold older ones. No file says whether
/// these have ended. If you have checked that they have, use --settled.
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "Examples:
  glbctl table diff forwarding_table.src.json new.json
  glbctl table diff --running --exit-code new.json && cp new.json forwarding_table.src.json
  glbctl table diff --settled old.json new.json     # drained backends have no connection left
  glbctl table diff old.json new.json --old-config director.conf --new-config director.conf.new

Exit status: 3 with --exit-code if a connection would break."
)]
pub(crate) struct TableDiff {
    /// The old table file, JSON or binary; - for standard input
    #[arg(required_unless_present = "running", conflicts_with = "running", value_hint = ValueHint::FilePath)]
    pub(crate) old: Option<PathBuf>,
    /// The new table file, JSON or binary; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) new: PathBuf,
    /// Use the tables that are loaded in the running director instead of the old file
    #[arg(long)]
    pub(crate) running: bool,
    /// director.conf of the old side
    #[arg(long, value_name = "FILE", requires = "new_config", conflicts_with = "running", value_hint = ValueHint::FilePath)]
    pub(crate) old_config: Option<PathBuf>,
    /// director.conf of the new side; without it the settings stay the same
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) new_config: Option<PathBuf>,
    /// All connections from before the old side was loaded have ended, so none of them can break
    #[arg(long)]
    pub(crate) settled: bool,
    /// End with exit status 3 if a connection would break
    #[arg(long)]
    pub(crate) exit_code: bool,
}
