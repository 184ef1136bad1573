//! What is remembered, and when it may be used. Pure: it is told the time and never waits. It must never call anything
//! fresh that somebody said has changed.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::WeakShared;
use tokio::time::Instant;

use super::lru::Lru;
use super::{Answer, Asking, Asks, Call, Options, PATIENCE};
use crate::model::{RecordId, Shield, Shielded};
use crate::store::key::random_bytes;
use crate::store::{Record, Version};

/// That there is no such record is remembered for so long: enough for a client that tries every second, and too short for
/// a person who enrols it and tries again. (A node that hears of the new record forgets it at once.)
const ABSENT_FOR: Duration = Duration::from_secs(5);

/// And of so many, for strangers cause these.
const ABSENT_MAX: usize = 10_000;

/// Versions that were announced of records which are not remembered: more than come within the time that a standby lags.
const ANNOUNCED_MAX: usize = 4096;

/// What a node remembers, and what it is asking.
#[derive(Debug)]
pub(super) struct Remembered {
    refresh_after: Duration,
    max_stale: Duration,
    /// What is remembered is kept under it.
    shield: Shield,
    records: Lru<Entry>,
    absent: Lru<Instant>,
    /// The least version that an answer must have, of records that are not remembered.
    announced: Lru<Version>,
    /// What was remembered in another generation may have changed.
    generation: u64,
    asking: HashMap<RecordId, Asked>,
    asked: u64,
}

#[derive(Debug)]
struct Entry {
    value: Shielded,
    version: Version,
    read_at: Instant,
    /// `None` where a write may have changed it.
    generation: Option<u64>,
    /// The version that it has by now, or its own.
    at_least: Version,
}

/// A call to the store that is under way.
#[derive(Debug)]
struct Asked {
    asking: Asking,
    latest: bool,
    asks: WeakShared<Call>,
}

impl Entry {
    fn record(&mut self) -> Record {
        Record { value: self.value.open(), version: self.version }
    }
}

impl Remembered {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            // Who allows no stale record wants each asked for, well or not.
            refresh_after: options.refresh_after.min(options.max_stale),
            max_stale: options.max_stale,
            // Without randomness there is no TLS to read records by.
            shield: Shield::new(&random_bytes().expect("the system gives random bytes: TLS took some before this")),
            records: Lru::new(usize::try_from(options.records_max).unwrap_or(usize::MAX)),
            absent: Lru::new(ABSENT_MAX),
            announced: Lru::new(ANNOUNCED_MAX),
            generation: 0,
            asking: HashMap::new(),
            asked: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The answer that needs no question, if there is one.
    pub(super) fn fresh(&mut self, id: &RecordId, now: Instant) -> Option<Option<Record>> {
        if self.absent.peek(id).is_some_and(|read_at| now.duration_since(*read_at) < ABSENT_FOR) {
            return Some(None);
        }
        self.is_fresh(id, now).then(|| self.records.touch(id).map(Entry::record))
    }

    /// Whether a record is remembered, and as it is now for all that is known.
    fn is_fresh(&self, id: &RecordId, now: Instant) -> bool {
        self.records.peek(id).is_some_and(|entry| {
            entry.generation == Some(self.generation)
                && entry.version >= entry.at_least
                && now.duration_since(entry.read_at) < self.refresh_after
        })
    }

    /// Whether asking for this record would tell this node anything that it uses.
    pub(super) fn is_due(&self, id: &RecordId, now: Instant) -> bool {
        self.records.peek(id).is_some() && !self.is_fresh(id, now)
    }

    /// The record as it was, if it may still be used while the store does not answer.
    pub(super) fn recall(&mut self, id: &RecordId, now: Instant) -> Option<Record> {
        let entry = self.records.touch(id)?;
        if now.duration_since(entry.read_at) < self.max_stale {
            return Some(entry.record());
        }
        let at_least = entry.at_least;
        self.let_go(id, at_least);
        None
    }

    /// The least version that an answer must have: one that is older comes from a server that is behind.
    pub(super) fn floor(&self, id: &RecordId) -> Option<Version> {
        self.records.peek(id).map(|entry| entry.at_least).or_else(|| self.announced.peek(id).copied())
    }

    /// A record was written, as was told: by the feed. Whether it is remembered and has to be asked for again.
    pub(super) fn announce(&mut self, id: &RecordId, version: Version) -> bool {
        if self.floor(id).is_some_and(|floor| floor >= version) {
            return false;
        }
        self.overtake(id);
        self.absent.remove(id);
        match self.records.peek_mut(id) {
            Some(entry) => entry.at_least = version,
            None => self.announced.insert(id, version),
        }
        self.records.peek(id).is_some()
    }

    /// Anything may have been written.
    pub(super) fn doubt_all(&mut self) {
        self.generation += 1;
        self.absent.clear();
        self.asking.clear();
    }

    /// This record may have been written.
    pub(super) fn doubt(&mut self, id: &RecordId) {
        self.overtake(id);
        self.absent.remove(id);
        if let Some(entry) = self.records.peek_mut(id) {
            entry.generation = None;
        }
    }

    /// This node wrote the record.
    pub(super) fn written(&mut self, id: &RecordId, record: Record, now: Instant) {
        self.overtake(id);
        // Of two that were written at once, the first may be told of last.
        if self.floor(id).is_none_or(|floor| floor <= record.version) {
            self.remember(id, record, now);
        } else {
            self.doubt(id);
        }
    }

    /// The record is there no longer. A server that is behind may still have it, so that it is known how a new one of that
    /// name will differ.
    pub(super) fn gone(&mut self, id: &RecordId) {
        if let Some(entry) = self.records.peek(id) {
            let next = Version(entry.version.0 + 1);
            self.announced.insert(id, next.max(entry.at_least));
        }
        self.forget(id);
    }

    pub(super) fn forget(&mut self, id: &RecordId) {
        self.overtake(id);
        self.absent.remove(id);
        self.records.remove(id);
    }

    /// Takes the answer to a question, unless something happened since that makes it old.
    pub(super) fn learn(&mut self, id: &RecordId, asking: Asking, answer: &Answer) {
        if !self.land(id, asking.number) {
            return;
        }
        match answer {
            Ok(Some(record)) => self.remember(id, record.clone(), asking.since),
            Ok(None) => {
                self.gone(id);
                self.absent.insert(id, asking.since);
            }
            Err(error) if error.is_no_answer() => {}
            Err(_) => self.forget(id),
        }
    }

    fn remember(&mut self, id: &RecordId, record: Record, read_at: Instant) {
        self.absent.remove(id);
        self.announced.remove(id);
        let at_least = record.version;
        if self.max_stale.is_zero() {
            return self.let_go(id, at_least);
        }
        let (value, version) = (self.shield.over(&record.value), record.version);
        self.records.insert(id, Entry { value, version, read_at, generation: Some(self.generation), at_least });
    }

    /// Keeps no more of a record than that it must not be older: a secret that is of no use is not to lie about in memory.
    fn let_go(&mut self, id: &RecordId, at_least: Version) {
        self.records.remove(id);
        self.announced.insert(id, at_least);
    }

    /// The call that asks for this record already; for its latest state only one that asks for that. Nobody joins a call
    /// that hangs: another may be answered.
    pub(super) fn asking(&self, id: &RecordId, latest: bool, now: Instant) -> Option<Asks> {
        let asked = self.asking.get(id).filter(|asked| asked.latest || !latest)?;
        if now.duration_since(asked.asking.since) < PATIENCE { asked.asks.upgrade() } else { None }
    }

    /// The number of the next call.
    pub(super) fn next_number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// A call is under way. It overtakes the one before.
    pub(super) fn ask(&mut self, id: &RecordId, asking: Asking, latest: bool, asks: WeakShared<Call>) {
        self.asking.insert(id.clone(), Asked { asking, latest, asks });
    }

    /// A call has ended; whether nothing overtook it.
    pub(super) fn land(&mut self, id: &RecordId, number: u64) -> bool {
        let current = self.asking.get(id).is_some_and(|asked| asked.asking.number == number);
        if current {
            self.asking.remove(id);
        }
        current
    }

    /// What the call under way is told may be old already: who comes now asks anew, and it is not remembered.
    fn overtake(&mut self, id: &RecordId) {
        self.asking.remove(id);
    }
}
