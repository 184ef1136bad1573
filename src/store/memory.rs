//! A store in this process's memory, for tests. It must never be what a configuration falls back to.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use super::{Changes, Expected, Feed, Position, Record, Store, StoreError, Version, check_size};
use crate::model::{RecordId, RecordKind, Secret};

/// How far back the feed reaches.
const CHANGES_MAX: usize = 1000;

/// A store that begins empty and ends with its last handle.
pub struct Memory {
    epoch: String,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    records: BTreeMap<RecordId, Record>,
    last_version: u64,
    /// The newest changes, newest last.
    changes: VecDeque<(RecordId, Version)>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        // No other process can reach this store, so that its feed need not be told from theirs.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let epoch = format!("memory-{}", MADE.fetch_add(1, Ordering::Relaxed));
        Self { epoch, contents: Mutex::default() }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("nothing panics while it holds this lock")
    }
}

impl Contents {
    fn version_of(&self, id: &RecordId) -> Option<Version> {
        self.records.get(id).map(|record| record.version)
    }

    /// Takes note of a change, and gives it its version: each change is one, so the last version is their number.
    fn change(&mut self, id: &RecordId) -> Version {
        self.last_version += 1;
        let version = Version(self.last_version);
        self.changes.push_back((id.clone(), version));
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        version
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.contents().records.get(id).cloned())
    }

    async fn stamp(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.contents().last_version))
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        check_size(id, value)?;
        let mut contents = self.contents();
        expected.check(id, contents.version_of(id))?;
        let version = contents.change(id);
        contents.records.insert(id.clone(), Record { value: value.clone(), version });
        Ok(version)
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        let mut contents = self.contents();
        Expected::Version(expected).check(id, contents.version_of(id))?;
        contents.records.remove(id);
        contents.change(id);
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

#[async_trait]
impl Feed for Memory {
    async fn position(&self) -> Result<Position, StoreError> {
        Ok(Position { epoch: self.epoch.clone(), sequence: self.contents().last_version })
    }

    async fn changes(&self, seen: &Position, at_least: &Position) -> Result<Changes, StoreError> {
        let contents = self.contents();
        let sequence = contents.last_version;
        if sequence < at_least.sequence {
            return Err(StoreError::Unavailable("the feed has not come that far".to_owned()));
        }
        let behind = sequence.checked_sub(seen.sequence).and_then(|count| usize::try_from(count).ok());
        let first = behind.and_then(|count| contents.changes.len().checked_sub(count));
        let first = first.filter(|_| seen.epoch == self.epoch);
        let records = first.map(|first| contents.changes.range(first..).cloned().collect());
        Ok(Changes { position: Position { epoch: self.epoch.clone(), sequence }, records })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_feed_tells_each_change_since_a_position_and_says_where_it_does_not_reach_back() {
        let (memory, id) = (Memory::new(), RecordId::new(RecordKind::Client, "x"));
        let start = memory.position().await.unwrap();
        assert!(!start.epoch.is_empty());
        let written = memory.write(&id, &Secret::new("1"), Expected::Absent).await.unwrap();
        let seen = memory.position().await.unwrap();
        memory.delete(&id, written).await.unwrap();

        let told = memory.changes(&start, &seen).await.unwrap();
        assert_eq!(told.position, memory.position().await.unwrap());
        let records = told.records.unwrap();
        assert!(matches!(&records[..], [first, second] if *first == (id.clone(), written) && second.1 > written));
        assert_eq!(memory.changes(&seen, &seen).await.unwrap().records, Some(records[1..].to_vec()));

        let ahead = Position { sequence: 3, ..seen.clone() };
        assert!(matches!(memory.changes(&seen, &ahead).await, Err(StoreError::Unavailable(_))));
        let other = Memory::new().position().await.unwrap();
        assert_eq!(memory.changes(&other, &other).await.unwrap().records, None);
        assert_eq!(memory.changes(&ahead, &seen).await.unwrap().records, None);
        for _ in 0..CHANGES_MAX / 2 {
            let version = memory.write(&id, &Secret::new("1"), Expected::Absent).await.unwrap();
            memory.delete(&id, version).await.unwrap();
        }
        assert_eq!(memory.changes(&start, &start).await.unwrap().records, None);
        assert_eq!(memory.changes(&seen, &seen).await.unwrap().records, None);
    }
}
