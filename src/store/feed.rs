//! The change feed: which records were written, in which order. It tells a node which of the records it holds are old;
//! it must never be what correctness rests on, for a writer may die between a record and its entry.

use std::fmt;

use async_trait::async_trait;

use super::{StoreError, Version};
use crate::model::RecordId;

/// What a store that is shared by nodes tells of its writes.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Where the feed stands: one small read, made to be asked every few seconds.
    ///
    /// # Errors
    /// Any [`StoreError`] but a conflict.
    async fn position(&self) -> Result<Position, StoreError>;

    /// What was written since `seen`, and where the feed stands then: at `at_least` or further.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server that was asked has not come as far as `at_least`; any other but a
    /// conflict.
    async fn changes(&self, seen: &Position, at_least: &Position) -> Result<Changes, StoreError>;
}

/// A place in the feed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Which feed: random, made with it, and another one after it was lost or restored. Known only to those who may read
    /// the store. Empty where there is no feed yet.
    pub epoch: String,
    /// How many entries there have been.
    pub sequence: u64,
}

/// Does not show the epoch: who knows it can speak as a node (`store::notice`).
impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Position").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// What was written since a [`Position`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Where the feed stands.
    pub position: Position,
    /// The records, newest last, each with the version that the write made; `None` if the feed does not reach back that
    /// far, so that any record may have changed. A deletion is told under a version greater than the one deleted.
    pub records: Option<Vec<(RecordId, Version)>>,
}
