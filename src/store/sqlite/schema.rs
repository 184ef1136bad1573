//! The layout of the file, and what a connection must have checked and set before it may be used. It must never change
//! a file that it has not recognised as a store.

use std::{path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    params,
};

use super::begin;
use crate::store::{KeyId, OpenError, StoreError, envelope::DataKey, key::Key};

/// Marks the file as a Locum store, in the place that SQLite has for such a mark (`file(1)` shows it): "Locm".
const APPLICATION_ID: i64 = 0x4c6f_636d;

/// The layout below. A change to it needs the next number and a step from this one.
const SCHEMA: i64 = 1;

/// How long a connection waits for the locks of others. A write holds them for milliseconds; over this something hangs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `store` has one row. `key_id` names the key that `data_key` is wrapped under, so both change together, and alone,
/// when that key is changed. `last_version` counts the writes and deletions of all records: a version that was given once never
/// comes again, though a deleted record leaves nothing behind, and whoever looks sees that something was written.
const LAYOUT: &str = "
    CREATE TABLE store (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        key_id BLOB NOT NULL,
        data_key BLOB NOT NULL,
        last_version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE records (
        folder TEXT NOT NULL,
        hash TEXT NOT NULL,
        version INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (folder, hash)
    ) STRICT;
";

/// Lays out a new store, with a new data key, in the empty file at that path.
pub(super) fn lay_out(path: &Path, key: &Key) -> Result<(), OpenError> {
    let lay_out = || -> Result<(), StoreError> {
        let mut connection = connect(path)?;
        set_wal(&connection)?;
        // One transaction: a process that dies here leaves a file that says of itself that it is no store.
        let transaction = begin(&mut connection)?;
        transaction.execute_batch(LAYOUT)?;
        transaction.execute(
            "INSERT INTO store (only, key_id, data_key, last_version) VALUES (1, ?1, ?2, 0)",
            params![key.id().as_bytes(), DataKey::generate()?.wrap(key)?],
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        Ok(transaction.commit()?)
    };
    lay_out().map_err(in_store(path))
}

/// A connection that may write, and the store's data key.
pub(super) fn open_writer(path: &Path, key: &Key) -> Result<(Connection, DataKey), OpenError> {
    let connection = connect(path).map_err(refused(path))?;
    recognise(&connection, path)?;
    set_wal(&connection).map_err(in_store(path))?;
    let data_key = unwrap_data_key(&connection, path, key)?;
    Ok((connection, data_key))
}

/// A connection that may only read, to a file that [`open_writer`] has recognised.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path).map_err(refused(path))?;
    // Refused by SQLite rather than opened read-only: the last connection to close must be able to tidy up.
    connection.pragma_update(None, "query_only", true).map_err(refused(path))?;
    Ok(connection)
}

/// Copies all that is in a store to an empty file, as it is at one moment, and makes sure that the copy is whole.
pub(super) fn copy(from: &Connection, to: &Path, key: &Key) -> Result<(), OpenError> {
    let copy = || -> Result<(), StoreError> {
        let mut copy = connect(to)?;
        // All pages in one step: under one lock, which in WAL mode keeps no writer waiting. In several steps it would begin
        // anew whenever another process writes.
        match Backup::new(from, &mut copy)?.step(-1)? {
            StepResult::Done => Ok(()),
            _ => Err(StoreError::Unavailable("another process holds its lock".to_owned())),
        }
    };
    copy().map_err(in_store(to))?;
    let (copy, _) = open_writer(to, key)?;
    let verdict: String = copy.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(refused(to))?;
    if verdict == "ok" { Ok(()) } else { Err(in_store(to)(StoreError::Damaged("its copy is not whole".to_owned()))) }
}

/// Wraps the data key with another key. In one transaction: whoever reads the file
/// at any moment, after a power cut too, finds it under the one or under the other.
pub(super) fn rewrap(path: &Path, old: &Key, new: &Key) -> Result<(), OpenError> {
    let mut connection = connect(path).map_err(refused(path))?;
    recognise(&connection, path)?;
    set_wal(&connection).map_err(in_store(path))?;
    // What the old key opens shall not stay behind in a free page.
    connection.pragma_update(None, "secure_delete", true).map_err(refused(path))?;
    let transaction = begin(&mut connection).map_err(in_store(path))?;
    let data_key = unwrap_data_key(&transaction, path, old)?;
    let wrapped = data_key.wrap(new).map_err(|error| in_store(path)(error.into()))?;
    transaction
        .execute("UPDATE store SET key_id = ?1, data_key = ?2", params![new.id().as_bytes(), wrapped])
        .map_err(refused(path))?;
    unwrap_data_key(&transaction, path, new)?;
    transaction.commit().map_err(refused(path))?;
    // Nor in the log. Who reads at this moment keeps it from being folded in; then the last to close the store does it.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without the flag that makes a missing file: the file, and its mode, are made elsewhere. Each connection stays on
    // one thread, so SQLite's own mutex is not needed.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A write that was acknowledged survives a power cut; with NORMAL, in WAL mode, it would only survive a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn set_wal(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(StoreError::Config("its folder does not allow a write-ahead log: put it on a local disk".to_owned()))
    }
}

fn recognise(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id").map_err(refused(path))? != APPLICATION_ID {
        return Err(OpenError::NotAStore { path: path.to_owned() });
    }
    match number("user_version").map_err(refused(path))? {
        SCHEMA => Ok(()),
        found if found > SCHEMA => Err(OpenError::NewerSchema { path: path.to_owned(), found, known: SCHEMA }),
        found => Err(in_store(path)(StoreError::Damaged(format!("there never was a schema {found}")))),
    }
}

fn unwrap_data_key(connection: &Connection, path: &Path, key: &Key) -> Result<DataKey, OpenError> {
    let (key_id, wrapped) = connection
        .query_row("SELECT key_id, data_key FROM store", [], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .map_err(refused(path))?;
    let damaged = |what: &str| in_store(path)(StoreError::Damaged(what.to_owned()));
    let wanted = KeyId::from_bytes(&key_id).ok_or_else(|| damaged("the id of its key has the wrong length"))?;
    // Asked first, so that a wrong key is never taken for a damaged store, nor the other way round.
    if wanted != key.id() {
        return Err(OpenError::WrongKey { path: path.to_owned(), given: key.id(), wanted });
    }
    DataKey::unwrap(&wrapped, key).ok_or_else(|| damaged("its key is the right one, but its data key does not open"))
}

fn in_store(path: &Path) -> impl Fn(StoreError) -> OpenError {
    move |source| OpenError::Store { path: path.to_owned(), source }
}

fn refused(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotAStore { path: path.to_owned() },
        _ => in_store(path)(error.into()),
    }
}
