// SPDX-License-Identifier: GPL-2.0

//! The command line: the one definition that help, completions and manual pages are made from.

use crate::commands::complete;
use crate::http::Url;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{
    Arg, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::engine::ArgValueCompleter;
use clap_complete::Shell;
use glb_config::settings;
use glb_core::director::classify::bind::{Bind, Proto};
use glb_core::director::Forward;
use glb_core::packet::addr::Addr;
use glb_core::settings::{Form, Setting, Value};
use glb_netlink::Prefix;
use std::net::IpAddr;
use std::path::PathBuf;

const EXIT_STATUS: &str = "\
Exit status: 0 on success, 1 on an error (in a file, a packet or the system), 2 on a wrong command line.

The name - for a table file or a capture means standard input or standard output. With --json, an error is printed on
standard output instead of the result: {\"error\": ..., \"issues\": [...]}.";

/// Works with GLB directors: their forwarding tables, as files and in the running kernel.
#[derive(Debug, Parser)]
#[command(name = "glbctl", version, after_help = EXIT_STATUS, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build, check, show and compare forwarding tables
    #[command(subcommand)]
    Table(TableCommand),
    /// Show where a packet would go: hash, row, hops
    Lookup(Lookup),
    /// Encapsulate the packets of a capture as a director would
    Encap(Encap),
    /// Process the packets that arrive on a device
    Attach {
        /// The device
        #[arg(add = ArgValueCompleter::new(complete::device))]
        device: String,
    },
    /// Stop processing the packets of a device
    Detach {
        /// The device
        #[arg(add = ArgValueCompleter::new(complete::attached))]
        device: String,
    },
    /// Show or change the settings of the running director
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what the running director has: tables, devices, settings
    Status,
    /// Print the counters of the running director
    Stats {
        /// Print the changes every so many seconds, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<f64>,
    },
    /// Send the counters of the running director to a statsd on this machine until it is stopped
    ///
    /// In each interval it reads director.conf and sends the increase of the counters to UDP port statsd_port of
    /// 127.0.0.1, with the names that deployed directors use. Without statsd_port it waits until there is one.
    Statsd(Statsd),
    /// Print changes of the running director: tables, devices, settings
    Monitor {
        /// End after this number of events
        #[arg(long, value_name = "EVENTS")]
        count: Option<u64>,
    },
    /// Take proxies out of service and put them back, in the operator's table; see when to continue
    ///
    /// A backend changes its state in this order: active, draining, inactive, filling, active. Each command makes
    /// one step and changes only the file of the operator's table. Reload the health checker afterwards.
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Change the binds of a table, in the operator's file
    ///
    /// Reload the health checker afterwards.
    #[command(subcommand)]
    Bind(BindCommand),
    /// Switch the redirect of a proxy on and off, for hosts without iptables
    ///
    /// It does what the iptables target GLBREDIRECT does, with a netfilter hook behind the filter tables of this
    /// network namespace. Use only one of the two: packets that pass both are counted twice.
    #[command(subcommand)]
    Redirect(RedirectCommand),
    /// Report what is wrong with this director, this proxy or a fleet, and what to do about it
    Doctor(Doctor),
    /// Print a completion script for a shell
    #[command(after_help = "Example: glbctl completions bash > /etc/bash_completion.d/glbctl")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory; created if it does not exist
        dir: PathBuf,
    },
}

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

/// Checks what the documents tell operators to check: VIPs, the tunnel's port and devices, iptables rules and their
/// order, reverse path filters, MTUs, conntrack, modules, attached devices, the health checker.
///
/// Whether this machine is a director, a proxy or both is determined by what is set up in this network namespace.
/// The command changes nothing and loads no module. It sends packets only to the given URLs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl doctor
  glbctl doctor --role proxy --table forwarding_table.src.json
  glbctl doctor --fleet http://192.168.50.6:19520/metrics http://192.168.50.7:19520/metrics

Exit status: 0 if no finding is an error, 1 if it could not look, 3 if a finding is an error.")]
pub(crate) struct Doctor {
    /// The role of this machine; by default determined by what is set up
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// UDP port of the tunnel, on a proxy
    #[arg(long, default_value_t = glb_core::packet::gue::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// An address that is served, instead of the addresses of a table
    #[arg(long = "vip", value_name = "ADDRESS")]
    pub(crate) vips: Vec<IpAddr>,
    /// A table file, for the VIPs; by default the loaded tables on a director, else the operator's table if it exists
    #[arg(long, value_name = "FILE", conflicts_with = "vips", value_hint = ValueHint::FilePath)]
    pub(crate) table: Option<PathBuf>,
    /// The health checker of a director, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/health", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The metrics of each director of the fleet, to compare
    #[arg(long, value_name = "URL", num_args = 1.., value_parser = Url::new)]
    pub(crate) fleet: Vec<Url>,
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Director,
    Proxy,
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
  glbctl table diff --settled old.json new.json     # what drained has no connection left
  glbctl table diff old.json new.json --old-config director.conf --new-config director.conf.new

Exit status: with --exit-code 3 where a connection would break."
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

#[derive(Debug, Subcommand)]
pub(crate) enum BackendCommand {
    /// Give it no new connections: active becomes draining
    ///
    /// New connections go to the rows' second hops; existing connections stay. When the backend has none left (see
    /// backend status, or --wait), deactivate it.
    ///
    /// Every row that it leads has one other backend for its connections. Therefore the command is refused while another
    /// backend is out of service or fails its checks, according to the file, to the health checker, and to the proxies
    /// that answer.
    Drain(Drain),
    /// Put it back: inactive becomes filling
    ///
    /// The backend is in rows again and gets new connections; packets of older ones still find their proxies.
    Fill(StateChange),
    /// Let it serve again: filling becomes active, and so does draining (to cancel a drain)
    Activate(StateChange),
    /// Take it out of all rows: draining becomes inactive
    ///
    /// Connections that it still has are lost.
    Deactivate(StateChange),
    /// Put a new backend into a table, as filling
    ///
    /// The backend gets new connections as soon as the file is in use, and packets of older ones still find their
    /// proxies. Activate it when it has filled.
    Add(BackendAdd),
    /// Take an inactive backend out of a table
    Remove(BackendRemove),
    /// Show the backends, their shares of the rows, and whether they still get packets of connections
    ///
    /// Asks the health checker for the health, and each proxy, twice, for its counter of packets of established
    /// connections. A proxy that does not answer is shown as such.
    Status(BackendStatus),
}

#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "Examples:
  glbctl backend drain api 10.0.0.12
  glbctl backend drain --all 10.0.0.12 --file tables.json"
)]
pub(crate) struct StateChange {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(required_unless_present = "all", conflicts_with = "all", add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: Option<String>,
    /// The address of the backend
    #[arg(add = ArgValueCompleter::new(complete::backend))]
    pub(crate) backend: IpAddr,
    /// In all tables that have the backend
    #[arg(long)]
    pub(crate) all: bool,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break, and report this
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would change, or why it is refused; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    pub(crate) change: StateChange,
    /// Wait until the health checker reports it as draining and no packet of its connections arrives
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    /// With --wait: how long no packet must have arrived. Connections that are silent for longer are not seen
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) silence: f64,
    /// The health checker, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/health", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The URL of a proxy's metrics, with {} for its address, or "none"
    #[arg(long, value_name = "URL", default_value = "http://{}:19520/metrics", value_parser = url_or_none)]
    pub(crate) metrics: OrNone<Url>,
}

#[derive(Debug, Args)]
pub(crate) struct BackendAdd {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// The address of the backend
    pub(crate) backend: IpAddr,
    /// Add it as inactive, to fill it later
    #[arg(long)]
    pub(crate) inactive: bool,
    /// Its share of the rows relative to the others; version 3
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) weight: Option<u16>,
    /// The unit that fails as a whole, such as a rack or a zone; version 3
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The backend whose health checks it gets; required if those of the table differ
    #[arg(long, value_name = "ADDRESS", add = ArgValueCompleter::new(complete::backend))]
    pub(crate) like: Option<IpAddr>,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackendRemove {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// The address of the backend
    #[arg(add = ArgValueCompleter::new(complete::backend))]
    pub(crate) backend: IpAddr,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// Do it even if connections break
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BindCommand {
    /// Add a bind: packets to an address and port belong to the table
    Add(BindChange),
    /// Remove a bind; connections to it break
    Remove(BindChange),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glbctl bind add web tcp:10.10.10.10:443
  glbctl bind add dns 'udp:[fd00::/64]:53-54' --file tables.json")]
pub(crate) struct BindChange {
    /// The table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: String,
    /// PROTOCOL:ADDRESS[/BITS]:PORT[-PORT], an IPv6 address in brackets
    #[arg(value_parser = bind)]
    pub(crate) bind: Bind,
    /// The operator's table, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
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
    pub(crate) forward: Option<Forward>,
    /// Add it to this file behind the existing tables, or create the file
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

/// The name of a forward.
fn forward() -> impl TypedValueParser<Value = Forward> {
    PossibleValuesParser::new(Forward::ALL.iter().map(|one| one.name()))
        .try_map(|name| Forward::from_name(&name).ok_or("no forward"))
}

/// `tcp:10.0.0.1:80`, `udp:[fd00::/64]:53-54`.
fn bind(text: &str) -> Result<Bind, String> {
    let expected = || "expected PROTOCOL:ADDRESS[/BITS]:PORT[-PORT]".to_owned();
    let (proto, rest) = text.split_once(':').ok_or_else(expected)?;
    let proto = match proto {
        "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => return Err("the protocol must be tcp or udp".to_owned()),
    };
    let (ip, ports) = rest.rsplit_once(':').ok_or_else(expected)?;
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let Prefix { addr, len } = prefix(bare.unwrap_or(ip))?;
    if bare.is_none() && matches!(addr, Addr::V6(_)) {
        return Err("an IPv6 address needs brackets: [ADDRESS]".to_owned());
    }
    let (start, end) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err("a port must be from 0 to 65535".to_owned()),
    };
    let (port_start, port_end) = (port(start)?, port(end)?);
    if port_start > port_end {
        return Err("the first port must not be above the last".to_owned());
    }
    Ok(Bind {
        addr: addr.masked(len),
        prefix_len: len,
        proto,
        port_start,
        port_end,
    })
}

/// Where the operator's table is unless told otherwise.
pub(crate) const SOURCE: &str = "/etc/glb/forwarding_table.src.json";

#[derive(Debug, Args)]
pub(crate) struct BackendStatus {
    /// Only this table, by name or by position (#0, #1, ...)
    #[arg(add = ArgValueCompleter::new(complete::table))]
    pub(crate) table: Option<String>,
    /// The table file, JSON
    #[arg(long, value_name = "FILE", default_value = SOURCE)]
    pub(crate) file: PathBuf,
    /// The metrics of the health checker, or "none"
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19520/metrics", value_parser = url_or_none)]
    pub(crate) checker: OrNone<Url>,
    /// The URL of a proxy's metrics, with {} for its address, or "none"
    #[arg(long, value_name = "URL", default_value = "http://{}:19520/metrics", value_parser = url_or_none)]
    pub(crate) metrics: OrNone<Url>,
    /// How long to watch the proxies' counters
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) interval: f64,
}

fn url_or_none(text: &str) -> Result<OrNone<Url>, String> {
    match text {
        "none" => Ok(OrNone(None)),
        _ => Url::new(text).map(|url| OrNone(Some(url))),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RedirectCommand {
    /// Process the packets to a UDP port; if the redirect is on already, change its settings to these
    ///
    /// A change breaks no connection: each packet sees either the old or the new settings.
    #[command(after_help = "Examples:
  glbctl redirect on --allow-hops 10.1.0.0/16,fd00:1::/64
  glbctl redirect on --port 6080")]
    On {
        /// UDP port of the tunnel
        #[arg(long, default_value_t = glb_core::packet::gue::PORT, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Send only to hops in these prefixes, at most 16, separated by commas; without it to any hop
        #[arg(long, value_name = "PREFIX", value_delimiter = ',', value_parser = prefix)]
        allow_hops: Vec<Prefix>,
    },
    /// Stop processing packets
    Off,
    /// Show whether it is on, and its settings
    Status,
    /// Print the counters, including those of the iptables target
    Stats {
        /// Print the changes every so many seconds, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<f64>,
    },
}

/// An address, or an address and the number of its bits that count.
fn prefix(text: &str) -> Result<Prefix, String> {
    let expected = || "expected ADDRESS or ADDRESS/BITS".to_owned();
    let (addr, len) = match text.split_once('/') {
        Some((addr, len)) => (addr, Some(len)),
        None => (text, None),
    };
    let addr = match addr.parse().map_err(|_| expected())? {
        IpAddr::V4(addr) => Addr::V4(addr.octets()),
        IpAddr::V6(addr) => Addr::V6(addr.octets()),
    };
    let len = match len {
        None => addr.bits(),
        Some(len) if len.bytes().all(|byte| byte.is_ascii_digit()) => {
            len.parse().map_err(|_| expected())?
        }
        Some(_) => return Err(expected()),
    };
    if len > addr.bits() {
        return Err(format!("the address has {} bits only", addr.bits()));
    }
    Ok(Prefix { addr, len })
}

/// A time to wait: more than nothing, and not for ever.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0.01 to 86400".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings of the running director
    Show {
        /// Write them as a director.conf; "-" is standard output. In an existing file, fields that are not settings of
        /// the kernel stay (statsd_port)
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Change settings of the running director; settings that are not given stay as they are
    ///
    /// The settings are lost at the next boot. To keep them, write them to director.conf (glbctl config show --file).
    Set(ConfigSet),
    /// Load director.conf; settings that it does not name get their default
    Load {
        /// The file
        #[arg(default_value = CONF)]
        file: PathBuf,
    },
    /// Check a director.conf and show the settings that it contains; needs no director
    Check {
        /// The file
        #[arg(default_value = CONF)]
        file: PathBuf,
    },
}

/// Where director.conf is unless told otherwise.
pub(crate) const CONF: &str = "/etc/glb/director.conf";

/// The settings to change. The options are made from the table of the settings.
#[derive(Debug)]
pub(crate) struct ConfigSet {
    pub(crate) changes: Vec<(&'static Setting, Value)>,
}

impl Args for ConfigSet {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for setting in Setting::ALL {
            command = command.arg(option(setting));
        }
        command.group(
            ArgGroup::new("settings")
                .args(Setting::ALL.iter().map(|setting| setting.field))
                .required(true)
                .multiple(true),
        )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// The option that changes a setting.
fn option(setting: &'static Setting) -> Arg {
    let kind = match setting.form {
        Form::V4 | Form::V6 => "ADDRESS",
        Form::Mac => "MAC",
        Form::Fields | Form::OptionalFields => "FIELDS",
        Form::Flag => "BOOL",
        Form::Number(..) => "NUMBER",
    };
    let doc = setting.doc.trim_end_matches('.');
    let expected = settings::expected(setting.form);
    Arg::new(setting.field)
        .long(setting.option)
        .value_name(kind)
        .help(format!("{doc}: {expected}"))
        .value_parser(move |text: &str| settings::parse(setting.form, text))
}

impl FromArgMatches for ConfigSet {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let changes = Setting::ALL.iter().filter_map(|setting| {
            let value = matches.get_one::<Value>(setting.field)?;
            Some((setting, *value))
        });
        Ok(Self {
            changes: changes.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

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

/// A value, or the word "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

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
#[command(after_help = "Examples:
  glbctl lookup --running 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.json 10.11.12.13:45678 1.1.1.1:80
  glbctl lookup --table t.bin --proto udp '[fd00::1]:5353' '[fd00::53]:53'")]
pub(crate) struct Lookup {
    /// The client: address, or address:port if the port matters
    #[arg(value_parser = endpoint)]
    pub(crate) client: Endpoint,
    /// The service: address:port
    #[arg(value_parser = endpoint)]
    pub(crate) service: Endpoint,
    /// The table file, JSON or binary
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "running",
        conflicts_with = "running"
    )]
    pub(crate) table: Option<PathBuf>,
    /// Ask the running director instead of a file
    #[arg(long)]
    pub(crate) running: bool,
    /// director.conf, for the hash fields; without it only the client's address is hashed
    #[arg(long, value_name = "FILE", conflicts_with = "running")]
    pub(crate) config: Option<PathBuf>,
    /// Protocol
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    pub(crate) proto: Protocol,
}

/// Reads ingress frames and writes the frames that a director would send, in order. Packets that it would not
/// encapsulate are omitted and counted. The frames are sent back to where they came from, or to
/// outbound_gateway_mac; VLAN tags are kept.
#[derive(Debug, Args)]
pub(crate) struct Encap {
    /// The capture: pcap, of Ethernet frames or raw IP packets
    #[arg(value_name = "IN.pcap")]
    pub(crate) input: PathBuf,
    /// The capture to write
    #[arg(value_name = "OUT.pcap")]
    pub(crate) output: PathBuf,
    /// The table file, JSON or binary
    #[arg(long, value_name = "FILE")]
    pub(crate) table: PathBuf,
    /// director.conf
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Protocols of binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// An address with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) addr: IpAddr,
    pub(crate) port: Option<u16>,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    if let Ok(addr) = text.parse() {
        return Ok(Endpoint { addr, port: None });
    }
    match text.parse::<std::net::SocketAddr>() {
        Ok(both) => Ok(Endpoint {
            addr: both.ip(),
            port: Some(both.port()),
        }),
        Err(_) => Err("expected ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6)".to_owned()),
    }
}

/// Builds binary forwarding tables, as the tool of deployed directors does.
#[derive(Debug, Parser)]
#[command(name = "glb-director-cli", version, after_help = EXIT_STATUS)]
pub(crate) struct DirectorCli {
    #[command(subcommand)]
    pub(crate) command: DirectorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DirectorCommand {
    /// Build a binary table file, version 2, from forwarding_table.json
    BuildConfig {
        /// The tables, JSON
        src: PathBuf,
        /// The binary file
        dst: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
        DirectorCli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_an_option_that_takes_what_is_shown() {
        for setting in Setting::ALL {
            let value = glb_core::settings::Settings::DEFAULT.get(setting);
            let option = format!("--{}", setting.option);
            let line = ["glbctl", "config", "set", &option, &settings::text(value)];
            let cli = Cli::try_parse_from(line).expect("understood");
            let Command::Config(ConfigCommand::Set(set)) = cli.command else {
                panic!("another command");
            };
            assert_eq!(set.changes, [(setting, value)]);
            let line = ["glbctl", "config", "set", &option, "x"];
            let error = Cli::try_parse_from(line).expect_err("no value");
            assert!(error.to_string().contains("expected "), "{error}");
        }
        assert!(Cli::try_parse_from(["glbctl", "config", "set"]).is_err());
    }

    #[test]
    fn prefixes() {
        let v4 = |bytes, len| {
            let addr = Addr::V4(bytes);
            Ok(Prefix { addr, len })
        };
        assert_eq!(prefix("10.1.0.0/16"), v4([10, 1, 0, 0], 16));
        assert_eq!(prefix("10.1.2.3"), v4([10, 1, 2, 3], 32));
        assert_eq!(prefix("0.0.0.0/0"), v4([0; 4], 0));
        assert_eq!(prefix("fd00::/64").map(|p| p.len), Ok(64));
        for bad in [
            "",
            "10.1.0.0/33",
            "fd00::/129",
            "10.1/16",
            "10.1.0.0/",
            "10.1.0.0/+8",
            "host/8",
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_to_wait() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints() {
        let port = |text: &str| endpoint(text).map(|e| e.port);
        assert_eq!(port("10.0.0.1"), Ok(None));
        assert_eq!(port("10.0.0.1:80"), Ok(Some(80)));
        assert_eq!(port("fd00::1"), Ok(None));
        assert_eq!(port("[fd00::1]:80"), Ok(Some(80)));
        assert!(port("10.0.0.1:").is_err());
        assert!(port("host").is_err());
    }
}
