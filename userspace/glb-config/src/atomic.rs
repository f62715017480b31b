// SPDX-License-Identifier: GPL-2.0

//! Replacing a file atomically: at any time, either the complete old file or the complete new one exists.

mod kept;
mod unfinished;

use kept::Manner;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use unfinished::{directory, Unfinished};

/// A new file's mode, where the umask leaves that much. Tables have the keys of the hashes, by which load
/// can be aimed at one proxy: they are not for all to read. A file that is there keeps its mode.
const NEW_MODE: u32 = 0o640;

/// Links that are followed, as many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Writes to a temporary file beside `path`, brings it to the disk, and renames it. If anything fails before the
/// rename, the temporary file is removed and what was at `path` stays. Owner, group, mode, and attributes such as
/// access control lists are those of the file that was there.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_as(path, NEW_MODE, Manner::AsItWas, fill).map(drop)
}

/// As [`fn@write`], of what programs make anew again and again, and which must not stop: where owner, group or
/// attributes cannot be kept, the file goes without them, and nobody may do more with it than before. One with the keys
/// of tables is taken from all others, whatever its mode was. Returns what has changed so: it is not found again the
/// next time.
pub fn write_made(
    path: &Path,
    has_keys: bool,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    write_as(path, NEW_MODE, Manner::Made { has_keys }, fill)
}

/// As [`fn@write`], of what has no secrets: a new file is for all to read, as far as the umask lets it.
pub fn write_public(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    write_as(path, 0o666, Manner::AsItWas, fill).map(drop)
}

/// Whether both paths lead to one file, by links of whatever kind. Who writes one destroys the other then.
#[must_use]
pub fn same_file(one: &Path, other: &Path) -> bool {
    // What is no file (a terminal, a pipe) is not destroyed.
    let place = |path| {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        found.map(|found| (found.dev(), found.ino()))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}

fn write_as(
    path: &Path,
    mode: u32,
    manner: Manner,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    // Renaming over a link would replace the link; the operator means the file behind it.
    let (target, old) = match fs::metadata(path) {
        Ok(old) if old.is_file() => (fs::canonicalize(path)?, Some(File::open(path))),
        Ok(_) => {
            // A pipe or a device (/dev/stdout, say) cannot be replaced, only written to.
            let mut out = io::BufWriter::new(OpenOptions::new().write(true).open(path)?);
            fill(&mut out)?;
            out.flush()?;
            return Ok(Vec::new());
        }
        Err(_) => (end_of_links(path)?, None),
    };
    let unfinished = Unfinished::beside(&target, if old.is_some() { 0o600 } else { mode })?;
    let changed = match old {
        Some(Ok(old)) => kept::keep(&old, unfinished.file(), manner)?,
        // Nobody but this program has access to the new one: less than before.
        Some(Err(error)) if manner != Manner::AsItWas => vec![format!(
            "cannot be read ({error}), so that its owner, group and mode cannot be kept: it is this program's alone now"
        )],
        Some(Err(error)) => return Err(error),
        None => Vec::new(),
    };
    let mut out = io::BufWriter::new(unfinished.file());
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    unfinished.replace(&target)?;
    Ok(changed)
}

/// Where a link leads to that leads to nothing yet; the path itself if it is no link.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_symlink() => at = directory(&at).join(fs::read_link(&at)?),
            _ => return Ok(at),
        }
    }
    Err(io::Error::other("too many links, one to the other"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    pub(super) fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("glb-atomic-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    pub(super) fn names(dir: &Path) -> Vec<OsString> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn replaces_the_file() {
        let dir = scratch("replace");
        let path = dir.join("a");
        fs::write(&path, "old").unwrap();
        write(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(&dir), ["a"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = scratch("fail");
        let path = dir.join("a");
        fs::write(&path, "old").unwrap();
        let result = write(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(result.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&dir), ["a"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = scratch("link");
        fs::write(dir.join("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
        write(&dir.join("link"), |out| out.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(dir.join("link")).unwrap().is_symlink());
        assert_eq!(fs::read(dir.join("file")).unwrap(), b"new");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_that_leads_to_nothing_yet_is_followed() {
        let dir = scratch("dangling");
        fs::create_dir(dir.join("run")).unwrap();
        std::os::unix::fs::symlink("run/second", dir.join("first")).unwrap();
        std::os::unix::fs::symlink("../file", dir.join("run/second")).unwrap();
        for text in ["new", "newer"] {
            write(&dir.join("first"), |out| out.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), text);
        }
        for link in ["first", "run/second"] {
            assert!(fs::symlink_metadata(dir.join(link)).unwrap().is_symlink());
        }
        // Links that lead to each other, and one to a directory that is not there.
        std::os::unix::fs::symlink("b", dir.join("a")).unwrap();
        std::os::unix::fs::symlink("a", dir.join("b")).unwrap();
        std::os::unix::fs::symlink("no/file", dir.join("c")).unwrap();
        for bad in ["a", "c"] {
            assert!(write(&dir.join(bad), |out| out.write_all(b"x")).is_err());
            assert!(fs::symlink_metadata(dir.join(bad)).unwrap().is_symlink());
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_new_file_is_not_for_all_to_read_and_an_old_one_stays_as_it_is() {
        let dir = scratch("mode");
        let path = dir.join("a");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
        write(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(mode() & 0o137, 0);
        for kept in [0o600, 0o644, 0o640, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            write(&path, |out| out.write_all(b"newer")).unwrap();
            assert_eq!(mode(), kept);
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn one_file_by_several_names() {
        let dir = scratch("same");
        let path = |name: &str| dir.join(name);
        fs::write(path("a"), "a").unwrap();
        fs::write(path("b"), "a").unwrap();
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        fs::hard_link(path("a"), path("hard")).unwrap();
        for same in ["a", "link", "hard", "./a"] {
            assert!(same_file(&path("a"), &path(same)), "{same}");
        }
        for other in ["b", "none"] {
            assert!(!same_file(&path("a"), &path(other)), "{other}");
        }
        let null = Path::new("/dev/null");
        assert!(!same_file(null, null) && !same_file(&path("none"), &path("none")));
        fs::remove_dir_all(dir).unwrap();
    }
}
