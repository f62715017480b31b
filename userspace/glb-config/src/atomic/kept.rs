// SPDX-License-Identifier: GPL-2.0

//! What a file that takes the place of another has of it: owner, group, mode, attributes.

use rustix::fs::{fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr, Gid, Uid, XattrFlags};
use std::ffi::CString;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// The attribute of users and groups who have access beside owner and group.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";

/// How much of the old file must be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// All of it: the file is somebody's own.
    AsItWas,
    /// As much as may be: a program makes the file, and goes on.
    Made {
        /// Nobody but owner and group may have the file.
        has_keys: bool,
    },
}

/// Gives the new file what the old one has: owner, group, mode, and the attributes that are somebody's word
/// and not the kernel's sum over the contents. Returns what is not as it was, a sentence each.
pub(super) fn keep(old: &File, new: &File, manner: Manner) -> io::Result<Vec<String>> {
    let before = old.metadata()?;
    // What a program makes has no use for the bits above, which not everybody may set.
    let bits = if manner == Manner::AsItWas {
        0o7777
    } else {
        0o777
    };
    let mut mode = before.mode() & bits;
    let mut changed = Vec::new();
    let names = attributes(old)?;
    if let Err(error) = keep_owner(new, &before) {
        if manner == Manner::AsItWas {
            return Err(of_kind(
                &error,
                &format!("{error}: do this as root or as that user"),
            ));
        }
        let mut left = "it is this program's now";
        if new.metadata()?.gid() != before.gid() {
            // Whoever belongs to a file's group is none of the other group's.
            mode &= !0o070;
            left = "it is this program's now, and a group has no access to it";
            if names.iter().any(|name| name.as_bytes() == ACCESS_LIST) {
                // The group's bits of the mode are the most that the list may give.
                left = "it is this program's now, and neither a group nor anybody in its access control list has access to it";
            }
        }
        changed.push(format!("{error}: {left}"));
    }
    // The directory may have given the new file a list of its own.
    for name in attributes(new)?
        .iter()
        .filter(|name| is_kept(name) && !names.contains(name))
    {
        // SELinux labels can be changed and not removed.
        let _ = fremovexattr(new, name.as_c_str());
    }
    if let Err(error) = new.set_permissions(Permissions::from_mode(mode)) {
        if manner == Manner::AsItWas {
            return Err(error);
        }
        changed.push(format!(
            "its mode cannot be kept ({error}): only its owner may use it"
        ));
        mode = new.metadata()?.mode() & 0o7777;
    }
    for name in names.iter().filter(|name| is_kept(name)) {
        match keep_attribute(old, new, name) {
            Ok(()) => {}
            Err(error) if manner == Manner::AsItWas => return Err(error),
            Err(error) => changed.push(error.to_string()),
        }
    }
    if manner == (Manner::Made { has_keys: true }) && mode & 0o7 != 0 {
        changed.push(format!(
            "it has the keys of tables and was for all to use (mode {mode:04o}): from now on it is not"
        ));
        mode &= !0o7;
    }
    // An access control list has given the mode that the list stands for.
    if new.metadata()?.mode() & 0o7777 != mode {
        new.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(changed)
}

/// Gives the new file the old one's owner and group, or the group alone if that is all that is allowed.
fn keep_owner(new: &File, before: &Metadata) -> io::Result<()> {
    let now = new.metadata()?;
    if (before.uid(), before.gid()) == (now.uid(), now.gid()) {
        return Ok(());
    }
    let (owner, group) = (Uid::from_raw(before.uid()), Gid::from_raw(before.gid()));
    let Err(error) = fchown(new, Some(owner), Some(group)) else {
        return Ok(());
    };
    if before.gid() != now.gid() {
        // Whoever is of several groups may choose among them.
        let _ = fchown(new, None, Some(group));
    }
    let error = io::Error::from(error);
    let reason = format!(
        "its owner and group ({}:{}) cannot be kept ({error})",
        before.uid(),
        before.gid()
    );
    Err(of_kind(&error, &reason))
}

fn keep_attribute(old: &File, new: &File, name: &CString) -> io::Result<()> {
    let value = attribute(old, name)?;
    if attribute(new, name).ok().as_ref() == Some(&value) {
        return Ok(());
    }
    fsetxattr(new, name.as_c_str(), &value, XattrFlags::empty()).map_err(|error| {
        let error = io::Error::from(error);
        let name = name.to_string_lossy();
        let reason = format!("its attribute {name} cannot be kept ({error})");
        of_kind(&error, &reason)
    })
}

fn of_kind(error: &io::Error, reason: &str) -> io::Error {
    io::Error::new(error.kind(), reason.to_owned())
}

/// Attributes that say what a file is allowed or meant to be. Those of IMA and EVM are sums over the old
/// contents, and capabilities are for programs.
fn is_kept(name: &CString) -> bool {
    let other: [&[u8]; 3] = [b"security.ima", b"security.evm", b"security.capability"];
    !other.contains(&name.as_bytes())
}

/// The names of a file's attributes; none where the file system has no such thing.
fn attributes(file: &File) -> io::Result<Vec<CString>> {
    let mut names = vec![0u8; 65_536];
    let len = match flistxattr(file, &mut names) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = names
        .get(..len)
        .unwrap_or_default()
        .split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    names
        .map(|name| CString::new(name).map_err(io::Error::other))
        .collect()
}

fn attribute(file: &File, name: &CString) -> io::Result<Vec<u8>> {
    // The kernel has none that is longer.
    let mut value = vec![0u8; 65_536];
    let len = fgetxattr(file, name.as_c_str(), &mut value)?;
    value.truncate(len);
    Ok(value)
}

#[cfg(test)]
#[path = "../../../glbctl/tests/common/can.rs"]
mod can;

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;
    use super::super::{write, write_made};
    use super::can::can;
    use super::*;
    use rustix::thread::{capabilities, set_capabilities, CapabilitySet};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn open(path: &Path) -> File {
        File::open(path).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn file(dir: &Path, mode: u32) -> PathBuf {
        let path = dir.join("a");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn give(path: &Path, owner: u32, group: u32) -> bool {
        let (owner, group) = (Uid::from_raw(owner), Gid::from_raw(group));
        let given = fchown(open(path), Some(owner), Some(group)).is_ok();
        can("give files to others", given)
    }

    /// A list as the kernel has it: "user::rw-,user:1235:r--,group::r--,mask::r--,other::" and others' rights.
    fn list(other: u16) -> Vec<u8> {
        let entry = |tag: u16, bits: u16, id: u32| {
            [
                &tag.to_le_bytes()[..],
                &bits.to_le_bytes(),
                &id.to_le_bytes(),
            ]
            .concat()
        };
        [
            2u32.to_le_bytes().to_vec(),
            entry(1, 6, u32::MAX),
            entry(2, 4, 1235),
            entry(4, 4, u32::MAX),
            entry(16, 4, u32::MAX),
            entry(32, other, u32::MAX),
        ]
        .concat()
    }

    fn set(path: &Path, name: &CString, value: &[u8]) -> bool {
        let set = fsetxattr(open(path), name.as_c_str(), value, XattrFlags::empty()).is_ok();
        can(&format!("set {}", name.to_string_lossy()), set)
    }

    fn acl() -> CString {
        CString::new("system.posix_acl_access").unwrap()
    }

    #[test]
    fn owner_group_and_attributes_stay() {
        let dir = scratch("owner");
        let path = file(&dir, 0o640);
        let user = CString::new("user.note").unwrap();
        let has_acl = set(&path, &acl(), &list(0));
        let has_user = set(&path, &user, b"ours");
        let given = give(&path, 1234, 1236);
        write(&path, |out| out.write_all(b"new")).unwrap();
        let found = open(&path).metadata().unwrap();
        if given {
            assert_eq!((found.uid(), found.gid()), (1234, 1236));
        }
        if has_acl {
            assert_eq!(attribute(&open(&path), &acl()).unwrap(), list(0));
            assert_eq!(found.mode() & 0o777, 0o640);
        }
        if has_user {
            assert_eq!(attribute(&open(&path), &user).unwrap(), b"ours");
        }
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::remove_dir_all(dir).unwrap();
    }

    /// Works on a thread that lacks some of what root may.
    fn without(what: CapabilitySet, work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut sets = capabilities(None).unwrap();
                sets.effective -= what;
                set_capabilities(None, sets).unwrap();
                work();
            });
            thread.join().unwrap();
        });
    }

    #[test]
    fn a_made_file_that_cannot_be_read_is_written_all_the_same() {
        let dir = scratch("unreadable");
        let path = file(&dir, 0o640);
        if give(&path, 1234, 1236) {
            without(
                CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH,
                || {
                    assert!(write(&path, |out| out.write_all(b"new")).is_err());
                    let said = write_made(&path, true, |out| out.write_all(b"new")).unwrap();
                    assert!(
                        said.len() == 1 && said[0].starts_with("cannot be read ("),
                        "{said:?}"
                    );
                },
            );
            assert_eq!(
                (mode(&path), fs::read(&path).unwrap()),
                (0o600, b"new".to_vec())
            );
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn where_the_owner_cannot_be_kept_a_made_file_is_written_all_the_same() {
        let dir = scratch("chown");
        for (old, new, group) in [
            (0o640, 0o600, 1236),
            (0o664, 0o604, 1236),
            (0o4660, 0o660, 0),
        ] {
            let path = file(&dir, old);
            if !give(&path, 1234, group) {
                break;
            }
            fs::set_permissions(&path, Permissions::from_mode(old)).unwrap();
            without(CapabilitySet::CHOWN, || {
                let refused = write(&path, |out| out.write_all(b"new")).unwrap_err();
                assert!(refused.to_string().ends_with("as that user"), "{refused}");
                assert_eq!(fs::read(&path).unwrap(), b"old");
                let said = write_made(&path, false, |out| out.write_all(b"new")).unwrap();
                let owner = format!("its owner and group (1234:{group}) cannot be kept (");
                assert!(said[0].starts_with(&owner) && said.len() == 1, "{said:?}");
                assert_eq!(said[0].contains("a group has no access"), group != 0);
                assert!(!said[0].contains("list"), "{said:?}");
                // Said once.
                let again = write_made(&path, false, |out| out.write_all(b"newer")).unwrap();
                assert_eq!(again, [""; 0]);
            });
            assert_eq!(fs::read(&path).unwrap(), b"newer");
            assert_eq!(mode(&path), new, "{old:o}");
            fs::remove_file(&path).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn who_is_in_an_access_control_list_is_told_of_too() {
        let dir = scratch("named");
        let path = file(&dir, 0o640);
        if give(&path, 1234, 1236) && set(&path, &acl(), &list(0)) {
            without(CapabilitySet::CHOWN, || {
                let said = write_made(&path, false, |out| out.write_all(b"new")).unwrap();
                assert!(
                    said.len() == 1 && said[0].contains("nor anybody in its access control list"),
                    "{said:?}"
                );
            });
            assert_eq!(mode(&path), 0o600);
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_has_keys_is_taken_from_others_and_that_is_said_once() {
        let dir = scratch("keys");
        for (old, new) in [(0o644, 0o640), (0o666, 0o660), (0o604, 0o600)] {
            let path = file(&dir, old);
            assert_eq!(
                write_made(&path, false, |out| out.write_all(b"none")).unwrap(),
                [""; 0]
            );
            assert_eq!(mode(&path), old);
            let said = write_made(&path, true, |out| out.write_all(b"keys")).unwrap();
            let told = format!("was for all to use (mode {old:04o})");
            assert!(said.len() == 1 && said[0].contains(&told), "{said:?}");
            for _ in 0..2 {
                assert_eq!(mode(&path), new);
                let again = write_made(&path, true, |out| out.write_all(b"keys")).unwrap();
                assert_eq!(again, [""; 0]);
            }
        }
        let path = file(&dir, 0o644);
        if set(&path, &acl(), &list(4)) {
            assert_eq!(mode(&path), 0o644);
            let said = write_made(&path, true, |out| out.write_all(b"keys")).unwrap();
            assert_eq!((said.len(), mode(&path)), (1, 0o640));
            // The others of the list stay.
            assert_eq!(attribute(&open(&path), &acl()).unwrap(), list(0));
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
