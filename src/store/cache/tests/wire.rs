//! The way to a store in memory, which can be made to fail as servers do.

use std::collections::HashMap;
use std::future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::store::Changes;

/// How calls are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    /// Each call fails so, at once.
    Failing(StoreError),
    /// No call ends.
    Silent,
    /// Each call waits for one [`Wire::let_pass`].
    Held,
    /// Records are not answered, the feed is.
    SilentForRecords,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) memory: Arc<Memory>,
    mode: Mutex<Mode>,
    gate: Semaphore,
    /// Servers that are behind: what they have of a record, and how often they are asked before they come after.
    behind: Mutex<HashMap<RecordId, (Option<Record>, usize)>>,
    /// What the feed is said to be.
    feed: Mutex<Option<Position>>,
    reads: AtomicUsize,
    latest_reads: AtomicUsize,
    positions: AtomicUsize,
    changes: AtomicUsize,
    /// The store that took the place of `memory`.
    pub(super) restored: Mutex<Option<Arc<Memory>>>,
}

impl Wire {
    pub(super) fn to(memory: Arc<Memory>) -> Self {
        Self {
            memory,
            mode: Mutex::new(Mode::Up),
            gate: Semaphore::new(0),
            behind: Mutex::default(),
            feed: Mutex::default(),
            reads: AtomicUsize::default(),
            latest_reads: AtomicUsize::default(),
            positions: AtomicUsize::default(),
            changes: AtomicUsize::default(),
            restored: Mutex::default(),
        }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(super) fn fail(&self) {
        self.set(Mode::Failing(away()));
    }

    pub(super) fn let_pass(&self) {
        self.gate.add_permits(1);
    }

    /// For so many reads, that is what a server has of the record.
    pub(super) fn lag(&self, name: &str, record: Option<Record>, reads: usize) {
        self.behind.lock().unwrap().insert(id(name), (record, reads));
    }

    pub(super) fn set_feed(&self, position: Position) {
        *self.feed.lock().unwrap() = Some(position);
    }

    /// The feed is what it is again.
    pub(super) fn follow_feed(&self) {
        *self.feed.lock().unwrap() = None;
    }

    /// Whether each that was let pass has passed.
    pub(super) fn gate_is_shut(&self) -> bool {
        self.gate.available_permits() == 0
    }

    fn records(&self) -> Arc<Memory> {
        self.restored.lock().unwrap().clone().unwrap_or_else(|| Arc::clone(&self.memory))
    }

    pub(super) fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    pub(super) fn latest_reads(&self) -> usize {
        self.latest_reads.load(Ordering::Relaxed)
    }

    pub(super) fn positions(&self) -> usize {
        self.positions.load(Ordering::Relaxed)
    }

    async fn pass(&self) -> Result<(), StoreError> {
        let mut mode = self.mode.lock().unwrap().clone();
        if mode == Mode::Held {
            self.gate.acquire().await.unwrap().forget();
            mode = self.mode.lock().unwrap().clone();
        }
        match mode {
            Mode::Up | Mode::Held => Ok(()),
            Mode::Failing(error) => Err(error),
            Mode::Silent | Mode::SilentForRecords => future::pending().await,
        }
    }

    async fn pass_for_the_feed(&self) -> Result<(), StoreError> {
        let records_only = *self.mode.lock().unwrap() == Mode::SilentForRecords;
        if records_only { Ok(()) } else { self.pass().await }
    }
}

pub(super) fn away() -> StoreError {
    StoreError::Unavailable("nobody is there".to_owned())
}

#[async_trait]
impl Store for Wire {
    async fn read(&self, id: &RecordId) -> Answer {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.pass().await?;
        if let Some((record, reads @ 1..)) = self.behind.lock().unwrap().get_mut(id) {
            *reads -= 1;
            return Ok(record.clone());
        }
        self.records().read(id).await
    }

    async fn read_latest(&self, id: &RecordId) -> Answer {
        self.latest_reads.fetch_add(1, Ordering::Relaxed);
        self.pass().await?;
        self.records().read(id).await
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        self.pass().await?;
        self.memory.write(id, value, expected).await
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        self.pass().await?;
        self.memory.delete(id, expected).await
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        self.pass().await?;
        self.memory.list(kind, after, limit).await
    }
}

#[async_trait]
impl Feed for Wire {
    async fn position(&self) -> Result<Position, StoreError> {
        self.positions.fetch_add(1, Ordering::Relaxed);
        self.pass_for_the_feed().await?;
        let said = self.feed.lock().unwrap().clone();
        match said {
            Some(position) => Ok(position),
            None => self.memory.position().await,
        }
    }

    async fn changes(&self, seen: &Position, at_least: &Position) -> Result<Changes, StoreError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.pass_for_the_feed().await?;
        let said = self.feed.lock().unwrap().clone();
        match said {
            Some(position) if position.sequence < at_least.sequence => Err(away()),
            Some(position) => Ok(Changes { position, records: Some(Vec::new()) }),
            None => self.memory.changes(seen, at_least).await,
        }
    }
}
