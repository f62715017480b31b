// SPDX-License-Identifier: GPL-2.0

//! Following which targets there are.

use crate::client::{Change, Client, Error};
use crate::keys::Keys;
use glb_config::targets::{EtcdConf, TargetSpec};
use std::collections::BTreeMap;
use std::time::Duration;

/// After this time etcd is asked again when it was away.
const AGAIN: Duration = Duration::from_secs(1);

/// Between the end of one watch and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These are the targets now, and these keys are none, each with what is wrong with it.
    Targets(Vec<TargetSpec>, Vec<String>),
    /// Which targets there are is not known: etcd is away, or answers nonsense.
    Away(String),
}

/// Follows the targets, until `tell` says that nobody wants to know any more. Returns only then.
pub fn follow(conf: &EtcdConf, client: Client, mut tell: impl FnMut(News) -> bool) {
    let mut follower = Follower {
        client,
        keys: Keys::new(&conf.prefix),
        known: BTreeMap::new(),
    };
    let mut away = false;
    loop {
        let ended = follower.once(&mut |news| {
            away = false;
            tell(news)
        });
        match ended {
            Ok(()) => return,
            // What has been thrown away is not missed: all is read again.
            Err(Error::Compacted) => {}
            Err(error) => {
                if !away && !tell(News::Away(error.to_string())) {
                    return;
                }
                away = true;
                std::thread::sleep(AGAIN);
            }
        }
    }
}

struct Follower {
    client: Client,
    keys: Keys,
    known: BTreeMap<String, Result<TargetSpec, String>>,
}

impl Follower {
    /// Reads all targets, and follows their changes: from one connection to the next nothing is missed.
    fn once(&mut self, tell: &mut impl FnMut(News) -> bool) -> Result<(), Error> {
        let prefix = self.keys.targets();
        let (items, mut seen) = self.client.list(&prefix)?;
        self.known.clear();
        for item in items {
            let spec = self.keys.spec(&item.key, &item.value);
            self.known.insert(item.key, spec);
        }
        if !tell(self.news()) {
            return Ok(());
        }
        loop {
            let mut changes = self.client.watch(&prefix, seen.saturating_add(1))?;
            while let Some((changed, revision)) = changes.wait()? {
                // The first line says no more than that the watch stands; its number may be behind what was seen.
                seen = seen.max(if changed.is_empty() { 0 } else { revision });
                for change in &changed {
                    self.take(change);
                }
                if !changed.is_empty() && !tell(self.news()) {
                    return Ok(());
                }
            }
            // Something in between may end every watch at once.
            std::thread::sleep(PAUSE);
            // Whether etcd has ended, or is only silent.
            self.client.get(&prefix)?;
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(item) => {
                let spec = self.keys.spec(&item.key, &item.value);
                self.known.insert(item.key.clone(), spec);
            }
            Change::Gone(key) => {
                self.known.remove(key);
            }
        }
    }

    fn news(&self) -> News {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for one in self.known.values() {
            match one {
                Ok(spec) => good.push(spec.clone()),
                Err(reason) => bad.push(reason.clone()),
            }
        }
        News::Targets(good, bad)
    }
}
