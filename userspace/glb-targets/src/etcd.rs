// SPDX-License-Identifier: GPL-2.0

//! Hearing which targets are registered in etcd.

use glb_config::targets::{EtcdConf, TargetSpec};
use glb_etcd::client::Client;
use glb_etcd::watch::{follow, News};
use std::io;

/// Tells of changes, from a thread that waits for them, until `tell` says that nobody wants to know any more.
pub(crate) fn hear(
    conf: &EtcdConf,
    tell: impl FnMut(News) -> bool + Send + 'static,
) -> io::Result<()> {
    let client = Client::new(conf).map_err(io::Error::other)?;
    let conf = conf.clone();
    let hear = move || follow(&conf, client, tell);
    std::thread::Builder::new()
        .name("etcd".to_owned())
        .spawn(hear)?;
    Ok(())
}

/// What is known of the targets in etcd.
#[derive(Debug, Default)]
pub(crate) struct Etcd {
    /// Those that are registered, once that was heard.
    pub(crate) specs: Option<Vec<TargetSpec>>,
    /// Keys that are none of targets.
    pub(crate) bad: Vec<String>,
    /// Why it cannot be asked.
    pub(crate) away: Option<String>,
    /// How often that began.
    pub(crate) lost: u64,
}

impl Etcd {
    /// Takes in what was heard, and tells it.
    pub(crate) fn take(&mut self, news: News) {
        match news {
            News::Targets(specs, bad) => {
                if self.away.take().is_some() {
                    tracing::info!("etcd is there again");
                }
                for one in bad.iter().filter(|one| !self.bad.contains(one)) {
                    tracing::error!("{one}");
                }
                self.bad = bad;
                self.specs = Some(specs);
            }
            News::Away(reason) => {
                let what = match self.specs {
                    Some(_) => "the last known targets stay",
                    None => "rules, routes and the table stay as they are until it is there",
                };
                tracing::error!("{reason}; {what}");
                self.lost += 1;
                self.away = Some(reason);
            }
        }
    }
}
