//! A store in this process's memory, for tests. It must never be what a configuration falls back to.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::{Expected, Record, Store, StoreError, Version, check_size};
use crate::model::{RecordId, RecordKind, Secret};

/// A store that begins empty and ends with its last handle.
#[derive(Default)]
pub struct Memory(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    records: BTreeMap<RecordId, Record>,
    last_version: u64,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Contents {
    fn version_of(&self, id: &RecordId) -> Option<Version> {
        self.records.get(id).map(|record| record.version)
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.contents().records.get(id).cloned())
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        check_size(id, value)?;
        let mut contents = self.contents();
        expected.check(id, contents.version_of(id))?;
        contents.last_version += 1;
        let version = Version(contents.last_version);
        contents.records.insert(id.clone(), Record { value: value.clone(), version });
        Ok(version)
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        let mut contents = self.contents();
        Expected::Version(expected).check(id, contents.version_of(id))?;
        contents.records.remove(id);
        Ok(())
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        let contents = self.contents();
        let ids = contents.records.keys().filter(|id| id.kind() == kind);
        let behind = ids.filter(|id| after.is_none_or(|after| id.hash() > after.hash()));
        Ok(behind.take(limit).cloned().collect())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}
