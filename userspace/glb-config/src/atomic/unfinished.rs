// SPDX-License-Identifier: GPL-2.0

//! The new contents of a file until they take the old one's place.
//!
//! They have no name while they are written (`O_TMPFILE`), so that a program that is killed leaves nothing behind: tables
//! have keys. A file system without nameless files gets a name from the beginning.

use rustix::fs::{linkat, open, syncfs, AtFlags, Mode, OFlags, CWD};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Names that are tried for a temporary file. Those that are taken were left by programs that were killed.
const MOST_NAMES: u32 = 100;

/// A file that is being written. Dropped, it is gone.
pub(super) struct Unfinished {
    file: File,
    /// Its name, if it has one.
    name: Option<PathBuf>,
}

impl Unfinished {
    /// A new file in the same directory as `target`, hence on the same file system.
    pub(super) fn beside(target: &Path, mode: u32) -> io::Result<Self> {
        if let Some(file) = nameless(directory(target), mode) {
            return Ok(Self { file, name: None });
        }
        Self::named(target, mode)
    }

    fn named(target: &Path, mode: u32) -> io::Result<Self> {
        let mut created = None;
        let name = first_free_name(target, |name| {
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(mode);
            created = Some(options.open(name)?);
            Ok(())
        })?;
        let file = created.ok_or(io::ErrorKind::AlreadyExists)?;
        let name = Some(name);
        Ok(Self { file, name })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Brings the contents to the disk and lets them take the place of `target`.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let name = match self.name.take() {
            Some(name) => name,
            None => first_free_name(target, |name| give_name(&self.file, name))?,
        };
        // From here on there is something to remove.
        self.name = Some(name.clone());
        fs::rename(name, target)?;
        self.name = None;
        // The rename itself must survive a power cut, too. A directory that may be written but not read cannot be opened.
        let synced = File::open(directory(target)).and_then(|directory| directory.sync_all());
        synced
            .or_else(|_| syncfs(&self.file).map_err(io::Error::from))
            .map_err(|error| {
                let reason = format!(
                    "is written, but the disk did not confirm it ({error}): after a power cut the old contents may be back"
                );
                io::Error::new(error.kind(), reason)
            })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // There is nobody to tell: the error that led here is the one to report.
            let _ = fs::remove_file(name);
        }
    }
}

/// A file without a name, if one can be made here and can be given a name later.
fn nameless(directory: &Path, mode: u32) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(open(directory, flags, Mode::from_raw_mode(mode)).ok()?);
    fs::symlink_metadata(by_descriptor(&file)).ok()?;
    Some(file)
}

/// The file as `/proc` has it. To link a descriptor directly takes a capability.
fn by_descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn give_name(file: &File, name: &Path) -> io::Result<()> {
    let from = by_descriptor(file);
    Ok(linkat(CWD, from, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Takes the first name beside `target` that is not taken.
fn first_free_name(
    target: &Path,
    mut take: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let file_name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut attempt = 0u32;
    loop {
        let mut name = OsString::from(".");
        name.push(file_name);
        name.push(format!(".{}.{attempt}.tmp", std::process::id()));
        let name = directory(target).join(name);
        match take(&name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < MOST_NAMES => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{names, scratch};
    use super::*;
    use std::io::Write;

    type Make = fn(&Path, u32) -> io::Result<Unfinished>;
    const BOTH: [(Make, usize); 2] = [(Unfinished::beside, 0), (Unfinished::named, 1)];

    #[test]
    fn unfinished_contents_have_no_name_where_the_file_system_can() {
        let dir = scratch("unfinished");
        let target = dir.join("a");
        for (make, names_meanwhile) in BOTH {
            let unfinished = make(&target, 0o600).unwrap();
            unfinished.file().write_all(b"keys").unwrap();
            assert_eq!(names(&dir).len(), names_meanwhile);
            drop(unfinished);
            assert_eq!(names(&dir).len(), 0);
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_killed_programs_left_is_not_in_the_way() {
        let dir = scratch("left");
        let target = dir.join("a");
        let left = dir.join(format!(".a.{}.0.tmp", std::process::id()));
        fs::write(&left, "left").unwrap();
        for (make, _) in BOTH {
            let unfinished = make(&target, 0o600).unwrap();
            unfinished.file().write_all(b"new").unwrap();
            unfinished.replace(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"new");
            assert_eq!(fs::read(&left).unwrap(), b"left");
            assert_eq!(names(&dir).len(), 2);
            fs::remove_file(&target).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_take_the_place_leaves_nothing() {
        let dir = scratch("place");
        let target = dir.join("a");
        fs::create_dir_all(target.join("b")).unwrap();
        for (make, _) in BOTH {
            assert!(make(&target, 0o600).unwrap().replace(&target).is_err());
            assert_eq!(names(&dir), ["a"]);
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
