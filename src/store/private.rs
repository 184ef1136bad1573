//! Files that only their owner may reach: making them so, and refusing those that are not. It must never loosen or
//! tighten a file that it finds: that is the operator's to do, who may have to ask first who has read it.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const OWNER_ONLY: u32 = 0o600;
const GROUP_OR_OTHERS: u32 = 0o077;
const ROOT: u32 = 0;

/// A file that others than its owner can reach, or that has the wrong owner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrivate {
    /// The mode lets group or others in.
    #[error("{} is open to others (mode {mode:04o}): run `chmod 600 {}`", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns the file, and so can read and replace it.
    #[error("{} belongs to user {owner}, not to user {us} who runs this: run `chown {us} {}`", path.display(), path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// The numeric id of its owner.
        owner: u32,
        /// The numeric id of the user that this process runs as.
        us: u32,
    },
}

/// Makes a new file with mode 0600, or less where the umask says so. Never opens one that is there, nor follows a link.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Writes the folder of a new file to disk, without which a power cut may take the file's name away again.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Accepts what ssh accepts of a private key: nothing for group or others, and the owner is this user or root.
///
/// Root may use anybody's: the daemon has a user of its own, and root runs the command line beside it.
///
/// # Errors
/// If others can reach the file.
pub fn check(path: &Path, metadata: &Metadata) -> Result<(), NotPrivate> {
    check_for(rustix::process::geteuid().as_raw(), path, metadata.mode(), metadata.uid(), GROUP_OR_OTHERS)
}

/// As [`check`], for a credential that the service manager hands out. Its group bits are the mask of the access list
/// by which systemd gives the file to the service's user (mode 0440, owner root), so reading stays allowed there.
pub(super) fn check_credential(path: &Path, metadata: &Metadata) -> Result<(), NotPrivate> {
    const ALL_BUT_GROUP_READ: u32 = GROUP_OR_OTHERS & !0o040;
    check_for(rustix::process::geteuid().as_raw(), path, metadata.mode(), metadata.uid(), ALL_BUT_GROUP_READ)
}

fn check_for(us: u32, path: &Path, mode: u32, owner: u32, forbidden: u32) -> Result<(), NotPrivate> {
    if owner != us && owner != ROOT && us != ROOT {
        return Err(NotPrivate::Owner { path: path.to_owned(), owner, us });
    }
    if mode & forbidden != 0 {
        return Err(NotPrivate::Mode { path: path.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u32 = 1000;

    fn check_ours(mode: u32) -> Result<(), NotPrivate> {
        check_for(US, Path::new("/k"), 0o100_000 | mode, US, GROUP_OR_OTHERS)
    }

    #[test]
    fn any_bit_for_group_or_others_is_refused_with_the_command_that_clears_it() {
        for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o777] {
            let error = check_ours(mode).unwrap_err();
            assert_eq!(error, NotPrivate::Mode { path: "/k".into(), mode });
        }
        assert_eq!(check_ours(0o644).unwrap_err().to_string(), "/k is open to others (mode 0644): run `chmod 600 /k`");
        assert_eq!(check_ours(0o600), Ok(()));
        assert_eq!(check_ours(0o400), Ok(()));
    }

    #[test]
    fn the_owner_must_be_us_or_root_unless_we_are_root() {
        let check = |us, owner| check_for(us, Path::new("/k"), 0o100_600, owner, GROUP_OR_OTHERS);
        assert_eq!(check(US, ROOT), Ok(()));
        assert_eq!(check(ROOT, US), Ok(()));
        assert_eq!(
            check(US, 1001).unwrap_err().to_string(),
            "/k belongs to user 1001, not to user 1000 who runs this: run `chown 1000 /k`"
        );
    }
}
