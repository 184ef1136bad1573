//! The change feed. After a record is written its change is put into the ring, then the head is moved, then peers are told.
//! A writer that dies in between leaves nodes to find out by themselves (`store::cache`); it must never make a write fail
//! that has been done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{Mutex as Turn, oneshot};
use tokio::time::timeout;

use super::super::{Changes, Feed, Position, StoreError, Version, notice};
use super::Vault;
use super::access::Trouble;
use super::failure::Failure;
use super::kv::random_name;
use super::ring::{self, HEAD, RING, Ring};
use super::servers::{READ_FEED, Reach};
use crate::model::{RecordId, RecordKind};

/// Time to put a change into the feed. Nodes notice it later by themselves where it did not get there.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);

/// Every so many looks at the head one is at the active server's: a standby that is cut off from it goes on answering, as
/// if nothing had changed since.
const LOOKS_AT_ANY: usize = 10;

/// Changes that are not in the feed yet.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    waiting: Mutex<Vec<Waiting>>,
    /// One task at a time takes all that wait with it: the ring is one key, and writers of it would only conflict.
    turn: Turn<()>,
    peers: Vec<String>,
    /// How often the head was looked at.
    looks: AtomicUsize,
    /// Whether there was one.
    has_head: AtomicBool,
}

/// A change, and who waits for it to be in the feed.
#[derive(Debug)]
struct Waiting {
    change: (RecordId, Version),
    /// `None` once told: a change that could not be entered waits on.
    writer: Option<oneshot::Sender<Outcome>>,
}

type Outcome = Result<(), StoreError>;

impl Announcements {
    pub(super) fn new(peers: Vec<String>) -> Self {
        Self { peers, ..Self::default() }
    }

    /// Adds a change; what becomes of it.
    fn add(&self, id: &RecordId, version: Version) -> oneshot::Receiver<Outcome> {
        let (writer, told) = oneshot::channel();
        self.waiting().push(Waiting { change: (id.clone(), version), writer: Some(writer) });
        told
    }

    /// Those who wait for the first `count` changes, which wait on if they are `left`.
    fn take_writers(&self, count: usize, left: bool) -> Vec<oneshot::Sender<Outcome>> {
        let mut waiting = self.waiting();
        let writers = waiting.iter_mut().take(count).filter_map(|it| it.writer.take()).collect();
        if !left {
            waiting.drain(..count);
        }
        writers
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().expect("nothing panics while it holds this lock")
    }
}

impl Vault {
    /// Tells the feed and the peers that a record was written. Not so of what a node may write, who may not write the feed:
    /// whoever needs another node's token, or a key of tickets, asks for the latest, and what a node tells of itself no other
    /// node reads.
    pub(super) async fn announce(&self, id: &RecordId, version: Version) {
        match id.kind() {
            RecordKind::Account | RecordKind::Client | RecordKind::Tenant | RecordKind::Operator => {}
            RecordKind::Token | RecordKind::Usage | RecordKind::Seen | RecordKind::Tickets => return,
        }
        match timeout(ANNOUNCE_TIMEOUT, self.announced(id, version)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%id, %error, "the change is not in the feed: nodes see it when they ask anew")
            }
            Err(_) => tracing::warn!(%id, "the change is not in the feed in time: nodes see it when they ask anew"),
        }
    }

    /// Has a change told, by whoever has the turn.
    async fn announced(&self, id: &RecordId, version: Version) -> Outcome {
        let mut told = self.announcements.add(id, version);
        let outcome = tokio::select! {
            biased;
            // Who waited for the turn even so would keep one after the other from going on.
            outcome = &mut told => outcome,
            () = self.announce_waiting() => told.await,
        };
        // Whoever had it entered may have left since.
        outcome.unwrap_or(Ok(()))
    }

    async fn announce_waiting(&self) {
        let _turn = self.announcements.turn.lock().await;
        let batch: Vec<_> = self.announcements.waiting().iter().map(|it| it.change.clone()).collect();
        if batch.is_empty() {
            return; // whoever had the turn before took ours along
        }
        let entered = self.enter(&batch).await;
        // Whoever is interrupted before this, or fails for now, leaves them to the next: they are not ours alone.
        let is_left = entered.as_ref().is_err_and(StoreError::is_transient);
        let writers = self.announcements.take_writers(batch.len(), is_left);
        if let Ok(position) = &entered {
            notice::send(position, &self.announcements.peers).await;
        }
        let outcome = entered.map(drop);
        for writer in writers {
            let _ = writer.send(outcome.clone()); // one that has left needs no answer
        }
    }

    /// Puts changes into the ring, and moves the head to where that is then.
    async fn enter(&self, batch: &[(RecordId, Version)]) -> Result<Position, StoreError> {
        let position = loop {
            let found = self.fields(Reach::Active, RING).await?;
            let mut ring = match &found {
                Some((fields, _)) => Ring::parse(fields),
                None => None,
            };
            // One that cannot be read begins anew, under another name: nodes ask for everything then.
            let ring = ring.get_or_insert(Ring::new(random_name()?));
            ring.push(batch);
            if self.replace(RING, ring.fields(), found.map_or(0, |(_, version)| version)).await? {
                break ring.position();
            }
        };
        self.move_head(&position).await?;
        Ok(position)
    }

    /// Moves the head to `position`, unless somebody else has moved it further.
    async fn move_head(&self, position: &Position) -> Result<(), StoreError> {
        loop {
            let found = self.fields(Reach::Active, HEAD).await?;
            let head = found.as_ref().and_then(|(fields, _)| ring::parse_head(fields));
            if head.is_some_and(|head| head.epoch == position.epoch && head.sequence >= position.sequence) {
                return Ok(());
            }
            if self.replace(HEAD, ring::head_fields(position), found.map_or(0, |(_, version)| version)).await? {
                return Ok(());
            }
        }
    }

    /// The fields and the version of an entry of the feed.
    async fn fields(&self, reach: Reach, key: &str) -> Result<Option<(Value, u64)>, StoreError> {
        match self.get(reach, READ_FEED, key, None).await {
            Ok(answer) => Ok(Some((answer.data, answer.metadata.version))),
            Err(Trouble::Request(Failure::Absent)) => Ok(None),
            Err(Trouble::Request(Failure::Deleted { version })) => Ok(Some((Value::Null, version))),
            Err(trouble) => Err(trouble.into_store_error("cannot read the change feed")),
        }
    }

    /// Whether the entry still had that version and was replaced.
    async fn replace(&self, key: &str, fields: Value, version: u64) -> Result<bool, StoreError> {
        match self.set("write_feed", key, fields, version).await {
            Ok(_) => Ok(true),
            Err(Trouble::Request(Failure::Conflict)) => Ok(false),
            Err(trouble) => Err(trouble.into_store_error("cannot write the change feed")),
        }
    }
}

#[async_trait]
impl Feed for Vault {
    async fn position(&self) -> Result<Position, StoreError> {
        let looks = self.announcements.looks.fetch_add(1, Ordering::Relaxed);
        let reach = if looks.is_multiple_of(LOOKS_AT_ANY) { Reach::Latest } else { Reach::Any };
        let head = self.fields(reach, HEAD).await?;
        // A feed does not vanish. Where it has, another engine is mounted there, which may not be one to believe.
        if self.announcements.has_head.swap(head.is_some(), Ordering::Relaxed) && head.is_none() {
            self.is_proven.store(false, Ordering::Relaxed);
        }
        Ok(head.and_then(|(fields, _)| ring::parse_head(&fields)).unwrap_or_default())
    }

    async fn changes(&self, seen: &Position, at_least: &Position) -> Result<Changes, StoreError> {
        for reach in [Reach::Any, Reach::Active] {
            let ring = self.fields(reach, RING).await?.and_then(|(fields, _)| Ring::parse(&fields)).unwrap_or_default();
            let position = ring.position();
            // A standby may lag behind; another epoch is another feed, whose places say nothing of this one.
            if position.epoch != at_least.epoch || position.sequence >= at_least.sequence {
                return Ok(ring.since(seen));
            }
        }
        Err(StoreError::Unavailable("the change feed is behind its own head".into()))
    }
}
