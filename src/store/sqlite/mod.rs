//! The embedded store: one SQLite file, each value sealed. It must never hold a value in the clear on disk, nor make a
//! caller's task wait inside SQLite: all that could happens on the threads of a pool.
//!
//! The file is in WAL mode, so the daemon and the command line have it open at the same time, and readers never wait
//! for a writer. What was read of late is remembered, sealed, in `recent`. Its layout is in `schema`, its statements are in `rows`, its seals in `store::envelope`; what an operator
//! does to the file as a whole is in `care`.

mod care;
mod pool;
mod recent;
mod rows;
mod schema;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use tokio::task;

pub use self::care::{Rekeyed, back_up, publish, rekey};
use self::pool::Pool;
use self::recent::{Look, Recent};
use super::{
    Expected, KeySource, OpenError, Record, Store, StoreError, Version, check_size,
    envelope::DataKey,
    key::{Key, NoRandom},
    private,
};
use crate::model::{RecordId, RecordKind, Secret, wipe_stack};

/// Connections that read. A read takes microseconds, so a few keep up with any number of logins; more than one, so that
/// a page that has to come from disk holds up nobody else.
const READERS: usize = 3;

/// Where the file is and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The database file. SQLite puts two more beside it, `-wal` and `-shm`, while it is in use.
    pub path: PathBuf,
    /// The key under which the store's data key is wrapped.
    pub key: KeySource,
}

/// A sealed store in one file.
///
/// Dropping it waits for the threads to finish what they have begun, so that the last process to leave leaves one
/// tidy file behind.
pub struct Sqlite {
    path: PathBuf,
    data_key: Arc<DataKey>,
    recent: Arc<Recent>,
    readers: Pool,
    // One alone: SQLite lets one connection write at a time, and a queue here is fairer than retries there. Last, for
    // the connection that closes last folds the log into the file.
    writer: Pool,
}

impl Sqlite {
    /// Opens the store that is there.
    ///
    /// # Errors
    /// [`OpenError`]: each says what to do.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        on_a_thread(options, |path, key| {
            check(path)?;
            Self::start(path, &key.read()?)
        })
        .await
    }

    /// Makes the file, with mode 0600 and a new data key, and opens it.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is anything at that path; it is left as it is. Others as for [`Sqlite::open`].
    pub async fn create(options: &Options) -> Result<Self, OpenError> {
        on_a_thread(options, |path, key| {
            let key = key.read()?;
            make(path)?;
            let store = schema::lay_out(path, &key).and_then(|()| Self::start(path, &key));
            let store = store.and_then(|store| private::sync_folder_of(path).map(|()| store).map_err(io_error(path)));
            // What is half made was not there before, and would stand in the way of the next attempt.
            store.inspect_err(|_| remove_files(path))
        })
        .await
    }

    fn start(path: &Path, key: &Key) -> Result<Self, OpenError> {
        let (writer, data_key) = schema::open_writer(path, key)?;
        let recent = Arc::new(Recent::new(schema::open_reader(path)?));
        let readers = (0..READERS).map(|_| schema::open_reader(path)).collect::<Result<_, _>>()?;
        let pool = |name, connections| {
            Pool::start(name, connections).map_err(|source| OpenError::Io { path: path.to_owned(), source })
        };
        Ok(Self {
            path: path.to_owned(),
            data_key: Arc::new(data_key),
            recent,
            readers: pool("store-reader", readers)?,
            writer: pool("store-writer", vec![writer])?,
        })
    }
}

/// Refuses what is not there, no file, or open to others.
fn check(path: &Path) -> Result<(), OpenError> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { path: path.to_owned() },
        _ => io_error(path)(source),
    })?;
    if !metadata.is_file() {
        return Err(OpenError::NotAStore { path: path.to_owned() });
    }
    Ok(private::check(path, &metadata)?)
}

/// Makes the file before SQLite sees it: SQLite would take the mode from the umask, and gives its -wal and -shm files the
/// mode that it finds here.
fn make(path: &Path) -> Result<(), OpenError> {
    private::create(path).map(drop).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => OpenError::Exists { path: path.to_owned() },
        _ => OpenError::Io { path: path.to_owned(), source },
    }
}

/// Opening waits for the disk, and for other processes: not on the caller's thread.
async fn on_a_thread<T: Send + 'static>(
    options: &Options,
    open: impl FnOnce(&Path, &KeySource) -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let Options { path, key } = options.clone();
    let absolute = absolute(&path)?;
    let opened = task::spawn_blocking(move || {
        let opened = open(&absolute, &key);
        wipe_stack(); // of the keys
        opened
    })
    .await;
    opened.unwrap_or_else(|error| Err(OpenError::Io { path, source: io::Error::other(error) }))
}

/// SQLite reads a relative path that begins with `file:` as a URI; none that begins with a slash.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(io_error(path))
}

fn remove_files(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // Best effort: the error that led here is the one to tell of.
        let _ = fs::remove_file(name);
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let ticket = match self.recent.look(id) {
            Look::Known(row) => return row.map(|row| row.open(&self.data_key, id)).transpose(),
            Look::Unknown(ticket) => ticket,
        };
        let (id, data_key, recent) = (id.clone(), Arc::clone(&self.data_key), Arc::clone(&self.recent));
        let read = move |connection: &mut Connection| {
            let row = rows::read(connection, &id)?;
            recent.learn(ticket, &id, &row);
            row.map(|row| row.open(&data_key, &id)).transpose()
        };
        self.readers.run(read).await
    }

    async fn stamp(&self) -> Result<Option<u64>, StoreError> {
        self.readers.run(rows::stamp).await.map(Some)
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        check_size(id, value)?;
        let (id, value) = (id.clone(), value.clone());
        let (data_key, recent) = (Arc::clone(&self.data_key), Arc::clone(&self.recent));
        let write = move |connection: &mut Connection| {
            recent.write(&id, || rows::write(connection, &data_key, &id, &value, expected))
        };
        self.writer.run(write).await
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        let (id, recent) = (id.clone(), Arc::clone(&self.recent));
        let delete =
            move |connection: &mut Connection| recent.write(&id, || rows::delete(connection, &id, expected)).map(drop);
        self.writer.run(delete).await
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        let after = after.cloned();
        self.readers.run(move |connection| rows::list(connection, kind, after.as_ref(), limit)).await
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Sorts SQLite's errors by what helps. Their texts name statements and columns, never the values bound to them.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Unavailable(text),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::Config(text),
            // What is left says that the file is not as this program lays it out.
            _ => Self::Damaged(text),
        }
    }
}

impl From<NoRandom> for StoreError {
    fn from(error: NoRandom) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A transaction that will write. It takes the write lock at once, so that nobody can write between its look and its
/// leap; one that took it later would fail with "busy" where it could have waited.
fn begin(connection: &mut Connection) -> Result<rusqlite::Transaction<'_>, StoreError> {
    Ok(connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_passes_is_transient_and_what_needs_a_person_is_not() {
        let sort = |code| StoreError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_IOERR] {
            assert!(sort(code).is_transient(), "{code}");
        }
        assert!(matches!(sort(ffi::SQLITE_READONLY), StoreError::Config(_)));
        assert!(matches!(sort(ffi::SQLITE_CORRUPT), StoreError::Damaged(_)));
        assert!(!sort(ffi::SQLITE_READONLY).is_transient() && !sort(ffi::SQLITE_CORRUPT).is_transient());
    }
}
