//! The statements. Each function is one transaction. Values reach SQL as parameters only, and only sealed.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::begin;
use crate::{
    model::{RecordId, RecordKind, Secret},
    store::{Expected, Record, StoreError, Version, envelope::DataKey},
};

/// A record as it lies in the file.
#[derive(Debug, Clone)]
pub(super) struct Row {
    version: Version,
    sealed: Arc<[u8]>,
}

impl Row {
    /// What it holds.
    pub(super) fn open(&self, data_key: &DataKey, id: &RecordId) -> Result<Record, StoreError> {
        let version = self.version;
        let value = data_key.open(id, version, &self.sealed);
        value.map(|value| Record { value, version }).ok_or_else(|| StoreError::Corrupt { id: id.clone(), version })
    }
}

pub(super) fn read(connection: &mut Connection, id: &RecordId) -> Result<Option<Row>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT version, sealed FROM records WHERE folder = ?1 AND hash = ?2")?;
    let mut rows = select.query(params![id.kind().folder(), id.hash()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let version = version_from(row.get(0)?)?;
    let sealed = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Corrupt { id: id.clone(), version })?;
    Ok(Some(Row { version, sealed: sealed.into() }))
}

pub(super) fn write(
    connection: &mut Connection,
    data_key: &DataKey,
    id: &RecordId,
    value: &Secret,
    expected: Expected,
) -> Result<Version, StoreError> {
    let transaction = begin(connection)?;
    expected.check(id, version_of(&transaction, id)?)?;
    let number = count_write(&transaction)?;
    let version = version_from(number)?;
    let sealed = data_key.seal(id, version, value)?;
    transaction
        .prepare_cached(
            "INSERT INTO records (folder, hash, version, sealed) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (folder, hash) DO UPDATE SET version = excluded.version, sealed = excluded.sealed",
        )?
        .execute(params![id.kind().folder(), id.hash(), number, sealed])?;
    transaction.commit()?;
    Ok(version)
}

pub(super) fn delete(connection: &mut Connection, id: &RecordId, expected: Version) -> Result<Version, StoreError> {
    let transaction = begin(connection)?;
    Expected::Version(expected).check(id, version_of(&transaction, id)?)?;
    transaction
        .prepare_cached("DELETE FROM records WHERE folder = ?1 AND hash = ?2")?
        .execute(params![id.kind().folder(), id.hash()])?;
    // Nothing has this version. It is how others see that something was written.
    let number = count_write(&transaction)?;
    transaction.commit()?;
    version_from(number)
}

/// How many writes there have been.
pub(super) fn stamp(connection: &mut Connection) -> Result<u64, StoreError> {
    let number = connection.prepare_cached("SELECT last_version FROM store")?.query_row([], |row| row.get(0))?;
    Ok(version_from(number)?.0)
}

/// A number that is another one once another connection, of this process or another, has written
/// (<https://sqlite.org/pragma.html#pragma_data_version>).
pub(super) fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

fn count_write(transaction: &Connection) -> Result<i64, StoreError> {
    let mut update =
        transaction.prepare_cached("UPDATE store SET last_version = last_version + 1 RETURNING last_version")?;
    Ok(update.query_row([], |row| row.get(0))?)
}

pub(super) fn list(
    connection: &mut Connection,
    kind: RecordKind,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<RecordId>, StoreError> {
    // No hash is empty, so all of them come behind the empty one.
    let after = after.map_or("", RecordId::hash);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select =
        connection.prepare_cached("SELECT hash FROM records WHERE folder = ?1 AND hash > ?2 ORDER BY hash LIMIT ?3")?;
    let hashes = select.query_map(params![kind.folder(), after, limit], |row| row.get::<_, String>(0))?;
    hashes
        .map(|hash| {
            RecordId::from_hash(kind, &hash?)
                .ok_or_else(|| StoreError::Damaged(format!("a record in {} has no proper hash", kind.folder())))
        })
        .collect()
}

fn version_of(connection: &Connection, id: &RecordId) -> Result<Option<Version>, StoreError> {
    let found = connection
        .prepare_cached("SELECT version FROM records WHERE folder = ?1 AND hash = ?2")?
        .query_row(params![id.kind().folder(), id.hash()], |row| row.get(0))
        .optional()?;
    found.map(version_from).transpose()
}

fn version_from(number: i64) -> Result<Version, StoreError> {
    u64::try_from(number).map(Version).map_err(|_| StoreError::Damaged("a version is negative".to_owned()))
}
