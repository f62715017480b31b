// SPDX-License-Identifier: GPL-2.0

//! Network namespaces by their names, as `ip netns` has them.

use crate::error::Error;
use rustix::fs::{fstatfs, open, Mode, OFlags};
use rustix::thread::{move_into_link_name_space, LinkNameSpaceType};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

/// Where `ip netns add` leaves its names.
const NAMES: &str = "/run/netns";
/// The network namespace of the thread that asks.
const OWN: &str = "/proc/thread-self/ns/net";

/// `NSFS_MAGIC`: the file system that namespaces are files of (`include/uapi/linux/magic.h`).
const NSFS: u64 = 0x6e73_6673;

/// A network namespace, which exists as long as this does.
pub struct Namespace {
    name: String,
    file: File,
    id: (u64, u64),
}

impl Namespace {
    /// The one of this name, or at this path where the name has a slash, such as `/proc/PID/ns/net`.
    pub fn open(name: &str) -> Result<Self, Error> {
        let path = if name.contains('/') {
            PathBuf::from(name)
        } else {
            Path::new(NAMES).join(name)
        };
        let failed = |error| Error::Namespace(name.to_owned(), error);
        if matches!(name, "" | "." | "..") {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        Self::at(name.to_owned(), &path).map_err(failed)
    }

    /// The caller's own.
    pub fn own() -> Result<Self, Error> {
        Ok(Self::at(String::new(), Path::new(OWN))?)
    }

    fn at(name: String, path: &Path) -> io::Result<Self> {
        // Whoever opens a FIFO would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty())?);
        if u64::try_from(fstatfs(&file)?.f_type) != Ok(NSFS) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let about = file.metadata()?;
        Ok(Self {
            name,
            id: (about.dev(), about.ino()),
            file,
        })
    }

    /// Its name; empty for the caller's own.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both are the same namespace, whatever their names.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }

    /// Does something in it. A thread enters it and ends there, so that the caller stays where it is.
    pub fn inside<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let run = || {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|error| Error::Namespace(self.name.clone(), error.into()))?;
            act()
        };
        let died = |_| Err(Error::Answer("a thread in a network namespace failed"));
        let failed = |error| Error::Namespace(self.name.clone(), error);
        thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            thread.map_err(failed)?.join().unwrap_or_else(died)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_not_there() {
        for name in ["glb-no-such-name", "", ".", "..", "/nowhere/ns"] {
            let Err(error) = Namespace::open(name) else {
                panic!("{name:?} is there");
            };
            let said = error.to_string();
            assert!(said.contains("there is no such"), "{said}");
        }
    }

    #[test]
    fn a_file_is_no_namespace() {
        let fifo = std::env::temp_dir().join(format!("glb-netns-{}-fifo", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.is_ok_and(|status| status.success()), "no mkfifo");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for path in [
            Path::new(file),
            &fifo,
            Path::new("/dev/null"),
            Path::new("/tmp"),
        ] {
            let opened = Namespace::open(path.to_str().expect("UTF-8"));
            let Err(error) = opened else {
                panic!("{} is one", path.display());
            };
            let said = error.to_string();
            assert!(said.contains("is no network namespace"), "{said}");
        }
        std::fs::remove_file(&fifo).expect("removed");
    }

    #[test]
    fn another_namespace_is_not_of_the_network() {
        let one = Namespace::open("/proc/self/ns/mnt").expect("a namespace");
        let said = one.inside(|| Ok(())).expect_err("entered").to_string();
        // Who may enter none is told so first.
        assert!(
            said.contains("is no network namespace") || said.contains("CAP_SYS_ADMIN"),
            "{said}"
        );
    }

    #[test]
    fn ones_own_is_the_same_by_another_path() {
        let own = Namespace::own().expect("own");
        let other = Namespace::open("/proc/self/ns/net").expect("own");
        assert!(own.is(&other) && other.name() == "/proc/self/ns/net");
    }
}
