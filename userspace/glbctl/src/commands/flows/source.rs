// SPDX-License-Identifier: GPL-2.0

//! Where connections are said to go: by a table file, or by the running director.

use crate::commands::running;
use crate::load;
use crate::output::Failure;
use glb_config::flows::{ends, FileTables, Listed, Way, Ways};
use glb_config::{quoted, Stamp};
use glb_core::backend::Backend;
use glb_core::director::select::hash::HashFields;
use glb_core::packet::addr::Addr;
use glb_core::packet::flow::FlowKey;
use glb_core::settings::Settings;
use glb_netlink::{Error, Glb, Packet, Refusal};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where connections go.
pub(crate) enum Source {
    File(Box<File>),
    Running(Box<Running>),
}

/// A table file, with the hash fields of `director.conf`.
pub(crate) struct File {
    path: PathBuf,
    config: Option<PathBuf>,
    stamps: Vec<Stamp>,
    tables: FileTables,
    /// Tables of which the file does not say who is healthy.
    assumed: Vec<String>,
}

/// The running director, asked for each kind of packet once.
pub(crate) struct Running {
    glb: Glb,
    load: u32,
    settings: Settings,
    listed: Vec<Listed>,
    known: HashMap<Asked, (Option<Way>, Vec<Addr>)>,
}

/// What the way of a packet depends on: both addresses, the client's port if it is hashed, the VIP's port.
type Asked = (Addr, Addr, Option<u16>, u16);

impl Source {
    /// The file, or the running director where none is named.
    pub(crate) fn open(
        file: Option<&Path>,
        config: Option<&Path>,
        json: bool,
    ) -> Result<Self, Failure> {
        match file {
            Some(path) => {
                let read: Vec<&Path> = [Some(path), config].into_iter().flatten().collect();
                load::only_one_standard_input(&read)?;
                let config = config.map(Path::to_path_buf);
                Ok(Self::File(Box::new(File::read(path, config, json)?)))
            }
            None => Ok(Self::Running(Box::new(Running::ask()?))),
        }
    }

    /// Tables that were read from a file.
    pub(crate) fn of(path: &Path, tables: FileTables) -> Self {
        Self::File(Box::new(File {
            path: path.to_owned(),
            config: None,
            stamps: Vec::new(),
            tables,
            assumed: Vec::new(),
        }))
    }

    /// Reads again what may have changed since it was read.
    pub(crate) fn refresh(&mut self, json: bool) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.refresh(json),
            Self::Running(running) => {
                **running = Running::ask()?;
                Ok(())
            }
        }
    }

    pub(crate) fn listed(&self) -> Vec<Listed> {
        match self {
            Self::File(file) => Listed::of(file.tables.opened()),
            Self::Running(running) => running.listed.clone(),
        }
    }

    pub(crate) fn ways(&mut self) -> &mut dyn Ways {
        match self {
            Self::File(file) => &mut file.tables,
            Self::Running(running) => &mut **running,
        }
    }

    /// What had to be assumed.
    pub(super) fn assumed(&self) -> &[String] {
        match self {
            Self::File(file) => &file.assumed,
            Self::Running(_) => &[],
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(file) => load::name(&file.path),
            Self::Running(_) => "the running director".to_owned(),
        }
    }

    /// A failure that is about these tables.
    pub(crate) fn fault(&self, reason: &str) -> Failure {
        Failure::Message(format!("{}: {reason}", self.name()))
    }

    /// Whether the director has other tables now than those that were counted by.
    pub(super) fn is_outdated(&mut self) -> Result<bool, Failure> {
        match self {
            Self::File(_) => Ok(false),
            Self::Running(running) => Ok(running.glb.status()?.generation != running.load),
        }
    }
}

impl File {
    fn read(path: &Path, config: Option<PathBuf>, json: bool) -> Result<Self, Failure> {
        let stamps = stamps(path, config.as_deref());
        let mut opened = load::source(path, json)?;
        let assumed = opened.assume_health();
        let settings = match &config {
            Some(config) => load::director(config, json)?.settings,
            None => Settings::DEFAULT,
        };
        let fault = |reason| Failure::Message(format!("{}: {reason}", load::name(path)));
        Ok(Self {
            path: path.to_owned(),
            stamps,
            tables: FileTables::new(opened, settings).map_err(fault)?,
            config,
            assumed,
        })
    }

    fn refresh(&mut self, json: bool) -> Result<(), Failure> {
        // What came from standard input is not there a second time.
        let is_standard = |path: &Path| load::is_standard(path);
        if is_standard(&self.path) || self.config.as_deref().is_some_and(is_standard) {
            return Ok(());
        }
        if stamps(&self.path, self.config.as_deref()) != self.stamps {
            *self = Self::read(&self.path, self.config.clone(), json)?;
        }
        Ok(())
    }
}

fn stamps(path: &Path, config: Option<&Path>) -> Vec<Stamp> {
    let paths = [Some(path), config].into_iter().flatten();
    paths.map(Stamp::of).collect()
}

impl Running {
    fn ask() -> Result<Self, Failure> {
        let mut glb = running::director()?;
        let load = glb.status()?.generation;
        let settings = glb.config()?;
        let mut listed = Vec::new();
        for one in glb.tables()? {
            let table = glb.table(one.index)?;
            let binds = glb.binds(Some(one.index))?;
            let backends = table.backends.iter().map(|info| Backend {
                addr: info.addr,
                state: info.state,
                healthy: info.healthy,
            });
            listed.push(Listed {
                label: Some(table.name)
                    .filter(|name| !name.is_empty())
                    .unwrap_or_else(|| format!("#{}", one.index)),
                backends: backends.collect(),
                binds: binds.into_iter().map(|one| one.bind).collect(),
            });
        }
        Ok(Self {
            glb,
            load,
            settings,
            listed,
            known: HashMap::new(),
        })
    }

    fn lookup(&mut self, flow: &FlowKey) -> Result<(Option<Way>, Vec<Addr>), String> {
        let (src, dst) = ends(flow);
        let packet = Packet {
            src,
            src_port: flow.src_port,
            dst,
            dst_port: flow.dst_port,
            proto: 6,
        };
        match self.glb.lookup(&packet) {
            Ok(found) => {
                let way = Way {
                    table: usize::try_from(found.table).unwrap_or(usize::MAX),
                    row: found.hash.1,
                    alt_row: found.alt.and_then(|(_, row)| row),
                };
                let hops = found.hops.iter().map(|hop| hop.info.addr).collect();
                Ok((Some(way), hops))
            }
            // It names the destination where no bind has it; that a table has no row is another matter.
            Err(Error::Refused(Refusal {
                errno: Refusal::NOT_FOUND,
                attribute: Some(_),
                ..
            })) => Ok((None, Vec::new())),
            Err(error) => {
                let (src, dst) = (crate::text::addr(src), crate::text::addr(dst));
                Err(format!("{} to {}: {error}", quoted(&src), quoted(&dst)))
            }
        }
    }
}

impl Ways for Running {
    fn way(&mut self, flow: &FlowKey, hops: &mut Vec<Addr>) -> Result<Option<Way>, String> {
        let hashes_port = [
            Some(self.settings.hash_fields),
            self.settings.alt_hash_fields,
        ]
        .into_iter()
        .flatten()
        .any(|fields| fields.contains(HashFields::SRC_PORT));
        let (src, dst) = ends(flow);
        let asked = (
            src,
            dst,
            hashes_port.then_some(flow.src_port),
            flow.dst_port,
        );
        let found = match self.known.remove(&asked) {
            Some(found) => found,
            None => self.lookup(flow)?,
        };
        let (way, known) = self.known.entry(asked).or_insert(found);
        hops.clear();
        hops.extend(known.iter());
        Ok(*way)
    }
}
