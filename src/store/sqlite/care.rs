//! What an operator does to the file as a whole while others may be using it: a copy of it, another key for it. It must
//! never leave the file half changed, nor replace another file.

use std::{
    fs::{self, File},
    path::Path,
};

use tokio::task;

use super::{Options, absolute, check, io_error, make, on_a_thread, remove_files, schema};
use crate::store::{KeyId, KeySource, OpenError, private};

/// Copies the store, as it is at one moment, to a new file with mode 0600, which the same key opens. When this returns,
/// the copy is whole and on disk.
///
/// # Errors
/// [`OpenError::Exists`] if there is anything at that path; it is left as it is. Others as for opening.
pub async fn back_up(options: &Options, to: &Path) -> Result<(), OpenError> {
    let to = absolute(to)?;
    on_a_thread(options, move |path, key| {
        check(path)?;
        let key = key.read()?;
        let (from, _) = schema::open_writer(path, &key)?;
        make(&to)?;
        let copied = schema::copy(&from, &to, &key)
            .and_then(|()| File::open(&to).and_then(|file| file.sync_all()).map_err(io_error(&to)))
            .and_then(|()| private::sync_folder_of(&to).map_err(io_error(&to)));
        copied.inspect_err(|_| remove_files(&to))
    })
    .await
}

/// Gives a finished file the name by which it is looked for, and takes its present one away. Never replaces what is there.
///
/// # Errors
/// [`OpenError::Exists`] if there is anything at `to`; both are left as they are. [`OpenError::Io`].
pub async fn publish(from: &Path, to: &Path) -> Result<(), OpenError> {
    let (from, to, shown) = (from.to_owned(), to.to_owned(), to.to_owned());
    let publish = move || {
        // A rename would replace; a link does not.
        fs::hard_link(&from, &to)?;
        fs::remove_file(&from)?;
        private::sync_folder_of(&to)
    };
    let published = task::spawn_blocking(publish).await;
    published.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(io_error(&shown))
}

/// What came of another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rekeyed {
    /// The new key opens the store, and the old one does no more.
    Changed {
        /// The old one.
        old: KeyId,
        /// The new one.
        new: KeyId,
    },
    /// The new key opens the store already.
    Already {
        /// It.
        key: KeyId,
    },
}

/// Seals the store's data key with another key. No record is touched, and who has the store open goes on with it.
///
/// # Errors
/// [`OpenError::WrongKey`] if neither key opens the store. Others as for opening.
pub async fn rekey(options: &Options, new: &KeySource) -> Result<Rekeyed, OpenError> {
    let new = new.clone();
    on_a_thread(options, move |path, key| {
        check(path)?;
        let new = new.read()?;
        // An earlier run may have died after its work, with the old key gone already.
        match schema::open_writer(path, &new) {
            Ok(_) => return Ok(Rekeyed::Already { key: new.id() }),
            Err(OpenError::WrongKey { .. }) => {}
            Err(other) => return Err(other),
        }
        let old = key.read()?;
        schema::rewrap(path, &old, &new)?;
        Ok(Rekeyed::Changed { old: old.id(), new: new.id() })
    })
    .await
}
